package metric

// SetDependencies names the function that tells at each scrape what the data plane
// needs of others.
func (r *Registry) SetDependencies(read func(yield func(kind, owner, name string, up bool))) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dependencies = read
}

var dependencyFamily = define("gridway_dependency_up", gauge,
	"Whether what the gateway needs of others is there: 1, or 0 while it cannot be had. Of kind keys (an issuer's, by policy), provider (of OpenID, by policy, once somebody has tried to log in), dns and consul (where endpoints are found, by Backend), peer (the control plane of another mesh, by MeshPeer), bundle (the trust bundle of another trust domain) and sink (where telemetry goes, by TelemetrySink, once something was sent).",
	"kind", "owner", "name")

func (e *emitter) dependency(kind, owner, name string, up bool) {
	v := 0.0
	if up {
		v = 1
	}
	e.gauge(&dependencyFamily, v, kind, owner, name)
}
