package adminapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/mesh/question"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

// Records knows what has passed: observe.Observer.
type Records interface {
	// Records returns what is remembered of q, the newest first. The error is that of ctx,
	// or a *question.Refusal.
	Records(ctx context.Context, q *trace.Query) (*trace.Answer, error)
}

// Traces are notable ones, the newest first.
type Traces struct {
	Traces []trace.Summary `json:"traces"`
	// Unreached are proxies that have not answered.
	Unreached []trace.Unreached `json:"unreached,omitempty"`
}

// Trace is what is remembered of one: the records of each proxy, parents before children.
type Trace struct {
	TraceID   string            `json:"traceID"`
	Hops      []Hop             `json:"hops"`
	Unreached []trace.Unreached `json:"unreached,omitempty"`
}

// Request is what has happened to one, hop by hop.
type Request struct {
	RequestID string            `json:"requestID"`
	Hops      []Hop             `json:"hops"`
	Unreached []trace.Unreached `json:"unreached,omitempty"`
}

// Hop is the record of one proxy.
type Hop struct {
	// Depth is how many hops were before it, and Through the number of the try that has
	// led to it, 0 if that is not known.
	Depth   int `json:"depth"`
	Through int `json:"through,omitempty"`
	trace.Record
}

const (
	defaultTraces = 50
	maxTraces     = 500
	// recordsOfTrace is how many records are asked for to have one trace.
	recordsOfTrace = 8
	// maxTracesOfRequest is in how many traces a request is looked for: an ID that a
	// client has chosen may be that of many.
	maxTracesOfRequest = 8
)

// traces are the endpoints of what has passed.
func (s *Server) traces() []*endpoint {
	return []*endpoint{
		{
			method: "GET", path: "/v1/traces", role: access.Viewer, gives: Traces{}, serve: s.listTraces,
			query: map[string]string{
				"service": "only those that this service has sent or got: NAME or NAMESPACE/NAME",
				"route":   "only those of this route: NAME, NAMESPACE/NAME or KIND/NAMESPACE/NAME",
				"slow":    "only those that took at least so long: a duration such as 250ms, or true for 1s",
				"errors":  "true leaves those that have failed or were refused",
				"since":   "only those since then: a duration before now such as 15m, or a time of RFC 3339",
				"limit":   "how many at most, 1 to 500; 50 without it",
			},
			summary: "Notable traces, the newest first: those that were sampled, were slow, have failed or were refused.",
		},
		{
			method: "GET", path: "/v1/traces/{id}", role: access.Viewer, gives: Trace{}, serve: s.oneTrace,
			summary: "What is remembered of a trace, whether it is notable or not: a record for each proxy, parents before children.",
		},
		{
			method: "GET", path: "/v1/requests/{id}", role: access.Viewer, gives: Request{}, serve: s.request,
			summary: "What has happened to the request with this ID (X-Request-Id, unless the configuration names another header), hop by hop.",
		},
	}
}

func (s *Server) listTraces(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	v, limit := r.URL.Query(), defaultTraces
	if text := v.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxTraces {
			return nil, fault(http.StatusBadRequest, "limit must be a number from 1 to %d, and is %q", maxTraces, text)
		}
		limit = n
	}
	v.Del("limit")
	v.Del("format") // it is every endpoint's
	for _, name := range [...]string{"trace", "request", "notable", "edge"} {
		if v.Has(name) {
			return nil, fault(http.StatusBadRequest, "%s is no parameter of the list: ask for /v1/traces/{id} or /v1/requests/{id}", name)
		}
	}
	q, err := trace.ParseQuery(v, time.Now())
	if err != nil {
		return nil, fault(http.StatusBadRequest, "%v", err)
	}
	q.Notable, q.Limit = true, min(trace.MaxFound, limit*recordsOfTrace)
	a, f := s.records(r.Context(), q)
	if f != nil {
		return nil, f
	}
	out := &Traces{Traces: trace.Summarize(a.Records), Unreached: a.Unreached}
	out.Traces = out.Traces[:min(len(out.Traces), limit)]
	if out.Traces == nil {
		out.Traces = []trace.Summary{}
	}
	return out, nil
}

func (s *Server) oneTrace(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	id := r.PathValue("id")
	if _, ok := trace.ParseID(id); !ok || len(id) != 32 {
		return nil, fault(http.StatusBadRequest, "the ID of a trace has 32 hexadecimal digits in lower case, not all of them zero")
	}
	a, f := s.records(r.Context(), &trace.Query{TraceID: id})
	if f != nil {
		return nil, f
	}
	if len(a.Records) == 0 {
		return nil, forgotten("trace", a.Unreached)
	}
	return &Trace{TraceID: id, Hops: hops(a.Records), Unreached: a.Unreached}, nil
}

func (s *Server) request(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	id := r.PathValue("id")
	if id == "" || len(id) > 256 {
		return nil, fault(http.StatusBadRequest, "the ID of a request has 1 to 256 bytes")
	}
	a, f := s.records(r.Context(), &trace.Query{RequestID: id})
	if f != nil {
		return nil, f
	}
	if len(a.Records) == 0 {
		return nil, forgotten("request", a.Unreached)
	}
	// Hops behind an application may have other request IDs, but not other traces.
	all, unreached := a.Records, a.Unreached
	asked := map[string]bool{}
	for _, record := range a.Records {
		if asked[record.TraceID] || len(asked) == maxTracesOfRequest {
			continue
		}
		asked[record.TraceID] = true
		more, f := s.records(r.Context(), &trace.Query{TraceID: record.TraceID})
		if f != nil {
			return nil, f
		}
		all = append(all, more.Records...)
	}
	return &Request{RequestID: id, Hops: hops(trace.OfRequest(once(all), id)), Unreached: unreached}, nil
}

func (s *Server) records(ctx context.Context, q *trace.Query) (*trace.Answer, *Fault) {
	a, err := s.opt.Records.Records(ctx, q)
	var refused *question.Refusal
	switch {
	case err == nil:
		return a, nil
	case errors.As(err, &refused):
		return nil, fault(http.StatusBadRequest, "%v", refused)
	}
	return nil, fault(http.StatusServiceUnavailable, "what has passed cannot be asked for now: %v", err)
}

// forgotten is said of what no proxy remembers.
func forgotten(what string, unreached []trace.Unreached) *Fault {
	f := fault(http.StatusNotFound, "no proxy remembers this %s: it was another process's, or newer ones have taken its place; --telemetry-memory sets how much is remembered", what)
	for _, u := range unreached {
		f.Detail += "; not asked: " + u.Proxy + " (" + u.Why + ")"
	}
	return f
}

// once leaves one of each record.
func once(list []*trace.Record) []*trace.Record {
	type key struct{ proxy, trace, span string }
	seen := map[key]bool{}
	out := list[:0:0]
	for _, r := range list {
		if k := (key{r.Proxy, r.TraceID, r.SpanID}); !seen[k] {
			seen[k] = true
			out = append(out, r)
		}
	}
	return out
}

func hops(records []*trace.Record) []Hop {
	out := []Hop{}
	trace.Walk(trace.Tree(records), func(n *trace.Node, depth int) {
		out = append(out, Hop{Depth: depth, Through: n.Through, Record: *n.Record})
	})
	return out
}
