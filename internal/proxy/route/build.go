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
	var b tableBuilder[T]
	for i := range sections {
		if err := b.add(&sections[i], prev); err != nil {
			return nil, err
		}
	}
	for _, g := range b.groups {
		var before *group[T]
		if prev != nil {
			before, _ = prev.sections.get(g.hostname)
		}
		if err := g.finish(before); err != nil {
			return nil, err
		}
	}
	return &b.table, nil
}

// tableBuilder gathers what a table is made of.
type tableBuilder[T any] struct {
	table  Table[T]
	groups []*groupBuilder[T] // parallel to table.ordered
}

// groupBuilder gathers the hosts of a group.
type groupBuilder[T any] struct {
	*group[T]
	hosts []host[T]
	// routes are those of each host; first has room for the usual number of one.
	routes [][]hosted[T]
	first  []hosted[T]
}

func (b *tableBuilder[T]) add(s *Section[T], prev *Table[T]) error {
	name := normalHost(s.Section.Hostname)
	var before *group[T] // its sizes are a good guess at what comes
	if prev != nil {
		before, _ = prev.sections.get(name)
	}
	n := slices.IndexFunc(b.groups, func(g *groupBuilder[T]) bool { return g.hostname == name })
	if n < 0 {
		g := &groupBuilder[T]{group: &group[T]{hostname: name}}
		if before != nil {
			size := before.list.len()
			g.group.hosts.sizeLike(&before.hosts)
			g.hosts, g.routes, g.first = make([]host[T], 0, size), make([][]hosted[T], 0, size), make([]hosted[T], size)
		}
		n = len(b.groups)
		b.groups = append(b.groups, g)
		b.table.sections.set(name, g.group)
		b.table.ordered = append(b.table.ordered, g.group)
	}
	g := b.groups[n]
	b.table.places = append(b.table.places, place{n, len(g.sections)})
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

func (g *groupBuilder[T]) attach(hostname string, x hosted[T], before *group[T]) {
	n, ok := g.group.hosts.get(hostname)
	if !ok {
		n = int32(len(g.hosts))
		room := g.room()
		if before != nil {
			if i, ok := before.hosts.get(hostname); ok {
				if old := before.list.at(i).routes.len(); old > 1 {
					room = make([]hosted[T], 0, old)
				}
			}
		}
		g.hosts = append(g.hosts, host[T]{name: hostname})
		g.routes = append(g.routes, room)
		g.group.hosts.set(hostname, n)
	}
	// A hostname that is named twice attaches the route once.
	routes := g.routes[n]
	if last := len(routes) - 1; last >= 0 && routes[last].route == x.route && routes[last].section == x.section {
		return
	}
	g.routes[n] = append(routes, x)
}

func (g *groupBuilder[T]) room() []hosted[T] {
	if len(g.first) == 0 {
		g.first = make([]hosted[T], 64)
	}
	room := g.first[:0:1]
	g.first = g.first[1:]
	return room
}

// finish makes the hosts' trees, with what before, which may be nil, has of them.
func (g *groupBuilder[T]) finish(before *group[T]) error {
	for i := range g.hosts {
		h := &g.hosts[i]
		h.routes = newVec(g.routes[i])
		var old *host[T]
		if before != nil {
			if n, ok := before.hosts.get(h.name); ok {
				old = before.list.at(n)
			}
		}
		if err := h.build(g.routes[i], old); err != nil {
			return err
		}
	}
	g.list = newVec(g.hosts)
	return nil
}

// build makes the tree, or takes the one of old, and points its entries at the
// rules and values of this table.
func (h *host[T]) build(routes []hosted[T], old *host[T]) error {
	same, identical := old != nil && old.routes.len() == len(routes), true
	for i := 0; same && i < len(routes); i++ {
		was := old.routes.at(int32(i))
		same = sameRoute(&routes[i], was)
		identical = identical && same && identicalRoute(&routes[i], was)
	}
	switch {
	case same && identical:
		h.tree, h.targets = old.tree, old.targets
		return nil
	case same:
		h.tree = old.tree
	default:
		plain := make([]*ir.Route, len(routes))
		for i := range routes {
			plain[i] = routes[i].route
		}
		var before *tree
		if old != nil {
			before = old.tree
		}
		var err error
		if h.tree, err = newTree(plain, before); err != nil {
			return err
		}
	}
	targets := make([]target[T], len(h.tree.entries))
	for i := range h.tree.entries {
		e := &h.tree.entries[i]
		targets[i] = targetOf(e, &routes[e.route])
	}
	h.targets = newVec(targets)
	return nil
}

// targetOf is what an entry leads to.
func targetOf[T any](e *entry, x *hosted[T]) target[T] {
	rule := x.route.Rules[e.rule]
	return target[T]{section: x.section, route: x.route, rule: rule, match: &rule.Matches[e.match], value: x.values[e.rule]}
}

// identicalRoute tells whether targets of a are targets of b.
func identicalRoute[T any](a, b *hosted[T]) bool {
	return a.route == b.route && a.section == b.section && len(a.values) == len(b.values) &&
		(len(a.values) == 0 || &a.values[0] == &b.values[0])
}

// sameRoute tells whether both routes make the same tree.
func sameRoute[T any](a, b *hosted[T]) bool {
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
	return a.Path == b.Path && sameGRPC(a.GRPC, b.GRPC) && a.Method == b.Method && slices.Equal(a.Headers, b.Headers) && slices.Equal(a.Query, b.Query)
}

func sameGRPC(a, b *ir.GRPCMatch) bool { return a == b || a != nil && b != nil && *a == *b }
