package route

import (
	"fmt"
	"slices"

	"github.com/gridway/gridway/internal/ir"
)

// Build makes a table. What prev, which may be nil, has built for a hostname is
// kept if routes with the same matches are attached under it in the same order.
// Those of one *ir.Route are the same, those of two with equal names and non-zero
// hashes are too, and others are compared: so a change of backends, filters or
// policies costs next to nothing.
//
// It fails only on a regular expression that does not compile, and on a number
// of values that differs from the number of rules; compile rules both out.
func Build[T any](sections []Section[T], prev *Table[T]) (*Table[T], error) {
	t := &Table[T]{}
	for i := range sections {
		if err := t.add(&sections[i], prev); err != nil {
			return nil, err
		}
	}
	for _, g := range t.ordered {
		var before *group[T]
		if prev != nil {
			before, _ = prev.sections.get(g.hostname)
		}
		for _, h := range g.ordered {
			var old *host[T]
			if before != nil {
				old, _ = before.hosts.get(h.name)
			}
			if err := h.build(old); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

func (t *Table[T]) add(s *Section[T], prev *Table[T]) error {
	name := normalHost(s.Section.Hostname)
	var before *group[T] // its sizes are a good guess at what comes
	if prev != nil {
		before, _ = prev.sections.get(name)
	}
	g, ok := t.sections.get(name)
	if !ok {
		g = &group[T]{hostname: name}
		if before != nil {
			g.hosts.sizeLike(&before.hosts)
			g.ordered = make([]*host[T], 0, len(before.ordered))
			g.spare = make([]host[T], len(before.ordered))
		}
		t.sections.set(name, g)
		t.ordered = append(t.ordered, g)
	}
	g.sections = append(g.sections, s.Section)
	for i := range s.Routes {
		a := &s.Routes[i]
		if len(a.Values) != len(a.Route.Rules) {
			return fmt.Errorf("%s has %d rules and %d values", a.Route.Name, len(a.Route.Rules), len(a.Values))
		}
		x := hosted[T]{section: len(g.sections) - 1, route: a.Route, values: a.Values}
		if len(a.Hostnames) == 0 {
			g.attach("", x, before)
		}
		for _, hostname := range a.Hostnames {
			g.attach(normalHost(hostname), x, before)
		}
	}
	return nil
}

func (g *group[T]) attach(hostname string, x hosted[T], before *group[T]) {
	h, ok := g.hosts.get(hostname)
	if !ok {
		h = g.newHost()
		h.name, h.routes = hostname, h.first[:0]
		if before != nil {
			if old, ok := before.hosts.get(hostname); ok && len(old.routes) > 1 {
				h.routes = make([]hosted[T], 0, len(old.routes))
			}
		}
		g.hosts.set(hostname, h)
		g.ordered = append(g.ordered, h)
	}
	// A hostname that is named twice attaches the route once.
	if n := len(h.routes); n > 0 && h.routes[n-1].route == x.route && h.routes[n-1].section == x.section {
		return
	}
	h.routes = append(h.routes, x)
}

func (g *group[T]) newHost() *host[T] {
	if len(g.spare) == 0 {
		return new(host[T])
	}
	h := &g.spare[0]
	g.spare = g.spare[1:]
	return h
}

// build makes the tree, or takes the one of old, and points its entries at the
// rules and values of this table.
func (h *host[T]) build(old *host[T]) error {
	if old != nil && slices.EqualFunc(h.routes, old.routes, sameRoute) {
		h.tree = old.tree
	} else {
		routes := make([]*ir.Route, len(h.routes))
		for i := range h.routes {
			routes[i] = h.routes[i].route
		}
		var err error
		var before *tree
		if old != nil {
			before = old.tree
		}
		if h.tree, err = newTree(routes, before); err != nil {
			return err
		}
	}
	if old != nil && slices.EqualFunc(h.routes, old.routes, identical) {
		h.targets = old.targets
		return nil
	}
	h.targets = make([]target[T], len(h.tree.entries))
	for i := range h.tree.entries {
		e := &h.tree.entries[i]
		x := &h.routes[e.route]
		rule := x.route.Rules[e.rule]
		h.targets[i] = target[T]{
			section: x.section,
			route:   x.route,
			rule:    rule,
			match:   &rule.Matches[e.match],
			value:   x.values[e.rule],
		}
	}
	return nil
}

// identical tells whether targets of a are targets of b.
func identical[T any](a, b hosted[T]) bool {
	return a.route == b.route && a.section == b.section && len(a.values) == len(b.values) &&
		(len(a.values) == 0 || &a.values[0] == &b.values[0])
}

// sameRoute tells whether both routes make the same tree.
func sameRoute[T any](a, b hosted[T]) bool {
	x, y := a.route, b.route
	if x == y {
		return true
	}
	if x.Name != y.Name {
		return false
	}
	if x.Hash != 0 && x.Hash == y.Hash {
		return true
	}
	return compareAge(x, y) == 0 && slices.EqualFunc(x.Rules, y.Rules, func(a, b *ir.Rule) bool {
		return a == b || slices.EqualFunc(a.Matches, b.Matches, sameMatch)
	})
}

func sameMatch(a, b ir.Match) bool {
	return a.Path == b.Path && a.Method == b.Method && slices.Equal(a.Headers, b.Headers) && slices.Equal(a.Query, b.Query)
}
