package compile

import (
	"encoding/json"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/gridway/gridway/internal/ir"
)

// hashOf digests the canonical form of plain data: its JSON, in which struct
// fields are in declaration order. The IR holds no maps, so it is stable.
func hashOf(v any) uint64 {
	b, err := json.Marshal(v)
	if err != nil {
		// Only channels, functions and cycles fail, and the IR has none.
		panic("compile: " + err.Error())
	}
	return xxhash.Sum64(b)
}

// hashRoute leaves out the places in files, which say nothing about behaviour.
func hashRoute(r *ir.Route) uint64 {
	v := *r
	v.Hash, v.Ref = 0, unplaced(r.Ref)
	v.Rules = make([]*ir.Rule, len(r.Rules))
	for i, rule := range r.Rules {
		u := *rule
		u.Ref = unplaced(u.Ref)
		u.Backends = slices.Clone(u.Backends)
		for j := range u.Backends {
			u.Backends[j].Ref = unplaced(u.Backends[j].Ref)
		}
		u.Policies = slices.Clone(u.Policies)
		for j := range u.Policies {
			u.Policies[j] = unplaced(u.Policies[j])
		}
		u.Policy.Authorization = slices.Clone(u.Policy.Authorization)
		for j, a := range u.Policy.Authorization {
			u.Policy.Authorization[j] = &ir.Authorization{Hash: a.Hash} // there may be thousands of rules
		}
		v.Rules[i] = &u
	}
	return hashOf(v)
}

func unplaced(r ir.Ref) ir.Ref {
	r.File, r.Line, r.Column = "", 0, 0
	return r
}

// samePlaces tells whether two routes of equal hash are also written at the
// same places.
func samePlaces(a, b *ir.Route) bool {
	return a.Ref == b.Ref && slices.EqualFunc(a.Rules, b.Rules, func(x, y *ir.Rule) bool {
		return x.Ref == y.Ref && slices.Equal(x.Policies, y.Policies) && slices.Equal(x.Policy.Authorization, y.Policy.Authorization) &&
			slices.EqualFunc(x.Backends, y.Backends, func(m, n ir.BackendRef) bool { return m.Ref == n.Ref })
	})
}

// hashCluster leaves out the endpoints, which change without a new cluster, and
// the place in the file, which says nothing about behaviour.
func hashCluster(cl *ir.Cluster) uint64 {
	v := *cl
	v.Hash, v.Endpoints, v.Name = 0, nil, ""
	v.Ref.File, v.Ref.Line, v.Ref.Column = "", 0, 0
	return hashOf(v)
}
