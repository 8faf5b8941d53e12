package sparse_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridway/gridway/internal/telemetry/sparse"
)

func TestLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		log := slog.New(slog.NewTextHandler(&b, nil))
		var line sparse.Line
		for n := range 25 {
			line.Warn(log, "refused", "n", n)
			time.Sleep(100 * time.Millisecond)
		}
		got := strings.Split(strings.TrimSpace(b.String()), "\n")
		if len(got) != 3 || !strings.HasSuffix(got[0], "n=0") || !strings.HasSuffix(got[1], "n=10 not_logged_before=9") || !strings.HasSuffix(got[2], "n=20 not_logged_before=9") {
			t.Errorf("logged:\n%s", b.String())
		}
	})
}
