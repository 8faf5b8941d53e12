package compile

import (
	"encoding/json"

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

func hashRoute(r *ir.Route) uint64 {
	v := *r
	v.Hash = 0
	return hashOf(v)
}

// hashCluster leaves out the endpoints, which change without a new cluster, and
// the place in the file, which says nothing about behaviour.
func hashCluster(cl *ir.Cluster) uint64 {
	v := *cl
	v.Hash, v.Endpoints, v.Name = 0, nil, ""
	v.Ref.File, v.Ref.Line, v.Ref.Column = "", 0, 0
	return hashOf(v)
}
