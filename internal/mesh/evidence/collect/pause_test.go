package collect

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Who has taken a second is not heard for four, and nobody for more than ten.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for took, want := range map[time.Duration]time.Duration{0: 0, time.Second: 4 * time.Second, time.Minute: maxRest} {
			begun := time.Now()
			if err := pause(t.Context(), took); err != nil || time.Since(begun) != want {
				t.Errorf("%s: %s, %v", took, time.Since(begun), err)
			}
		}
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if err := pause(over, time.Second); err == nil {
			t.Error("it goes on after the end of the stream")
		}
	})
}
