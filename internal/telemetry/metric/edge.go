package metric

import (
	"fmt"

	"github.com/gridway/gridway/internal/telemetry/signal"
)

// SetEdges names the function that tells at each scrape what was counted by edge of the
// service graph, and how often an edge was folded because there were too many.
func (r *Registry) SetEdges(read func() (edges []signal.Edge, folded uint64)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.edges = read
}

var (
	edgeRequestsFamily = define("gridway_edge_requests_total", counter,
		"Requests by edge of the service graph, by the side that tells of it (reporter: client or server), mutual TLS of the mesh and class of the status; none is no answer. Of TCP they are connections, of UDP sessions, that have ended; of DNS questions to resolvers.",
		"reporter", "source", "destination", "protocol", "mutual_tls", "code_class")
	edgeErrorsFamily = define("gridway_edge_errors_total", counter,
		"Requests by edge that the server's side failed: 5xx, and no answer to a client that waited.", "reporter", "source", "destination", "protocol")
	edgeDurationFamily = define("gridway_edge_request_duration_seconds", histo,
		"Time of requests by edge, from their head to the end of the response; at the client's side from the choice of an endpoint.", "reporter", "source", "destination", "protocol")
	edgeInFamily = define("gridway_edge_request_bytes_total", counter,
		"Bytes of request bodies, and of what clients of TCP and UDP have sent, by edge.", "reporter", "source", "destination", "protocol")
	edgeOutFamily = define("gridway_edge_response_bytes_total", counter,
		"Bytes of response bodies, and of what clients of TCP and UDP were sent, by edge.", "reporter", "source", "destination", "protocol")
	edgeOpenFamily = define("gridway_edge_open", gauge,
		"Connections of TCP, sessions of UDP and streams under way, by edge.", "reporter", "source", "destination", "protocol")
	edgeDatagramsFamily = define("gridway_edge_datagrams_total", counter,
		"Datagrams of UDP that were passed on, by edge: from clients (request) and to them (response).", "reporter", "source", "destination", "protocol", "direction")
	edgesFoldedFamily = define("gridway_edges_folded_total", counter,
		"How often an edge was counted as one from other to other, or a host outside as other, because there are too many.")
	edgeFamilies = []family{edgeRequestsFamily, edgeErrorsFamily, edgeDurationFamily, edgeInFamily, edgeOutFamily, edgeOpenFamily, edgeDatagramsFamily, edgesFoldedFamily}
)

// edgeSeries are the labels that all families of edges have.
type edgeSeries struct{ reporter, source, destination, protocol string }

// edgeTotal is an edge without its routes, which have metrics of their own.
type edgeTotal struct {
	signal.Counts
	open int64
	// classes are by mutual TLS.
	classes [2][signal.Classes]uint64
}

func (e *emitter) edges(list []signal.Edge, folded uint64) {
	all := map[edgeSeries]*edgeTotal{}
	for i := range list {
		x := &list[i]
		k := edgeSeries{x.Side.String(), x.Source.Party().ID(), x.Destination.Party().ID(), x.Protocol.String()}
		t := all[k]
		if t == nil {
			t = &edgeTotal{}
			all[k] = t
		}
		t.Add(&x.Counts)
		t.open += x.Open
		mutual := 0
		if x.MutualTLS {
			mutual = 1
		}
		for class, n := range x.Classes {
			t.classes[mutual][class] += n
		}
	}
	for k, t := range all {
		e.edge(k, t)
	}
	e.count(&edgesFoldedFamily, folded)
}

func (e *emitter) edge(k edgeSeries, t *edgeTotal) {
	labels := []string{k.reporter, k.source, k.destination, k.protocol}
	for mutual, classes := range t.classes {
		for class, n := range classes {
			if n > 0 {
				name := "none"
				if class > 0 {
					name = fmt.Sprintf("%dxx", class)
				}
				e.count(&edgeRequestsFamily, n, k.reporter, k.source, k.destination, k.protocol, [2]string{"false", "true"}[mutual], name)
			}
		}
	}
	e.count(&edgeErrorsFamily, t.Errors, labels...)
	e.histogram(&edgeDurationFamily, &histogramCounts{count: t.Count(), nanos: t.Nanos, latency: t.Latency}, nil, labels...)
	e.count(&edgeInFamily, t.In, labels...)
	e.count(&edgeOutFamily, t.Out, labels...)
	if t.InDatagrams|t.OutDatagrams != 0 {
		e.count(&edgeDatagramsFamily, t.InDatagrams, k.reporter, k.source, k.destination, k.protocol, "request")
		e.count(&edgeDatagramsFamily, t.OutDatagrams, k.reporter, k.source, k.destination, k.protocol, "response")
	}
	e.gauge(&edgeOpenFamily, float64(max(t.open, 0)), labels...)
}
