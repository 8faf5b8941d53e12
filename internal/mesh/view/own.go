package view

import (
	"slices"

	"github.com/gridway/gridway/internal/ir"
)

// Endpoints are those of now of the clusters among these that have workloads: for the
// proxy of the control plane's own process, which has no view.
func (v *Views) Endpoints(clusters []*ir.Cluster) (out []ir.EndpointUpdate) {
	v.takeIn()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, c := range clusters {
		if m, ok := v.content.members[c.Name]; ok {
			out = append(out, ir.EndpointUpdate{Cluster: c.Name, Endpoints: slices.Concat(c.Endpoints, v.endpoints(m))})
		}
	}
	return out
}
