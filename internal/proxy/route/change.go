package route

import "github.com/gridway/gridway/internal/ir"

// Change is a route in the place of another, under the same hostnames of the
// same section.
type Change[T any] struct {
	// Section is the section's place in what the table was built of.
	Section  int
	Was      *ir.Route
	Attached Attached[T]
}

// With returns the table as it is with some routes in the place of others, for
// what these take rather than for what all take. Sections are as Build was given
// them, perhaps other pointers. ok is false if the table has to be built anew,
// because the hostnames or the routes are not those of the table.
func (t *Table[T]) With(sections []*ir.Section, changes []Change[T]) (with *Table[T], ok bool) {
	if len(sections) != len(t.places) {
		return nil, false
	}
	out := &Table[T]{places: t.places, ordered: make([]*group[T], len(t.ordered))}
	edits := make([]*groupEdit[T], len(t.ordered))
	for i, g := range t.ordered {
		copied := *g
		copied.sections = make([]*ir.Section, len(g.sections))
		out.ordered[i], edits[i] = &copied, &groupEdit[T]{group: &copied, hosts: map[int32]*hostEdit[T]{}}
		out.sections.set(g.hostname, &copied)
	}
	for i, s := range sections {
		g := out.ordered[t.places[i].group]
		if normalHost(s.Hostname) != g.hostname {
			return nil, false
		}
		g.sections[t.places[i].section] = s
	}
	for i := range changes {
		c := &changes[i]
		if c.Section >= len(t.places) || len(c.Attached.Values) != len(c.Attached.Route.Rules) {
			return nil, false
		}
		at := t.places[c.Section]
		hostnames := c.Attached.Hostnames
		if len(hostnames) == 0 {
			hostnames = []string{""}
		}
		for _, hostname := range hostnames {
			if !edits[at.group].change(normalHost(hostname), at.section, c) {
				return nil, false
			}
		}
	}
	for _, e := range edits {
		if !e.finish() {
			return nil, false
		}
	}
	return out, true
}

// groupEdit is a group that gets other routes.
type groupEdit[T any] struct {
	*group[T]
	hosts map[int32]*hostEdit[T]
}

// hostEdit is a host that gets other routes.
type hostEdit[T any] struct {
	routes *editor[hosted[T]]
	// changed are routes of other targets, by their places.
	changed map[int32]bool
	rebuild bool // some of them have other matches
}

func (g *groupEdit[T]) change(hostname string, section int, c *Change[T]) bool {
	n, ok := g.group.hosts.get(hostname)
	if !ok {
		return false
	}
	h := g.hosts[n]
	if h == nil {
		h = &hostEdit[T]{routes: g.list.at(n).routes.edit(), changed: map[int32]bool{}}
		g.hosts[n] = h
	}
	x := hosted[T]{section: section, route: c.Attached.Route, values: c.Attached.Values}
	found := false
	for i := range int32(h.routes.len()) {
		was := h.routes.at(i)
		if was.section != section || was.route != c.Was {
			// A hostname that is named twice was changed already.
			found = found || h.changed[i] && identicalRoute(was, &x)
			continue
		}
		found = true
		h.rebuild = h.rebuild || !sameRoute(&x, was)
		h.changed[i] = true
		*h.routes.item(i) = x
	}
	return found
}

func (g *groupEdit[T]) finish() bool {
	if len(g.hosts) == 0 {
		return true
	}
	list := g.list.edit()
	for n, e := range g.hosts {
		h := list.item(n)
		h.routes = e.routes.vec
		if e.rebuild {
			routes := make([]hosted[T], h.routes.len())
			for i := range routes {
				routes[i] = *h.routes.at(int32(i))
			}
			old := *g.list.at(n)
			if err := h.build(routes, &old); err != nil {
				return false
			}
			continue
		}
		targets := h.targets.edit()
		for i := range h.tree.entries {
			if x := &h.tree.entries[i]; e.changed[x.route] {
				*targets.item(int32(i)) = targetOf(x, h.routes.at(x.route))
			}
		}
		h.targets = targets.vec
	}
	g.list = list.vec
	return true
}
