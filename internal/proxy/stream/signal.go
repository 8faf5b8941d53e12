package stream

import (
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

// Statuses that connections count with, as requests have them.
const (
	relayed = 200
	refused = 403
)

// signalOpened counts the connection at its edges of the service graph as open.
func (s *Stream) signalOpened() {
	if s.server.Signals == nil {
		return
	}
	s.edges[0], s.edges[1] = s.signalEdges()
	for i := range s.edges {
		if s.edges[i].Source != (signal.Who{}) {
			s.server.Signals.Open(s.edges[i], 1)
		}
	}
}

// signal counts the connection, which has ended.
func (s *Stream) signal(d time.Duration, in, out int64) {
	edges, open := s.edges, true
	if edges == ([2]signal.Key{}) {
		open = false
		edges[0], edges[1] = s.signalEdges()
	}
	seen := signal.Seen{Status: relayed, Duration: d, In: in, Out: out, Cancelled: s.flags.Has(filter.ClientGone)}
	switch failed := s.flags &^ (filter.ClientGone.Flag() | filter.Draining.Flag()); {
	case s.policy != "", s.flags.Has(filter.AccessDenied): // by a policy here, or by the other side
		seen.Status = refused
	case failed != 0 || !open:
		seen.Status = 0
	}
	for i := range edges {
		if edges[i].Source == (signal.Who{}) {
			continue
		}
		s.server.Signals.Record(edges[i], &seen)
		if open {
			s.server.Signals.Open(edges[i], -1)
		}
	}
}

// signalEdges are the edge on which the connection came, and that on which it went on.
// One without a source is none.
func (s *Stream) signalEdges() (in, out signal.Key) {
	o := s.server.Signals
	if s.Section == nil {
		if s.Up == nil || s.Destination == "" {
			return in, out
		}
		// What an outbound listener lets out.
		out.Source, out.Destination = snapshot.ClientOf(o, s.Listener.IR), o.Host(s.Destination)
		out.Side, out.Protocol, out.Route = signal.Client, signal.TCP, s.Route.SignalRoute
		return in, out
	}
	ends := snapshot.EndsOf(o, s.Listener.IR, s.Section)
	var route signal.Route
	if s.Route != nil {
		route = s.Route.SignalRoute
	}
	if ends.Server != (signal.Who{}) {
		in = signal.Key{Source: ends.Source, Destination: ends.Server, Route: route, Side: signal.Server, Protocol: signal.TCP}
		if in.Source == (signal.Who{}) {
			in.Source = signal.Nobody
			if s.Tunnel != nil {
				_, id := s.Tunnel.Peer()
				in.Source = o.Peer(id)
				in.MutualTLS = in.Source != signal.Nobody
			}
		}
	}
	to := ends.Service
	if s.backend != nil {
		to = s.backend.Party
	}
	if ends.Client != (signal.Who{}) && to != (signal.Who{}) {
		out = signal.Key{Source: ends.Client, Destination: to, Route: route, Side: signal.Client, Protocol: signal.TCP, MutualTLS: s.endpoint != nil && s.endpoint.InMesh()}
	}
	return in, out
}
