package adminapi

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/gridway/gridway/internal/ir"
)

// pathTypes are the names that the Gateway API gives to types of path matches.
var pathTypes = map[ir.MatchType]string{ir.Exact: "Exact", ir.Prefix: "PathPrefix", ir.Regex: "RegularExpression"}

// describe puts a match in one line.
func describe(m *ir.Match) string {
	var b strings.Builder
	if m.Method != "" {
		b.WriteString(m.Method + " ")
	}
	if g := m.GRPC; g != nil {
		b.WriteString(pathTypes[g.Type] + " /" + cmp.Or(g.Service, "*") + "/" + cmp.Or(g.Method, "*"))
	} else {
		b.WriteString(pathTypes[m.Path.Type] + " " + m.Path.Value)
	}
	values := func(what string, list []ir.ValueMatch) {
		for _, v := range list {
			op, value := "=", v.Value
			if v.Type == ir.Regex {
				op = "~"
			}
			if ir.Credential(v.Name, v.Value) {
				value = hidden
			}
			b.WriteString(", " + what + " " + v.Name + op + value)
		}
	}
	values("header", m.Headers)
	values("query", m.Query)
	return b.String()
}

// destinations says where a rule leads.
func destinations(r *ir.Rule) []string {
	switch {
	case r.Filters.Redirect != nil:
		return []string{fmt.Sprintf("redirect %d", r.Filters.Redirect.Status)}
	case r.Policy.Direct != nil:
		return []string{fmt.Sprintf("reply %d", r.Policy.Direct.Status)}
	}
	if r.Filters.TokenIssuer != "" {
		return []string{"TokenIssuer " + r.Filters.TokenIssuer}
	}
	return shares(r.Backends)
}

// shares names backends with their part of the traffic.
func shares(list []ir.BackendRef) []string {
	total := uint64(0)
	for _, b := range list {
		total += uint64(b.Weight)
	}
	out := []string{}
	for _, b := range list {
		name := b.Cluster
		if name == "" {
			name = b.Ref.String() + " (" + b.Problem + ")"
		}
		if len(list) > 1 && total > 0 {
			name += " " + strconv.FormatFloat(float64(b.Weight)*100/float64(total), 'f', -1, 64) + " %"
		}
		out = append(out, name)
	}
	return out
}
