package schema_test

import (
	"testing"

	"github.com/gridway/gridway/internal/config/schema"
)

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
