package adminapi

import (
	"slices"

	"github.com/gridway/gridway/internal/ir"
)

// RouteRow is one match of one rule at one section: a line of `gridway routes`.
type RouteRow struct {
	Listener  string   `json:"listener"`
	Section   string   `json:"section"`
	Hostnames []string `json:"hostnames"` // empty means any
	Route     string   `json:"route"`
	// Rule is the rule's index in its route, RuleName its own name if it has one.
	Rule     int    `json:"rule"`
	RuleName string `json:"ruleName,omitempty"`
	// Match is short: "GET PathPrefix /api, header x-version=2".
	Match string `json:"match"`
	// Backends say where the rule leads: "catalog (90 %)"; or "redirect 302",
	// "reply 204".
	Backends []string `json:"backends"`
	Policies []string `json:"policies,omitempty"`
	Place    Place    `json:"place,omitzero"`
}

// Routes lists the rows of a configuration in the order of listeners,
// sections, routes, rules and matches.
func Routes(c *ir.Config) []RouteRow {
	byName := make(map[string]*ir.Route, len(c.Routes))
	for _, r := range c.Routes {
		byName[r.Name] = r
	}
	streams := make(map[string]*ir.StreamRoute, len(c.Streams))
	for _, r := range c.Streams {
		streams[r.Name] = r
	}
	rows := []RouteRow{}
	for _, l := range c.Listeners {
		for _, s := range l.Sections {
			for _, a := range s.Routes {
				if r := byName[a.Route]; r != nil {
					rows = appendRows(rows, l, s, a, r)
				}
			}
			for _, a := range s.Streams {
				if r := streams[a.Route]; r != nil {
					rows = append(rows, streamRow(l, s, a, r))
				}
			}
		}
	}
	return rows
}

func appendRows(rows []RouteRow, l *ir.Listener, s *ir.Section, a ir.Attachment, r *ir.Route) []RouteRow {
	hostnames := slices.DeleteFunc(append([]string{}, a.Hostnames...), func(h string) bool { return h == "" })
	for i, rule := range r.Rules {
		row := RouteRow{
			Listener: l.Name, Section: s.Name, Hostnames: hostnames, Route: r.Name, Rule: i, RuleName: rule.Name,
			Backends: destinations(rule), Place: Place{rule.Ref.File, rule.Ref.Line, rule.Ref.Column},
		}
		for _, p := range rule.Policies {
			row.Policies = append(row.Policies, p.String())
		}
		for j := range rule.Matches {
			row.Match = describe(&rule.Matches[j])
			rows = append(rows, row)
		}
	}
	return rows
}

func streamRow(l *ir.Listener, s *ir.Section, a ir.Attachment, r *ir.StreamRoute) RouteRow {
	row := RouteRow{
		Listener: l.Name, Section: s.Name, Route: r.Name, RuleName: r.Rule, Match: string(l.ProtocolOf(s)),
		Hostnames: slices.DeleteFunc(append([]string{}, a.Hostnames...), func(h string) bool { return h == "" }),
		Backends:  shares(r.Backends), Place: Place{r.Ref.File, r.Ref.Line, r.Ref.Column},
	}
	for _, p := range r.Policies {
		row.Policies = append(row.Policies, p.String())
	}
	return row
}
