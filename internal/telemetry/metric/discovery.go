package metric

import "time"

// Discovery is the present state of what endpoints are looked for by.
type Discovery struct {
	Endpoints int
	// Failures counts attempts that failed in a row.
	Failures int
	// Answered is when the last good answer came, zero if there was none.
	Answered time.Time
}

// SetDiscovery names the function that tells at each scrape what endpoints are
// looked for by: the source, the name in it, and who is asked.
func (r *Registry) SetDiscovery(read func(yield func(source, name, place string, d Discovery))) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.discovery = read
}

var (
	discoveryEndpointsFamily = define("gridway_discovery_endpoints", gauge,
		"Endpoints found by a name of DNS or a service of Consul; those of the last good answer while there is no other.", "source", "name", "place")
	discoveryFailuresFamily = define("gridway_discovery_failures", gauge,
		"Attempts to find endpoints that failed in a row; 0 when the last one did not.", "source", "name", "place")
	discoveryAnsweredFamily = define("gridway_discovery_answered_timestamp_seconds", gauge,
		"When the last good answer about endpoints came, in Unix seconds.", "source", "name", "place")
)

func (e *emitter) discovered(source, name, place string, d Discovery) {
	if !e.room("discovery") {
		return
	}
	e.gauge(&discoveryEndpointsFamily, float64(d.Endpoints), source, name, place)
	e.gauge(&discoveryFailuresFamily, float64(d.Failures), source, name, place)
	if !d.Answered.IsZero() {
		e.gauge(&discoveryAnsweredFamily, float64(d.Answered.Unix()), source, name, place)
	}
}
