package dryrun

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/route"
)

// explain keeps the candidates that lost, the most interesting first.
func explain(d *Decision, e route.Explanation) {
	for _, s := range e.Sections {
		if !s.Chosen {
			d.OtherSections = append(d.OtherSections, Candidate{Rule: s.Section.Name, Ref: s.Section.Ref, Why: s.Why})
		} else if d.SectionWhy == "" {
			d.SectionWhy = s.Why
		}
	}
	for i, c := range e.Candidates {
		if i == e.Winner {
			continue
		}
		out := Candidate{Rule: c.Rule.ID, Name: c.Rule.Name, Ref: c.Rule.Ref, Why: c.Why, Outcome: string(c.Outcome)}
		if c.Match < len(c.Rule.Matches) {
			out.Match = MatchText(&c.Rule.Matches[c.Match])
		}
		d.Others = append(d.Others, out)
	}
	d.Omitted = e.Omitted
}

// MatchText is a match in one line: "GET /api/* X-Canary=always". Values that
// may be credentials are hidden.
func MatchText(match *ir.Match) string {
	m := ir.Veil(ir.Hide).Match(*match)
	var s []string
	if m.Method != "" {
		s = append(s, m.Method)
	}
	if m.GRPC != nil {
		s = append(s, grpcText(m.GRPC))
	} else {
		s = append(s, PathText(m.Path))
	}
	for _, h := range m.Headers {
		s = append(s, h.Name+operator(h.Type)+h.Value)
	}
	for _, q := range m.Query {
		s = append(s, "?"+q.Name+operator(q.Type)+q.Value)
	}
	return strings.Join(s, " ")
}

// PathText is "/exact", "/prefix/*" or "~ /regex".
func PathText(p ir.PathMatch) string {
	switch p.Type {
	case ir.Exact:
		return p.Value
	case ir.Regex:
		return fmt.Sprintf("~ %s", p.Value)
	}
	return strings.TrimSuffix(p.Value, "/") + "/*"
}

// grpcText is "/service/method" with "*" for what is left open, or "~ " and the
// expressions.
func grpcText(g *ir.GRPCMatch) string {
	text := "/" + cmp.Or(g.Service, "*") + "/" + cmp.Or(g.Method, "*")
	if g.Type == ir.Regex {
		return "~ " + text
	}
	return text
}

func operator(t ir.MatchType) string {
	if t == ir.Regex {
		return "~"
	}
	return "="
}
