package adminapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/mesh/signals"
)

// Signals is what is known of traffic, by edge of the service graph.
type Signals interface {
	Graph(ctx context.Context, q signals.Query) (*signals.Graph, error)
	Series(ctx context.Context, q signals.Query) (*signals.Series, error)
	// Longest is the longest window, signals.Most at least.
	Longest() time.Duration
}

const (
	defaultGraph  = 5 * time.Minute
	defaultSeries = time.Hour
)

// signals are the endpoints of the service graph.
func (s *Server) signals() []*endpoint {
	const window = "how far back, a duration of 10s to 24h, or to --signals-history"
	list := []*endpoint{
		{
			method: "GET", path: "/v1/graph", role: access.Viewer, gives: signals.Graph{}, serve: s.graph,
			query:   map[string]string{"window": window + " (5m)", "namespace": "only edges of which an end is in it"},
			summary: "Who has spoken to whom, with rate, errors, latencies and mutual TLS.",
		},
		{
			method: "GET", path: "/v1/signals", role: access.Viewer, gives: signals.Series{}, serve: s.series,
			query: map[string]string{
				"of":     "mesh, edge:SOURCE>DESTINATION, service:NAMESPACE/NAME, node:ID, from:ID (what a node has sent) or route:KIND/NAMESPACE/NAME (mesh)",
				"window": window + " (1h)", "step": "how long a point is, at least; the finest that is kept of the window if it is not given",
			},
			summary: "Rate, errors and latencies over time: 10 seconds apart for 15 minutes, a minute for 3 hours, 10 minutes for 24 hours, an hour beyond.",
		},
	}
	if s.opt.Signals == nil {
		for _, e := range list {
			e.serve = func(http.ResponseWriter, *http.Request) (any, *Fault) {
				return nil, fault(http.StatusConflict, "this process keeps no service graph; ask one that runs gridway run or gridway control")
			}
		}
	}
	return list
}

func (s *Server) graph(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	q := signals.Query{Namespace: r.URL.Query().Get("namespace")}
	var f *Fault
	if q.Window, f = duration(r, "window", defaultGraph, signals.Least, s.opt.Signals.Longest()); f != nil {
		return nil, f
	}
	return given(s, r)(s.opt.Signals.Graph(r.Context(), q))
}

func (s *Server) series(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	var (
		q   signals.Query
		f   *Fault
		err error
	)
	if text := r.URL.Query().Get("of"); text != "" {
		if q.Of, err = signals.ParseSubject(text); err != nil {
			return nil, fault(http.StatusBadRequest, "of: %v", err)
		}
	}
	if q.Window, f = duration(r, "window", defaultSeries, signals.Least, s.opt.Signals.Longest()); f != nil {
		return nil, f
	}
	if q.Step, f = duration(r, "step", 0, time.Second, signals.Most); f != nil {
		return nil, f
	}
	out, err := s.opt.Signals.Series(r.Context(), q)
	if errors.Is(err, signals.ErrUnknown) {
		return nil, fault(http.StatusNotFound, "nothing was seen of %s in the last %s", q.Of, max(q.Window, signals.Most))
	}
	return given(s, r)(out, err)
}

// duration reads a parameter within bounds.
func duration(r *http.Request, name string, otherwise, least, most time.Duration) (time.Duration, *Fault) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return otherwise, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < least || d > most {
		return 0, fault(http.StatusBadRequest, "%s must be a duration of %s to %s, as in 5m", name, least, most)
	}
	return d, nil
}
