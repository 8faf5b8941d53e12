package report

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/telemetry/latency"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

// Bounds of what is taken of a proxy.
const (
	// maxEdges of a report, with those that stand for many.
	maxEdges = signal.MaxEdges + 64
	// maxName is the longest name of a party or a route, in bytes.
	maxName = 600
	// MaxCount bounds each number that a report counts, and maxBytes those of bytes. Times
	// are cut off there: a thousand connections of two weeks that end at once have more.
	MaxCount = 1 << 50
	maxBytes = 1 << 60
)

// Signals makes a report of edges.
func Signals(edges []signal.Edge) *meshpb.SignalReport {
	r := &meshpb.SignalReport{Edges: make([]*meshpb.SignalEdge, 0, len(edges))}
	parties, routes := map[signal.Who]uint32{}, map[signal.Route]uint32{{}: 0}
	party := func(w signal.Who) uint32 {
		at, ok := parties[w]
		if !ok {
			r.Parties = append(r.Parties, Party(w))
			at = uint32(len(r.Parties))
			parties[w] = at
		}
		return at
	}
	for i := range edges {
		e := &edges[i]
		route, ok := routes[e.Route]
		if !ok {
			r.Routes = append(r.Routes, e.Route.String())
			route = uint32(len(r.Routes))
			routes[e.Route] = route
		}
		x := &meshpb.SignalEdge{
			Source: party(e.Source), Destination: party(e.Destination), Route: route, Server: e.Side == signal.Server, Protocol: meshpb.TrafficProtocol(e.Protocol),
			MutualTls: e.MutualTLS, Errors: e.Errors, Microseconds: min(e.Nanos/1000, MaxCount), InBytes: e.In, OutBytes: e.Out, Open: uint64(max(e.Open, 0)),
			InDatagrams: e.InDatagrams, OutDatagrams: e.OutDatagrams,
		}
		if e.Count() > 0 {
			x.Classes = append(x.Classes, e.Classes[:]...)
			for bucket, n := range e.Latency {
				if n > 0 {
					x.Buckets, x.Counts = append(x.Buckets, uint32(bucket)), append(x.Counts, n)
				}
			}
		}
		r.Edges = append(r.Edges, x)
	}
	return r
}

// Plausible tells whether an edge counts no more than a report may.
func Plausible(e *signal.Edge) bool {
	for _, n := range e.Classes {
		if n > MaxCount {
			return false
		}
	}
	for _, n := range e.Latency {
		if n > MaxCount {
			return false
		}
	}
	return e.In <= maxBytes && e.Out <= maxBytes && e.InDatagrams <= MaxCount && e.OutDatagrams <= MaxCount && e.Errors <= e.Count()
}

// ReadSignals reads what a proxy has reported. The edges of which may is not true are left
// out: refused says how many, and why one was. An error is that the report cannot be true
// as a whole.
func ReadSignals(r *meshpb.SignalReport, may func(own signal.Party) bool) (edges []signal.Edge, refused uint32, why string, err error) {
	if len(r.GetEdges()) > maxEdges || len(r.GetParties()) > 2*maxEdges || len(r.GetRoutes()) > maxEdges {
		return nil, 0, "", fmt.Errorf("a report has %d edges at most", maxEdges)
	}
	if r.GetSequence() == 0 {
		return nil, 0, "", errors.New("a report has a sequence, from 1")
	}
	parties := make([]signal.Who, 0, len(r.GetParties()))
	for _, p := range r.GetParties() {
		x, err := ReadParty(p)
		if err != nil {
			return nil, 0, "", err
		}
		parties = append(parties, signal.Of(x))
	}
	routes := make([]signal.Route, 1, len(r.GetRoutes())+1)
	for _, name := range r.GetRoutes() {
		if !isName(name) || name == "" {
			return nil, 0, "", errors.New("a route's name is empty, too long or no text")
		}
		routes = append(routes, signal.RouteOf(name))
	}
	edges = make([]signal.Edge, 0, len(r.GetEdges()))
	for _, x := range r.GetEdges() {
		if p := x.GetProtocol(); p < 0 || p > math.MaxUint8 || !signal.Protocol(p).Known() { // a newer proxy's
			refused++
			why = fmt.Sprintf("this version of the control plane does not know the protocol %d of an edge", p)
			continue
		}
		e, err := readEdge(x, parties, routes)
		if err != nil {
			return nil, 0, "", err
		}
		own := e.Source
		if e.Side == signal.Server {
			own = e.Destination
		}
		if p := own.Party(); p.Kind != signal.Other && !may(p) {
			refused++
			why = "a proxy speaks for its own workloads alone, and not for " + p.ID()
			continue
		}
		edges = append(edges, e)
	}
	return edges, refused, why, nil
}

