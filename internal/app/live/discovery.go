package live

import (
	"strings"

	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// Discovered is the state of discovery for metrics, where what is asked in two ways
// that differ in no label is one.
func (v View) Discovered(yield func(source, name, place string, d metric.Discovery)) {
	type labels struct{ source, name, place string }
	seen := map[labels]bool{}
	for _, s := range v.Discovery.States() {
		if at := (labels{string(s.Kind), s.Name, s.Place}); !seen[at] {
			seen[at] = true
			yield(at.source, at.name, at.place, metric.Discovery{Endpoints: s.Endpoints, Failures: s.Failures, Answered: s.Answered})
		}
	}
}

// sourcesOfEndpoints lists what endpoints are found by, for each object that asks
// for it.
func (v View) sourcesOfEndpoints(yield func(adminapi.Dependency)) {
	for _, s := range v.Discovery.States() {
		last := ""
		for _, cluster := range s.Clusters { // ordered: clusters of one object are neighbours
			owner := objectOf(cluster)
			if owner == last {
				continue
			}
			last = owner
			yield(adminapi.Dependency{
				Kind: string(s.Kind), Owner: owner, Name: s.Name, Place: s.Place,
				Up: s.Up(), Since: s.Since, Error: s.Err, Kept: s.Endpoints > 0,
			})
		}
	}
}

// Dependencies lists what the gateway needs of others.
func (v View) Dependencies(yield func(kind, owner, name string, up bool)) {
	v.Plane.DependencyStates(yield)
	type labels struct{ kind, owner, name string }
	up := map[labels]bool{} // one that is asked for in several places is up if it is everywhere
	v.sourcesOfEndpoints(func(d adminapi.Dependency) {
		at := labels{d.Kind, d.Owner, d.Name}
		was, known := up[at]
		up[at] = d.Up && (was || !known)
	})
	for at, all := range up {
		yield(at.kind, at.owner, at.name, all)
	}
}

// objectOf is the object that a cluster is of: "Backend/namespace/name", without
// what tells its clusters apart.
func objectOf(cluster string) string {
	cluster, _, _ = strings.Cut(cluster, "~")
	parts := strings.SplitN(cluster, "/", 4)
	return strings.Join(parts[:min(3, len(parts))], "/")
}
