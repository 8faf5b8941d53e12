package route

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// tree holds the rules of one hostname. It depends on the routes alone and not
// on the values that a Table gives to their rules, so the next Table can keep it.
type tree struct {
	seed    maphash.Seed
	nodes   []node
	slots   []slot
	text    string // of long labels
	entries []entry
	// patterns are for the next tree.
	patterns patterns
	// clean says that no match is shadowed; Shadowed finds that out.
	clean atomic.Bool
}

// entry is one match of one rule. Entries of a span are in order of precedence.
type entry struct {
	cond    *conditions
	pattern *pattern // for a regular expression
	// rank orders the regular expressions of a tree, whichever node holds them.
	rank               int32
	route, rule, match int32 // indices into the routes that the tree was built from
}

// newTree takes over from old, which may be nil, what is expensive to make.
func newTree(routes []*ir.Route, old *tree) (*tree, error) {
	c := compiler{patterns: make(patterns)}
	if old != nil {
		c.before = old.patterns
	}
	candidates, err := c.collect(routes)
	if err != nil {
		return nil, err
	}
	t := &tree{seed: maphash.MakeSeed(), patterns: c.patterns}
	b := builder{tree: t}
	room := len(candidates) + len(candidates)/8 + 8 // some nodes only divide a label
	b.drafts = make([]draft, 0, room)
	b.tables = make([]table, 0, room)
	b.newNode("")
	for i := range candidates {
		candidates[i].node = b.place(&candidates[i])
	}
	b.fill(candidates)
	b.finish()
	return t, nil
}

// compiler turns matches into candidates.
type compiler struct{ patterns, before patterns }

// value returns the pattern of a regular expression, and nil for an exact value.
func (c *compiler) value(v *ir.ValueMatch) (*pattern, error) {
	if v.Type != ir.Regex {
		return nil, nil
	}
	return c.patterns.get(v.Value, c.before)
}

// collect lists the matches of all rules with what precedence needs.
func (c *compiler) collect(routes []*ir.Route) ([]candidate, error) {
	age, total := ages(routes)
	out := make([]candidate, 0, total)
	for i, r := range routes {
		for j, rule := range r.Rules {
			for k := range rule.Matches {
				x, err := c.candidate(&rule.Matches[k])
				if err != nil {
					return nil, fmt.Errorf("%s, match %d: %w", rule.ID, k, err)
				}
				x.age, x.route, x.rule, x.match = age[i], int32(i), int32(j), int32(k)
				out = append(out, x)
			}
		}
	}
	return out, nil
}

// ages numbers the routes from the oldest, and counts their matches.
func ages(routes []*ir.Route) (age []int32, matches int) {
	order := make([]int32, len(routes))
	for i, r := range routes {
		order[i] = int32(i)
		for _, rule := range r.Rules {
			matches += len(rule.Matches)
		}
	}
	if !slices.IsSortedFunc(routes, compareAge) {
		slices.SortStableFunc(order, func(a, b int32) int { return compareAge(routes[a], routes[b]) })
	}
	age = make([]int32, len(routes))
	for place, i := range order {
		age[i] = int32(place)
	}
	return age, matches
}

func (c *compiler) candidate(m *ir.Match) (candidate, error) {
	x := candidate{class: classOf(m.Path.Type), method: m.Method != "", path: m.Path.Value}
	var err error
	if x.cond, err = compileConditions(m, c); err != nil {
		return x, err
	}
	if x.cond != nil {
		x.headers, x.query = int32(len(x.cond.headers)), int32(len(x.cond.query))
	}
	switch x.class {
	case classRegex:
		x.pattern, err = c.patterns.get(x.path, c.before)
	case classPrefix:
		x.path = strings.TrimRight(normalPath(x.path), "/")
	default:
		x.path = normalPath(x.path)
	}
	x.length = int32(len(x.path))
	if g := m.GRPC; g != nil && x.class == classRegex {
		x.length = rankOf(g)
	}
	return x, err
}

// normalPath gives a configured path the form in which request paths come.
func normalPath(p string) string {
	if out, ok := httpmsg.NormalizePath(nil, []byte(p), false); ok && string(out) != p {
		return string(out)
	}
	return p
}

// place returns the node that holds a candidate. A regular expression stays at
// the whole segments that all of its matches start with.
func (b *builder) place(c *candidate) int32 {
	path := c.path
	if c.class == classRegex {
		literal := string(c.pattern.literal)
		if !strings.HasPrefix(literal, "/") {
			return 0
		}
		path = literal[:strings.LastIndexByte(literal, '/')]
	}
	if !strings.HasPrefix(path, "/") {
		return 0
	}
	return b.insert(path[1:])
}

