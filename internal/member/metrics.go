package member

import (
	"maps"
	"sync"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// renewals are how the SVIDs of the member stand, by identity.
type renewals struct {
	mu       sync.Mutex
	failures map[string]int // guarded by mu
}

// note implements join.Stay.Renewals.
func (r *renewals) note(s identity.RenewerState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failures == nil {
		r.failures = map[string]int{}
	}
	r.failures[s.ID.String()] = s.Failures
}

// forget is for an identity that the member has no more.
func (r *renewals) forget(id identity.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.failures, id.String())
}

// all are the failures since the last renewal that went well.
func (r *renewals) all() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.failures)
}

// observe lets metrics see the member's place in the mesh.
func (m *member) observe() {
	m.plane.metrics.SetMesh(func() metric.Mesh {
		st := m.client.Status()
		out := metric.Mesh{
			Denied: len(m.keys.Denials()), Withheld: len(Running{m}.Withheld()),
			Member: &metric.MeshMember{
				Connected: st.Target != "", Contact: st.Heard, Revision: st.Serving.Number, FromDisk: st.FromDisk, Refused: len(st.Refusals),
				Services: len(st.Services), RenewalFailures: m.renewals.all(),
			},
		}
		for _, s := range m.keys.SVIDs() {
			out.SVIDs = append(out.SVIDs, metric.MeshSVID{ID: s.ID().String(), Ends: s.NotAfter()})
		}
		for _, b := range m.keys.Bundles() {
			out.Bundles = append(out.Bundles, metric.MeshBundle{TrustDomain: b.TrustDomain().Name(), Roots: len(b.Roots()), Ends: b.Ends()})
		}
		return out
	})
}
