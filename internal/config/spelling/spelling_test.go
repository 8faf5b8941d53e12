package spelling_test

import (
	"testing"

	"github.com/gridway/gridway/internal/config/spelling"
)

func TestNearest(t *testing.T) {
	fields := []string{"hostnames", "parentRefs", "rules", "matches", "requestMirror", "requestRedirect", "urlRewrite", "retryOn"}
	for _, tc := range []struct {
		name string
		from []string
		want string
	}{
		{"hostnmaes", fields, "hostnames"}, // two neighbours swapped
		{"HostNames", fields, "hostnames"},
		{"hostname", fields, "hostnames"},
		{"parentRef", fields, "parentRefs"},
		{"match", fields, "matches"},
		{"mirror", fields, "requestMirror"},
		{"rewrit", fields, "urlRewrite"},
		{"on", fields, "retryOn"},
		{"request", fields, ""}, // two candidates
		{"colour", fields, ""},
		{"", fields, ""},
		{"x", fields, ""},
		{"Prefx", []string{"Exact", "PathPrefix", "RegularExpression"}, "PathPrefix"},
		{"get", []string{"GET", "PUT"}, "GET"},
		{"V3", []string{"None", "V1", "V2"}, ""},
		{"1.1", []string{"1.2", "1.3"}, ""},
		{"connect-failure", []string{"ConnectFailure", "Reset"}, "ConnectFailure"},
	} {
		if got := spelling.Nearest(tc.name, tc.from); got != tc.want {
			t.Errorf("Nearest(%q) = %q, want %q", tc.name, got, tc.want)
		}
	}
}
