package route

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/ir"
)

// Shadow is a match that can never serve a request under one hostname.
type Shadow struct {
	Section  *ir.Section
	Hostname string // under which the route is attached; empty is any
	Route    *ir.Route
	Rule     *ir.Rule
	// Match is the place in Rule.Matches.
	Match int

	// ByRule and ByMatch are the match that always goes first; ByRoute is its
	// route. All are nil or zero if BySection is set.
	ByRoute *ir.Route
	ByRule  *ir.Rule
	ByMatch int
	// BySection is the section that all requests for the hostname belong to.
	BySection *ir.Section

	// Dead says that nothing of the rule is reachable in the whole table.
	Dead bool
	// Why is a sentence for people.
	Why string
}

// Shadowed lists the matches that can never serve a request, because another
// one goes before them for every request that they would match, or because
// their hostname belongs to another section. What it lists is certain; it does
// not find everything, as it compares regular expressions by their text, except
// for those that end in ".*".
func (t *Table[T]) Shadowed() []Shadow {
	var out []Shadow
	live := make(map[*ir.Rule]bool)
	var clean []*host[T] // in which every target is live
	for _, g := range t.ordered {
		for i := range g.list.len() {
			h := g.list.at(int32(i))
			if owner := t.owner(g, h.name); owner != g {
				out = h.isolated(out, g, owner.sections[0])
				continue
			}
			// Whether there is anything depends on the tree alone, which
			// tables share while matches stay.
			if h.tree.clean.Load() {
				clean = append(clean, h)
				continue
			}
			before := len(out)
			if out = h.shadowed(out, g, live); len(out) == before {
				h.tree.clean.Store(true)
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	for _, h := range clean {
		for i := range h.targets.len() {
			live[h.targets.at(int32(i)).rule] = true
		}
	}
	for i := range out {
		out[i].Dead = !live[out[i].Rule]
	}
	return out
}

// owner returns the group that serves every host of the hostname, or g itself
// if some of them are left to it.
func (t *Table[T]) owner(g *group[T], hostname string) *group[T] {
	if len(t.ordered) == 1 {
		return g
	}
	// For a wildcard, "*" stands for every label: only a section with the same
	// or a wider wildcard takes all of its hosts.
	probe := []byte(hostname)
	if hostname == "" || !covers(g.hostname, probe) {
		return g
	}
	if owner, ok := t.sections.best(probe); ok {
		return owner
	}
	return g
}

func (h *host[T]) isolated(out []Shadow, g *group[T], owner *ir.Section) []Shadow {
	for i := range h.targets.len() {
		s := h.shadow(g, int32(i))
		s.BySection = owner
		s.Why = fmt.Sprintf("requests for %s belong to %s, whose hostname %q is more specific", hostText(h.name), owner.Name, owner.Hostname)
		out = append(out, s)
	}
	return out
}

func (h *host[T]) shadow(g *group[T], i int32) Shadow {
	x := h.targets.at(i)
	return Shadow{Section: g.sections[x.section], Hostname: h.name, Route: x.route, Rule: x.rule, Match: int(h.tree.entries[i].match)}
}

func (h *host[T]) shadowed(out []Shadow, g *group[T], live map[*ir.Rule]bool) []Shadow {
	first := make(map[string]int32)
	wide := h.wideRegexes()
	for i := range h.targets.len() {
		i := int32(i)
		match := h.targets.at(i).match
		conditions := conditionKeys(match)
		key := pathKey(match) + "\x00" + strings.Join(conditions, "\x00")
		by, found := first[key]
		if !found {
			first[key] = i
			by, found = h.widest(wide, i, conditions)
		}
		if !found {
			live[h.targets.at(i).rule] = true
			continue
		}
		if h.targets.at(by).rule == h.targets.at(i).rule {
			continue // a match that is given twice is no mistake worth a warning
		}
		s := h.shadow(g, i)
		winner := Candidate{Hostname: h.name, Route: h.targets.at(by).route, Rule: h.targets.at(by).rule, Match: int(h.tree.entries[by].match)}
		loser := Candidate{Hostname: h.name, Route: s.Route, Rule: s.Rule, Match: s.Match}
		s.ByRoute, s.ByRule, s.ByMatch = winner.Route, winner.Rule, winner.Match
		s.Why = precedenceText(&winner, &loser)
		out = append(out, s)
	}
	return out
}

// wideRegexes are the expressions that match everything after a literal.
func (h *host[T]) wideRegexes() (wide []int32) {
	for i := range h.tree.entries {
		if p := h.tree.entries[i].pattern; p != nil && p.any {
			wide = append(wide, int32(i))
		}
	}
	return wide
}

// widest returns a wide regular expression that goes before entry i and matches
// all that it matches.
func (h *host[T]) widest(wide []int32, i int32, conditions []string) (int32, bool) {
	e, match := &h.tree.entries[i], h.targets.at(i).match
	for _, w := range wide {
		we := &h.tree.entries[w]
		literal := string(we.pattern.literal)
		var all bool
		switch match.Path.Type {
		case ir.Exact:
			continue // goes before every regular expression
		case ir.Regex:
			all = we.rank < e.rank && strings.HasPrefix(string(e.pattern.literal), literal)
		default:
			path := strings.TrimRight(normalPath(match.Path.Value), "/")
			all = strings.HasPrefix(path, literal) || literal == "/"
		}
		if all && subset(conditionKeys(h.targets.at(w).match), conditions) {
			return w, true
		}
	}
	return 0, false
}

func subset(a, b []string) bool {
	for _, s := range a {
		if !slices.Contains(b, s) {
			return false
		}
	}
	return true
}

func pathKey(m *ir.Match) string {
	switch m.Path.Type {
	case ir.Regex:
		return "~" + m.Path.Value
	case ir.Exact:
		return "=" + normalPath(m.Path.Value)
	}
	return "^" + strings.TrimRight(normalPath(m.Path.Value), "/")
}

// conditionKeys lists the conditions of a match beside the path, sorted, so
// that equal sets are equal lists.
func conditionKeys(m *ir.Match) (keys []string) {
	if m.Method != "" {
		keys = append(keys, "m\x01"+m.Method)
	}
	for i := range m.Headers {
		if v := &m.Headers[i]; !repeated(m.Headers[:i], v.Name, true) {
			keys = append(keys, "h\x01"+strings.ToLower(v.Name)+"\x01"+typeKey(v)+v.Value)
		}
	}
	for i := range m.Query {
		if v := &m.Query[i]; !repeated(m.Query[:i], v.Name, false) {
			keys = append(keys, "q\x01"+v.Name+"\x01"+typeKey(v)+v.Value)
		}
	}
	slices.Sort(keys)
	return keys
}

func typeKey(v *ir.ValueMatch) string {
	if v.Type == ir.Regex {
		return "~"
	}
	return "="
}