// fill puts the candidates into entries, those of a span side by side and in
// order. It counts and places rather than sorts: nearly all spans hold one.
func (b *builder) fill(candidates []candidate) {
	for i := range candidates {
		b.spanOf(&candidates[i]).end++
	}
	next := int32(0)
	for i := range b.drafts {
		n := &b.drafts[i]
		for _, s := range []*span{&n.exact, &n.regex, &n.prefix} {
			count := s.end
			s.start, s.end = next, next
			next += count
		}
	}
	order := make([]int32, len(candidates))
	for i := range candidates {
		s := b.spanOf(&candidates[i])
		order[s.end] = int32(i)
		s.end++
	}
	byPrecedence := func(a, b int32) int { return compareCandidates(&candidates[a], &candidates[b]) }
	var regexes []int32
	for i := range b.drafts {
		n := &b.drafts[i]
		for _, s := range [...]span{n.exact, n.regex, n.prefix} {
			if s.end-s.start > 1 {
				slices.SortFunc(order[s.start:s.end], byPrecedence)
			}
		}
		regexes = append(regexes, order[n.regex.start:n.regex.end]...)
	}
	slices.SortFunc(regexes, byPrecedence)
	rank := make(map[int32]int32, len(regexes))
	for r, i := range regexes {
		rank[i] = int32(r)
	}
	b.entries = make([]entry, len(order))
	for at, i := range order {
		c := &candidates[i]
		b.entries[at] = entry{cond: c.cond, pattern: c.pattern, rank: rank[i], route: c.route, rule: c.rule, match: c.match}
	}
}

func (b *builder) spanOf(c *candidate) *span {
	n := &b.drafts[c.node]
	switch c.class {
	case classExact:
		return &n.exact
	case classRegex:
		return &n.regex
	default:
		return &n.prefix
	}
}

// find returns the entry that serves the request, or -1.
func (t *tree) find(r *httpmsg.Request) int32 {
	path := r.Path
	if len(path) == 0 || path[0] != '/' {
		path = nil // "*" of OPTIONS: the prefix "/" matches every request
	}
	exact, prefix, regex := t.walk(path)
	if exact != noNode && path != nil {
		if n := &t.nodes[exact]; n.plain&plainExact != 0 {
			return n.first
		} else if i := t.first(n.exact(), r); i >= 0 {
			return i
		}
	}
	if regex != noNode {
		if i := t.findRegex(regex, r); i >= 0 {
			return i
		}
	}
	for ; prefix != noNode; prefix = t.nodes[prefix].upPrefix {
		if n := &t.nodes[prefix]; n.plain&plainPrefix != 0 {
			return n.regexEnd
		} else if i := t.first(n.prefix(), r); i >= 0 {
			return i
		}
	}
	return -1
}

func (t *tree) first(s span, r *httpmsg.Request) int32 {
	for i := s.start; i < s.end; i++ {
		if t.entries[i].cond.hold(r) {
			return i
		}
	}
	return -1
}

// findRegex tries the expressions of a node and of its ancestors in the order
// of their ranks, which crosses from one node to another.
func (t *tree) findRegex(at int32, r *httpmsg.Request) int32 {
	if t.nodes[at].upRegex == noNode {
		s := t.nodes[at].regex()
		for i := s.start; i < s.end; i++ {
			if t.entries[i].pattern.match(r.Path) && t.entries[i].cond.hold(r) {
				return i
			}
		}
		return -1
	}
	for i := t.nextRegex(at, 0); i >= 0; i = t.nextRegex(at, t.entries[i].rank+1) {
		if e := &t.entries[i]; e.pattern.match(r.Path) && e.cond.hold(r) {
			return i
		}
	}
	return -1
}

// nextRegex returns the entry of the lowest rank that is at least rank, among
// those of a node and its ancestors; -1 if there is none.
func (t *tree) nextRegex(at, rank int32) int32 {
	best := int32(-1)
	for ; at != noNode; at = t.nodes[at].upRegex {
		i := t.atRank(t.nodes[at].regex(), rank)
		if i >= 0 && (best < 0 || t.entries[i].rank < t.entries[best].rank) {
			best = i
		}
	}
	return best
}

// atRank returns the first entry of the span whose rank is at least rank, or -1.
func (t *tree) atRank(s span, rank int32) int32 {
	in := t.entries[s.start:s.end]
	i, _ := slices.BinarySearchFunc(in, rank, func(e entry, rank int32) int { return int(e.rank - rank) })
	if i == len(in) {
		return -1
	}
	return s.start + int32(i)
}
