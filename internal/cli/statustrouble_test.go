package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

func TestPrintTroubles(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	ago := func(s int) time.Time { return now.Add(-time.Duration(s) * time.Second) }
	list := []adminapi.Trouble{
		{Cluster: "Service/default/payments:80", Kind: "breaker", Detail: "open", Times: 3, Since: ago(40), Proxies: []string{"a", "b", "c", "d"}, SeenBy: 20},
		{Cluster: "Service/shop/inventory:80", Endpoint: "10.0.0.1:80", Kind: "ejected", Detail: "consecutive 5xx", Since: ago(7), Proxies: []string{"a"}, SeenBy: 1},
		{Cluster: "Backend/default/crm", Endpoint: "10.0.0.2:80", Kind: "unhealthy", Since: ago(90), Proxies: []string{"a"}, SeenBy: 1},
		{Cluster: "Backend/default/crm", Kind: "full", Times: 1, Since: ago(90), Over: ago(30), Proxies: []string{"a"}, SeenBy: 1},
	}
	print := func(list []adminapi.Trouble, more int) string {
		var out strings.Builder
		printTroubles(&term.Terminal{Out: &out}, list, more, false, now)
		return out.String()
	}
	got := print(list, 2)
	for _, want := range []string{"circuit breaker open, 3 times", "40 s ago", "a, b, c and 17 more", "ejected: consecutive 5xx", "fails its health checks", "1 request refused at a limit", "over for 30 s", "and 2 more"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing of\n%s", want, got)
		}
	}
	list[0].Proxies = nil
	if got := print(list[:1], 0); strings.Contains(strings.ToLower(got), "seen by") {
		t.Errorf("without a mesh:\n%s", got)
	}
	if got := print(nil, 0); got != "" {
		t.Errorf("when all is well: %q", got)
	}
}
