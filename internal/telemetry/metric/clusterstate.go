package metric

// clusters emits the present state of clusters. Those that count by themselves
// come first, then those without traffic while there is room; the state of all
// others is added up.
func (e *emitter) clusters(r *Registry, read func(yield func(cluster string, g ClusterGauges))) {
	type idle struct {
		name string
		g    ClusterGauges
	}
	rest := ClusterGauges{RetriesLeft: -1} // of budgets there is no sum
	var waiting []idle
	room := r.kinds.cluster.limit - r.kinds.cluster.taken.Load()
	beyond := false
	read(func(name string, g ClusterGauges) {
		r.mu.RLock()
		h := r.clusters[name]
		r.mu.RUnlock()
		switch {
		case h != nil && h.place.state.Load() == placeOwn:
			e.seen["cluster_state"]++
			e.gauges(name, g)
		case int64(len(waiting)) < room:
			waiting = append(waiting, idle{name, g})
		default:
			e.seen["cluster_state"]++
			rest.add(&g)
			beyond = true
		}
	})
	for _, c := range waiting {
		e.seen["cluster_state"]++
		e.gauges(c.name, c.g)
	}
	if beyond {
		e.gauges(overflow, rest)
	}
}

// add is for clusters that are shown together: the breaker is that of the worst.
func (g *ClusterGauges) add(o *ClusterGauges) {
	g.Healthy += o.Healthy
	g.Unhealthy += o.Unhealthy
	g.Ejected += o.Ejected
	g.Draining += o.Draining
	g.ActiveRequests += o.ActiveRequests
	g.PendingRequests += o.PendingRequests
	g.ActiveConnections += o.ActiveConnections
	g.IdleConnections += o.IdleConnections
	g.Retries += o.Retries
	g.Breaker = max(g.Breaker, o.Breaker)
}

func (e *emitter) gauges(cluster string, g ClusterGauges) {
	e.gauge(&endpointsFamily, float64(g.Healthy), cluster, "healthy")
	e.gauge(&endpointsFamily, float64(g.Unhealthy), cluster, "unhealthy")
	e.gauge(&endpointsFamily, float64(g.Ejected), cluster, "ejected")
	e.gauge(&endpointsFamily, float64(g.Draining), cluster, "draining")
	e.gauge(&activeFamily, float64(g.ActiveRequests), cluster)
	e.gauge(&pendingFamily, float64(g.PendingRequests), cluster)
	e.gauge(&connectionsFamily, float64(g.ActiveConnections), cluster, "active")
	e.gauge(&connectionsFamily, float64(g.IdleConnections), cluster, "idle")
	e.gauge(&retriesNowFamily, float64(g.Retries), cluster)
	if g.RetriesLeft >= 0 {
		e.gauge(&retriesLeftFamily, float64(g.RetriesLeft), cluster)
	}
	e.gauge(&breakerStateFamily, float64(g.Breaker), cluster)
}
