package route

import (
	"fmt"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Outcome is how a candidate fared.
type Outcome string

const (
	Won            Outcome = "won"
	LostHost       Outcome = "host"       // the hostname does not match
	LostPath       Outcome = "path"       // the path does not match
	LostMethod     Outcome = "method"     // the method does not match
	LostHeader     Outcome = "header"     // a header does not match
	LostQuery      Outcome = "query"      // a query parameter does not match
	LostPrecedence Outcome = "precedence" // it matches, but another goes first
)

// Candidate is one match of one rule and why it serves the request or not.
type Candidate struct {
	Section  *ir.Section
	Hostname string // under which the route is attached; empty is any
	Route    *ir.Route
	Rule     *ir.Rule // Rule.Ref is where it was written
	// Match is the place in Rule.Matches.
	Match   int
	Outcome Outcome
	// Why is a sentence for people.
	Why string
}

// SectionNote is one section and why the request belongs to it or not.
type SectionNote struct {
	Section *ir.Section
	Chosen  bool
	Why     string
}

// Explanation is what Match decides, with the reasons.
type Explanation struct {
	// Host is the request's, without a port.
	Host     string
	Sections []SectionNote
	// Section is the one that the host belongs to; nil if there is none.
	Section *ir.Section
	// Misdirected as in Match. HandshakeSection is then the section that the
	// server name chose; nil if it chose none.
	Misdirected      bool
	HandshakeSection *ir.Section
	// Candidates whose hostname and path match come first, in order of
	// precedence; then those of other paths, then those of other hostnames.
	Candidates []Candidate
	// Omitted is how many of the latter were left out.
	Omitted int
	// Winner is the index of the candidate that serves the request, or -1.
	Winner int
}

// maxLosers bounds the candidates that are listed although their path or
// hostname does not match.
const maxLosers = 200

// Explain tells what Match does with the request, and why.
func (t *Table[T]) Explain(r *httpmsg.Request, sni string) Explanation {
	name := withoutPort(r.Host)
	e := Explanation{Host: string(name), Winner: -1}
	g, ok := t.sections.best(name)
	t.explainSections(&e, g, name)
	if !ok {
		return e
	}
	e.Section = g.sections[0]
	if r.Scheme == schemeTLS && t.misdirected(g, sni) {
		e.Misdirected = true
		if chosen, ok := t.bySNI(sni); ok {
			e.HandshakeSection = chosen.sections[0]
		}
		return e
	}
	x := explainer[T]{e: &e, g: g, r: r, listed: make(map[*host[T]]map[int32]bool)}
	var at cursor
	for at.stage != stageDone {
		if n, ok := g.hosts.next(name, &at); ok {
			x.onPath(g.list.at(n))
		}
	}
	for i := range g.list.len() {
		if h := g.list.at(int32(i)); x.listed[h] != nil {
			x.offPath(h)
		}
	}
	for i := range g.list.len() {
		if h := g.list.at(int32(i)); x.listed[h] == nil {
			x.offHost(h)
		}
	}
	return e
}

func (t *Table[T]) explainSections(e *Explanation, chosen *group[T], name []byte) {
	for _, g := range t.ordered {
		for _, s := range g.sections {
			n := SectionNote{Section: s, Chosen: g == chosen}
			switch {
			case n.Chosen:
				n.Why = fmt.Sprintf("its hostname %s is the most specific that matches %q", hostText(g.hostname), name)
			case covers(g.hostname, name):
				n.Why = fmt.Sprintf("its hostname %s is less specific than %s", hostText(g.hostname), hostText(chosen.hostname))
			default:
				n.Why = fmt.Sprintf("its hostname %s does not match %q", hostText(g.hostname), name)
			}
			e.Sections = append(e.Sections, n)
		}
	}
}

type explainer[T any] struct {
	e *Explanation
	g *group[T]
	r *httpmsg.Request
	// listed are the entries whose path matches, by host.
	listed map[*host[T]]map[int32]bool
	losers int
}

// onPath lists the entries of a host whose paths match, in the order in which
// Match tries them.
func (x *explainer[T]) onPath(h *host[T]) {
	listed := make(map[int32]bool)
	h.tree.matching(x.r, func(i int32) {
		listed[i] = true
		c := x.candidate(h, i)
		failed, n := h.tree.entries[i].cond.check(x.r)
		switch {
		case failed != failureNone:
			c.Outcome, c.Why = conditionText(h.tree.entries[i].cond, failed, n, x.r)
		case x.e.Winner < 0:
			c.Outcome = Won
			c.Why = "it is the first in order of precedence whose conditions all hold"
			x.e.Winner = len(x.e.Candidates)
		default:
			c.Outcome = LostPrecedence
			c.Why = precedenceText(&x.e.Candidates[x.e.Winner], &c)
		}
		x.e.Candidates = append(x.e.Candidates, c)
	})
	x.listed[h] = listed
}

func (x *explainer[T]) offPath(h *host[T]) {
	for i := range h.targets.len() {
		if x.listed[h][int32(i)] || !x.room() {
			continue
		}
		c := x.candidate(h, int32(i))
		p := h.targets.at(int32(i)).match.Path
		c.Outcome, c.Why = LostPath, fmt.Sprintf("path %q does not match %s %q", x.r.Path, p.Type, p.Value)
		x.e.Candidates = append(x.e.Candidates, c)
	}
}

func (x *explainer[T]) offHost(h *host[T]) {
	for i := range h.targets.len() {
		if !x.room() {
			continue
		}
		c := x.candidate(h, int32(i))
		c.Outcome, c.Why = LostHost, fmt.Sprintf("host %q does not match %q", x.e.Host, h.name)
		x.e.Candidates = append(x.e.Candidates, c)
	}
}

func (x *explainer[T]) room() bool {
	if x.losers++; x.losers > maxLosers {
		x.e.Omitted++
		return false
	}
	return true
}

func (x *explainer[T]) candidate(h *host[T], i int32) Candidate {
	t := h.targets.at(i)
	return Candidate{Section: x.g.sections[t.section], Hostname: h.name, Route: t.route, Rule: t.rule, Match: int(h.tree.entries[i].match)}
}

// matching calls yield with the entries whose paths match, in order of precedence.
func (t *tree) matching(r *httpmsg.Request, yield func(i int32)) {
	path := r.Path
	if len(path) == 0 || path[0] != '/' {
		path = nil
	}
	exact, prefix, regex := t.walk(path)
	if exact != noNode && path != nil {
		s := t.nodes[exact].exact()
		for i := s.start; i < s.end; i++ {
			yield(i)
		}
	}
	for i := t.nextRegex(regex, 0); i >= 0; i = t.nextRegex(regex, t.entries[i].rank+1) {
		if t.entries[i].pattern.match(r.Path) {
			yield(i)
		}
	}
	for ; prefix != noNode; prefix = t.nodes[prefix].upPrefix {
		s := t.nodes[prefix].prefix()
		for i := s.start; i < s.end; i++ {
			yield(i)
		}
	}
}
