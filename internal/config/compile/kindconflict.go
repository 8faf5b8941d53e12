package compile

import (
	"fmt"
	"slices"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// reasonHostnameConflict is of routes that another kind of route leaves nothing.
const reasonHostnameConflict = "HostnameConflict"

// resolveConflicts keeps HTTPRoutes and GRPCRoutes apart: where both are attached
// to a listener with hostnames in common, the Gateway API wants exactly one of
// the two accepted, the older one. The states of routes that lose are copies,
// since what wins may be gone in the next run.
func (c *compiler) resolveConflicts(routes []*routeState) []*routeState {
	if len(routes) == 0 || routes[0].object.Key.Kind == routes[len(routes)-1].object.Key.Kind {
		return routes
	}
	aged := make([]int, len(routes))
	for i := range aged {
		aged[i] = i
	}
	slices.SortStableFunc(aged, func(a, b int) int { return bySeniority(routes[a].object, routes[b].object) })
	taken := make([]map[string]*hostnameIndex, len(c.sections)) // by section and kind
	for _, i := range aged {
		rs := routes[i]
		kind := rs.object.Key.Kind
		var lost []int
		var winner string
		for _, a := range rs.attachments {
			for other, index := range taken[a.section] {
				if by := index.common(a.ir.Hostnames); other != kind && by != "" {
					lost, winner = append(lost, a.section), by
				}
			}
			if slices.Contains(lost, a.section) {
				continue
			}
			if taken[a.section] == nil {
				taken[a.section] = map[string]*hostnameIndex{}
			}
			if taken[a.section][kind] == nil {
				taken[a.section][kind] = newHostnameIndex()
			}
			taken[a.section][kind].add(hostnamesOf(a.ir), rs.object.Key.String())
		}
		if len(lost) > 0 {
			routes[i] = c.withoutSections(rs, lost, winner)
		}
	}
	return routes
}

// bySeniority orders routes of all kinds from the oldest, then by "namespace/name".
func bySeniority(a, b *store.Object) int {
	if order := meta(a).GetCreationTimestamp().Time.Compare(meta(b).GetCreationTimestamp().Time); order != 0 {
		return order
	}
	if order := strings.Compare(a.Key.Namespace+"/"+a.Key.Name, b.Key.Namespace+"/"+b.Key.Name); order != 0 {
		return order
	}
	return compareKeys(a.Key, b.Key)
}

// unresolvedConflicts are the routes as they were before conflicts were resolved.
func unresolvedConflicts(routes []*routeState) []*routeState {
	if !slices.ContainsFunc(routes, func(rs *routeState) bool { return rs.original != nil }) {
		return routes
	}
	out := slices.Clone(routes)
	for i, rs := range out {
		if rs.original != nil {
			out[i] = rs.original
		}
	}
	return out
}

// withoutSections is a route that has lost listeners to a route of another kind.
func (c *compiler) withoutSections(rs *routeState, lost []int, winner string) *routeState {
	out := *rs
	out.original = rs
	inLost := func(section int) bool { return slices.Contains(lost, section) }
	out.attachments = slices.DeleteFunc(slices.Clone(rs.attachments), func(a attachment) bool { return inLost(a.section) })
	out.accepted = slices.DeleteFunc(slices.Clone(rs.accepted), inLost)
	out.forms = slices.DeleteFunc(slices.Clone(rs.forms), func(f *ir.Route) bool {
		return !out.edge(f.Name) && !out.ofService(f.Name)
	})
	var names []string
	for _, i := range lost {
		names = append(names, fmt.Sprintf("%q", c.sections[i].spec.Name))
	}
	message := fmt.Sprintf("%s is older, or first by name, and has hostnames in common on listener %s, where a GRPCRoute and an HTTPRoute cannot share one",
		winner, strings.Join(names, ", "))
	out.problems = append(slices.Clone(rs.problems), problemAt(rs.object, "spec.hostnames", store.Warning, reasonHostnameConflict, message,
		"give the routes hostnames of their own, or attach one of them to another listener"))
	out.parents = slices.Clone(rs.parents)
	for i := range out.parents {
		p := &out.parents[i]
		at := func(a attachment) bool { return c.sections[a.section].isOf(p.Ref) }
		if !slices.ContainsFunc(rs.attachments, at) || slices.ContainsFunc(out.attachments, at) {
			continue
		}
		p.Conditions = slices.Clone(p.Conditions)
		for k := range p.Conditions {
			if x := &p.Conditions[k]; x.Type == string(gwv1.RouteConditionAccepted) {
				x.Status, x.Reason, x.Message = status.False, reasonHostnameConflict, message
			}
		}
	}
	return &out
}

// isOf tells whether a parentRef means the section.
func (s *section) isOf(r status.Reference) bool {
	k := s.owner.Key
	return k.Group == r.Group && k.Kind == r.Kind && k.Namespace == r.Namespace && k.Name == r.Name &&
		(r.SectionName == "" || r.SectionName == string(s.spec.Name)) && (r.Port == 0 || r.Port == s.spec.Port)
}

// hostnameIndex finds hostnames that have hosts in common with others, and
// who brought them.
type hostnameIndex struct {
	names map[string]string
	// under has, for each domain, somebody with a name below it.
	under map[string]string
}

func newHostnameIndex() *hostnameIndex {
	return &hostnameIndex{names: map[string]string{}, under: map[string]string{}}
}

func (x *hostnameIndex) add(hostnames []string, by string) {
	for _, h := range hostnames {
		keepFirst(x.names, h, by)
		for d := range domains(h) {
			keepFirst(x.under, d, by)
		}
		keepFirst(x.under, "", by)
	}
}

func keepFirst(m map[string]string, k, v string) {
	if _, known := m[k]; !known {
		m[k] = v
	}
}

// common returns who brought a name that has hosts in common with one of the
// hostnames; empty if nobody has.
func (x *hostnameIndex) common(hostnames []string) string {
	if len(hostnames) == 0 {
		hostnames = []string{""}
	}
	for _, h := range hostnames {
		if by := x.names[h]; by != "" {
			return by
		}
		if by := x.names[""]; by != "" {
			return by
		}
		if domain, wild := strings.CutPrefix(h, "*."); wild || h == "" {
			if by := x.under[domain]; by != "" {
				return by
			}
		}
		for d := range domains(h) {
			if by := x.names["*."+d]; by != "" {
				return by
			}
		}
	}
	return ""
}

// domains yields what is behind each dot of a hostname: a.b.c is in b.c and c.
func domains(h string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for {
			_, rest, more := strings.Cut(h, ".")
			if !more || !yield(rest) {
				return
			}
			h = rest
		}
	}
}