// Party says who an end of an edge is.
func Party(w signal.Who) *meshpb.SignalParty {
	p := w.Party()
	return &meshpb.SignalParty{Kind: meshpb.SignalPartyKind(p.Kind), Domain: p.Domain, Namespace: p.Namespace, Name: p.Name}
}

// ReadParty reads what Party says.
func ReadParty(p *meshpb.SignalParty) (signal.Party, error) {
	if p.GetKind() < 0 || int(p.GetKind()) >= signal.Kinds {
		return signal.Party{}, errors.New("a party's kind is not known")
	}
	x := signal.Party{Kind: signal.Kind(p.GetKind()), Domain: p.GetDomain(), Namespace: p.GetNamespace(), Name: p.GetName()}
	if !isName(x.Domain) || !isName(x.Namespace) || !isName(x.Name) {
		return x, errors.New("a party's name is too long or no text")
	}
	switch x.Kind {
	case signal.Service, signal.EdgeProxy, signal.Gateway, signal.Backend:
		if x.Namespace == "" || x.Name == "" || strings.ContainsAny(x.Domain+x.Namespace+x.Name, "/>") {
			return x, errors.New("a party has no namespace and name")
		}
	case signal.External:
		if x.Name == "" || x.Namespace != "" || x.Domain != "" {
			return x, errors.New("an external host has no name, or more than that")
		}
	default:
		if x != (signal.Party{Kind: x.Kind}) {
			return x, errors.New("a party has a name that has none")
		}
	}
	return x, nil
}

func isName(s string) bool {
	return len(s) <= maxName && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

func readEdge(x *meshpb.SignalEdge, parties []signal.Who, routes []signal.Route) (e signal.Edge, err error) {
	from, to, route := int(x.GetSource()), int(x.GetDestination()), int(x.GetRoute())
	switch {
	case from < 1 || from > len(parties) || to < 1 || to > len(parties) || route >= len(routes):
		return e, errors.New("an edge names a party or a route that is not there")
	case len(x.GetClasses()) != 0 && len(x.GetClasses()) != signal.Classes || len(x.GetBuckets()) != len(x.GetCounts()):
		return e, errors.New("an edge's counts are not complete")
	case x.GetMicroseconds() > MaxCount || x.GetInBytes() > maxBytes || x.GetOutBytes() > maxBytes || x.GetInDatagrams() > MaxCount || x.GetOutDatagrams() > MaxCount || x.GetOpen() > 1<<32:
		return e, errors.New("an edge counts too much")
	}
	e.Key = signal.Key{
		Source: parties[from-1], Destination: parties[to-1], Route: routes[route], Side: signal.Client, Protocol: signal.Protocol(x.GetProtocol()), MutualTLS: x.GetMutualTls(),
	}
	if x.GetServer() {
		e.Side = signal.Server
	}
	for i, n := range x.GetClasses() {
		if n > MaxCount {
			return e, errors.New("an edge counts too much")
		}
		e.Classes[i] = n
	}
	last, total := -1, uint64(0)
	for i, bucket := range x.GetBuckets() {
		n := x.GetCounts()[i]
		if int(bucket) <= last || bucket >= latency.Buckets || n > MaxCount {
			return e, errors.New("an edge's histogram is not in order")
		}
		last = int(bucket)
		e.Latency[bucket] = n
		total += n
	}
	if e.Count() != total || x.GetErrors() > total {
		return e, errors.New("an edge's counts are not of the same requests")
	}
	e.Errors, e.Nanos, e.In, e.Out, e.Open = x.GetErrors(), x.GetMicroseconds()*uint64(time.Microsecond), x.GetInBytes(), x.GetOutBytes(), int64(x.GetOpen())
	e.InDatagrams, e.OutDatagrams = x.GetInDatagrams(), x.GetOutDatagrams()
	return e, nil
}

// Milliseconds is a time of a report, of a day at most.
func Milliseconds(n uint64) time.Duration {
	return time.Duration(min(n, uint64(24*time.Hour/time.Millisecond))) * time.Millisecond
}
