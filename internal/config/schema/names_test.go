package schema_test

import (
	"testing"

	"github.com/gridway/gridway/internal/config/schema"
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
		if got := schema.Nearest(tc.name, tc.from); got != tc.want {
			t.Errorf("Nearest(%q) = %q, want %q", tc.name, got, tc.want)
		}
	}
}

// TestEmbedded: the bundle can be read, and every rule and pattern in it can
// be compiled.
func TestEmbedded(t *testing.T) {
	b := schema.Embedded()
	if len(b.Kinds) < 20 {
		t.Errorf("%d kinds", len(b.Kinds))
	}
	seen := map[*schema.Node]bool{}
	rules := 0
	var walk func(kind string, n *schema.Node)
	walk = func(kind string, n *schema.Node) {
		if n == nil || seen[n] {
			return
		}
		seen[n] = true
		if n.Pattern != nil {
			n.Pattern.Match("x")
		}
		for _, r := range n.Rules {
			rules++
			if err := r.Compile(); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
		for _, p := range n.Properties {
			walk(kind, p)
		}
		walk(kind, n.Items)
		walk(kind, n.Additional)
	}
	for _, k := range b.Kinds {
		walk(k.Kind, k.Root)
	}
	if rules < 100 {
		t.Errorf("%d rules, there were more", rules)
	}
}
