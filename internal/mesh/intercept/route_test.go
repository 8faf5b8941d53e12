package intercept_test

import (
	"testing"

	"github.com/gridway/gridway/internal/mesh/intercept"
	"github.com/gridway/gridway/test/netns"
)

// The kernel wants a route before rules apply. One to nowhere is enough.
func TestWithoutDefaultRoute(t *testing.T) {
	t.Parallel()
	a := netns.New(t).Host("a")
	a.MustRun("ip", "route", "replace", "default", "dev", "lo")
	a.MustRun("ip", "-6", "route", "replace", "default", "dev", "lo")
	install(t, a, intercept.Config{ID: "a", From: intercept.FromNamespace(), Outbound: both(a, "proxy")})
	for _, to := range []string{"240.240.0.1:80", "[fd67:7269:6477:6179::1]:80"} {
		var got string
		a.Do(func() { got, _ = dial(to, 0, patience) })
		if got != "proxy "+to {
			t.Errorf("%s: %q", to, got)
		}
	}
}
