package schema

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// ruleOf is a rule of the bundle with the schema of what it is about.
type ruleOf struct {
	rule *Rule
	node *Node
}

func bundleRules() []ruleOf {
	var out []ruleOf
	seen := map[*Node]bool{}
	var walk func(n *Node)
	walk = func(n *Node) {
		if n == nil || seen[n] {
			return
		}
		seen[n] = true
		for _, r := range n.Rules {
			out = append(out, ruleOf{r, n})
		}
		for _, name := range n.Fields() {
			walk(n.Properties[name])
		}
		walk(n.Items)
		walk(n.Additional)
	}
	for _, k := range Embedded().Kinds {
		walk(k.Root)
	}
	return out
}

// imagine makes a value of a schema, and now and then one of no schema.
func imagine(rng *rand.Rand, n *Node, depth int) any {
	words := []string{"", "a", "b", "/", "/a//b", "/a/./b", "/a%2f", "x/../y", "/..", "*", "10.0.0.1", "Exact", "1s", "5m", "not a duration", "100%", "é"}
	if n != nil {
		words = append(words, n.Enum...)
	}
	if n == nil || rng.IntN(40) == 0 {
		return []any{words[rng.IntN(len(words))], int64(rng.IntN(700)), true, []any{}, map[string]any{}, 1.5}[rng.IntN(6)]
	}
	switch n.Type {
	case Object:
		m := map[string]any{}
		for _, name := range n.Fields() {
			if rng.IntN(3+depth) < 2 {
				m[name] = imagine(rng, n.Properties[name], depth+1)
			}
		}
		if n.Additional != nil {
			for range rng.IntN(3) {
				m[words[rng.IntN(len(words))]] = imagine(rng, n.Additional, depth+1)
			}
		}
		return m
	case Array:
		list := []any{}
		for range rng.IntN(4) {
			list = append(list, imagine(rng, n.Items, depth+1))
		}
		return list
	case Integer:
		return int64(rng.IntN(700) - 10)
	case Number:
		return float64(rng.IntN(100)) / 4
	case Boolean:
		return rng.IntN(2) == 0
	case IntOrString:
		if rng.IntN(2) == 0 {
			return int64(rng.IntN(120))
		}
	}
	if len(n.Enum) > 0 && rng.IntN(4) > 0 {
		return n.Enum[rng.IntN(len(n.Enum))]
	}
	return words[rng.IntN(len(words))]
}

// TestQuickEqualsCEL asks the closures and the library the same about every
// rule of the bundle.
func TestQuickEqualsCEL(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	checked, slow, unsure := 0, 0, 0
	for _, x := range bundleRules() {
		if err := x.rule.Compile(); err != nil {
			t.Fatal(err)
		}
		if x.rule.quick == nil {
			slow++
		}
		results := map[bool]int{}
		for range 300 {
			v := imagine(rng, x.node, 0)
			got, sure := x.rule.quick.holds(v)
			if !sure {
				continue
			}
			want, err := x.rule.checkByCEL(v)
			if err != nil || got != want {
				t.Fatalf("%s\non %s:\nquick says %v, CEL %v, %v", x.rule.Source, fmt.Sprintf("%#v", v), got, want, err)
			}
			results[got]++
			checked++
		}
		if x.rule.quick != nil && results[true]+results[false] < 30 {
			unsure++
			t.Logf("%s: sure of %v of 300 values only", x.rule.Source, results)
		}
	}
	if checked < 10_000 || slow > 20 || unsure > 2 {
		t.Errorf("checked %d values; %d rules have no quick form, %d are seldom sure", checked, slow, unsure)
	}
}

func TestQuickAllocatesLittle(t *testing.T) {
	r := &Rule{Source: "self.all(p, !has(p.name) || self.exists_one(q, has(q.name) && q.name == p.name))"}
	var self any = []any{map[string]any{"name": "a"}, map[string]any{"name": "b"}, map[string]any{}}
	if ok, err := r.Check(self); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if n := testing.AllocsPerRun(100, func() {
		if ok, _ := r.Check(self); !ok {
			t.Fatal("does not hold")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
