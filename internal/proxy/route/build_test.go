package route_test

import (
	"fmt"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/route"
)

// A change of everything but matches keeps the tree, but the answer is of the
// new configuration.
func TestTreeIsKept(t *testing.T) {
	sections := shop(5000, false)
	first, err := route.Build(sections, nil)
	if err != nil {
		t.Fatal(err)
	}
	fresh := testing.AllocsPerRun(3, func() {
		if _, err := route.Build(sections, nil); err != nil {
			t.Fatal(err)
		}
	})
	for i := range sections[0].Routes {
		a := &sections[0].Routes[i]
		next := *a.Route
		old := next.Rules[0]
		next.Rules = []*ir.Rule{{ID: old.ID, Matches: append([]ir.Match(nil), old.Matches...), Name: "next"}}
		next.Hash = 0
		a.Route = &next
		a.Values = []int{-i}
	}
	var second *route.Table[int]
	kept := testing.AllocsPerRun(3, func() {
		if second, err = route.Build(sections, first); err != nil {
			t.Fatal(err)
		}
	})
	if kept > 15 || kept >= fresh {
		t.Errorf("%v allocations, a fresh table takes %v", kept, fresh)
	}
	r := request("GET", "h", "/api/service-4321/x", "")
	m, _ := second.Match(r, "")
	if m.Value != -4321 || m.Rule.Name != "next" || m.Match != &m.Rule.Matches[0] || m.Route != sections[0].Routes[4321].Route {
		t.Errorf("matched %+v", m)
	}
	if m, _ := first.Match(r, ""); m.Value != 4321 || m.Rule.Name != "" {
		t.Errorf("the old table has changed: %+v", m)
	}
}

// Equal hashes of routes with equal names stand for equal matches.
func TestHashIsTrusted(t *testing.T) {
	sections := shop(1, false)
	first, _ := route.Build(sections, nil)
	next := *sections[0].Routes[0].Route
	next.Rules = []*ir.Rule{{ID: "x", Matches: []ir.Match{prefix("/other")}}}
	sections[0].Routes[0].Route = &next
	kept, _ := route.Build(sections, first)
	if _, ok := kept.Match(request("GET", "h", "/api/service-0", ""), ""); !ok {
		t.Error("a route of the same hash was built again")
	}
	changed := next
	changed.Hash++
	sections[0].Routes[0].Route = &changed
	built, _ := route.Build(sections, first)
	if _, ok := built.Match(request("GET", "h", "/other", ""), ""); !ok {
		t.Error("a route of another hash was not built again")
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	v := func(name, value string, kind ir.MatchType) []ir.ValueMatch {
		return []ir.ValueMatch{{Name: name, Type: kind, Value: value}}
	}
	table := build(t, section("*.example.com", attach("r", []string{"*.example.com", "a.example.com"},
		rule("regex", path(ir.Regex, "/items/[0-9]+/.*")),
		rule("header", ir.Match{Path: ir.PathMatch{Type: ir.Prefix, Value: "/a/b"}, Headers: v("X-A", "1", ir.Exact)}),
		rule("header regex", ir.Match{Path: ir.PathMatch{Type: ir.Prefix, Value: "/a/b"}, Headers: v("X-B", "[a-z]+", ir.Regex)}),
		rule("query", ir.Match{Path: ir.PathMatch{Type: ir.Prefix, Value: "/a/b"}, Query: v("q", "x y", ir.Exact)}),
		rule("prefix", prefix("/a")),
	)))
	for _, c := range []struct {
		want, path, query string
		headers           []string
	}{
		{"regex", "/items/42/x", "", nil},
		{"header", "/a/b/c", "", []string{"X-A", "1"}},
		{"header regex", "/a/b/c", "", []string{"X-A", "2", "X-B", "abc"}},
		{"query", "/a/b/c", "p=1&q=x%20y", nil},
		{"prefix", "/a/b/c", "q=1", []string{"X-A", "2"}},
		{"", "/none", "", nil},
	} {
		x := request("GET", "a.example.com:8443", c.path, c.query, c.headers...)
		x.Scheme = "https"
		if m, _ := table.Match(x, "A.example.com"); m.Value != c.want {
			t.Errorf("%s: matched %q", c.want, m.Value)
		}
		if n := testing.AllocsPerRun(100, func() { table.Match(x, "A.example.com") }); n != 0 {
			t.Errorf("%s: %v allocations", c.want, n)
		}
	}
}

// A change beside regular expressions does not compile them again.
func TestPatternsAreKept(t *testing.T) {
	rules := []*ir.Rule{}
	for i := range 200 {
		rules = append(rules, rule(fmt.Sprint(i), path(ir.Regex, fmt.Sprintf("/r%d/[0-9a-f]+/(x|y)*", i))))
	}
	sections := []route.Section[string]{section("", attach("regexes", nil, rules...), attach("changing", nil, rule("c", prefix("/c"))))}
	table := build(t, sections...)
	changed := *sections[0].Routes[1].Route
	changed.Rules = []*ir.Rule{rule("c", prefix("/d"))}
	sections[0].Routes[1].Route = &changed
	fresh := testing.AllocsPerRun(1, func() { build(t, sections...) })
	kept := testing.AllocsPerRun(1, func() {
		if _, err := route.Build(sections, table); err != nil {
			t.Fatal(err)
		}
	})
	if kept*10 > fresh {
		t.Errorf("%v allocations, a fresh table takes %v", kept, fresh)
	}
}

// A route that is kept belongs to the section of the new configuration.
func TestSectionIsTheNewOne(t *testing.T) {
	sections := shop(3, true)
	first, err := route.Build(sections, nil)
	if err != nil {
		t.Fatal(err)
	}
	sections[0].Section = &ir.Section{Name: "new"}
	second, err := route.Build(sections, first)
	if err != nil {
		t.Fatal(err)
	}
	m, ok := second.Match(request("GET", "h1.example.com", "/api/service-1", ""), "")
	if !ok || m.Section.Name != "new" || m.Value != 1 {
		t.Errorf("matched %+v", m)
	}
}
