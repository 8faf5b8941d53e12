package dryrun

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/route"
)

// Row is one match in the order in which requests try them.
type Row struct {
	// Listener and Section are where requests come in; Mesh instead, where they are sent
	// by workloads of a mesh.
	Listener string      `json:"listener,omitempty"`
	Section  string      `json:"section,omitempty"`
	Mesh     *MeshParent `json:"mesh,omitempty"`
	// Hostname is empty for any.
	Hostname string `json:"hostname,omitempty"`
	Route    string `json:"route"`
	// Rule is the rule's own name, or its ID.
	Rule  string   `json:"rule"`
	Match string   `json:"match"`
	To    []string `json:"to"`
	Ref   ir.Ref   `json:"ref,omitzero"`

	order  []int
	age    int64
	source *ir.Match
}

// Rows lists the matches by precedence; those that serve host, unless it is empty.
func (t *Table) Rows(host string) []Row {
	routes := make(map[string]*ir.Route, len(t.config.Routes))
	for _, r := range t.config.Routes {
		routes[r.Name] = r
	}
	rows := []Row{}
	for li, l := range t.config.Listeners {
		for _, s := range l.Sections {
			rows = t.streamRows(rows, li, l, s, host)
			for _, a := range s.Routes {
				r := routes[a.Route]
				for _, h := range a.Hostnames {
					if host == "" || serves(h, host) {
						rows = appendRows(rows, li, l, s, h, r)
					}
				}
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b Row) int {
		return cmp.Or(slices.Compare(a.order, b.order), cmp.Compare(a.Hostname, b.Hostname), compareMatch(a.source, b.source),
			cmp.Compare(a.age, b.age), cmp.Compare(a.Route, b.Route))
	})
	return rows
}

func appendRows(rows []Row, listener int, l *ir.Listener, s *ir.Section, hostname string, r *ir.Route) []Row {
	for _, rule := range r.Rules {
		name := rule.Name
		if name == "" {
			name = rule.ID
		}
		for j := range rule.Matches {
			m := &rule.Matches[j]
			rows = append(rows, Row{
				Listener: l.Name, Section: s.Name, Hostname: hostname, Route: r.Name, Rule: name,
				Match: MatchText(m), To: Destinations(rule), Ref: rule.Ref,
				order: append([]int{listener}, hostOrder(hostname)...), age: r.Created.UnixNano(), source: m,
			})
		}
	}
	return rows
}

// hostOrder puts exact names first, then wildcards from the longest, then any.
func hostOrder(h string) []int {
	switch {
	case h == "":
		return []int{2, 0}
	case strings.HasPrefix(h, "*."):
		return []int{1, -len(h)}
	}
	return []int{0, 0}
}

// serves tells whether a pattern takes a host.
func serves(pattern, host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return pattern == "" || pattern == host || strings.HasPrefix(pattern, "*.") && strings.HasSuffix(host, pattern[1:])
}

// compareMatch is the precedence that package route documents.
func compareMatch(a, b *ir.Match) int {
	bare := func(m *ir.Match) int {
		if m.Method == "" {
			return 1
		}
		return 0
	}
	return cmp.Or(
		route.ComparePaths(a, b),
		cmp.Compare(a.Path.Value, b.Path.Value),
		cmp.Compare(bare(a), bare(b)),
		cmp.Compare(len(b.Headers), len(a.Headers)),
		cmp.Compare(len(b.Query), len(a.Query)),
	)
}

// ofRule tells whether a ref stands for what the rule itself answers where it
// has no backend to go to.
func ofRule(b *ir.BackendRef) bool {
	return b.Cluster == "" && (b.Ref.Kind == "HTTPRoute" || b.Ref.Kind == "GRPCRoute")
}

// Destinations says where a rule leads, one entry per backend.
func Destinations(r *ir.Rule) []string {
	switch {
	case r.Filters.Redirect != nil:
		return []string{fmt.Sprintf("redirect %d", r.Filters.Redirect.Status)}
	case r.Policy.Direct != nil:
		return []string{fmt.Sprintf("reply %d", r.Policy.Direct.Status)}
	case r.Filters.TokenIssuer != "":
		return []string{"TokenIssuer " + r.Filters.TokenIssuer}
	case len(r.Backends) == 0:
		return []string{"reply 500"}
	}
	return shares(r.Backends)
}

// shares names backends with their part of the traffic.
func shares(list []ir.BackendRef) []string {
	total := 0.0
	for i := range list {
		total += float64(list[i].Weight)
	}
	var out []string
	for i := range list {
		b := &list[i]
		name := b.Ref.Name
		if ofRule(b) {
			name = "reply 500"
		} else if b.Ref.Namespace != "default" {
			name = b.Ref.Namespace + "/" + name
		}
		if b.Cluster == "" && !ofRule(b) {
			name += " (unresolved)"
		}
		if len(list) > 1 && total > 0 {
			name = fmt.Sprintf("%s %.4g%%", name, float64(b.Weight)/total*100)
		}
		out = append(out, name)
	}
	return out
}
