package datagram

import (
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

// Statuses that sessions count with, as requests have them.
const (
	relayed = 200
	refused = 403
)

// signalOpened counts the session at its edges of the service graph as open.
func (s *session) signalOpened() {
	o := s.l.opts.Signals
	if o == nil {
		return
	}
	s.edges[0], s.edges[1] = edges(s.snap, s.route, s.backend)
	for _, k := range s.edges {
		if k.Source != (signal.Who{}) {
			o.Open(k, 1)
		}
	}
}

// signalNone takes back that the session is open: it does not begin.
func (s *session) signalNone() {
	for _, k := range s.edges {
		if k.Source != (signal.Who{}) {
			s.l.opts.Signals.Open(k, -1)
		}
	}
}

// signalEnded counts the session, which has ended. Its duration is the time until the
// first answer: how long the session was silent before it ended says nothing of the
// service. Who never answers, as is usual for logs, has that until the last datagram.
func (s *session) signalEnded(flags filter.Flags) {
	o := s.l.opts.Signals
	if o == nil {
		return
	}
	until := s.first.Load()
	if until == 0 {
		until = s.last.Load()
	}
	seen := signal.Seen{
		Status: relayed, Duration: time.Duration(until - s.began), In: s.in.Load(), Out: s.out.Load(),
		InDatagrams: s.datagrams[0].Load(), OutDatagrams: s.datagrams[1].Load(),
	}
	if flags&^filter.Draining.Flag() != 0 {
		seen.Status = 0
	}
	for _, k := range s.edges {
		if k.Source != (signal.Who{}) {
			o.Record(k, &seen)
			o.Open(k, -1)
		}
	}
}

// signalRefused counts a client that got no session: by a policy, or for want of an
// endpoint.
func (l *Listener) signalRefused(snap *snapshot.Listener, route *snapshot.Stream, policy string) {
	o := l.opts.Signals
	if o == nil {
		return
	}
	var seen signal.Seen
	if policy != "" {
		seen.Status = refused
	}
	if in, _ := edges(snap, route, nil); in.Source != (signal.Who{}) {
		o.Record(in, &seen)
	}
}

// edges are the edge on which a session came, and that on which it went on. One without a
// source is none.
func edges(snap *snapshot.Listener, route *snapshot.Stream, backend *snapshot.Backend) (in, out signal.Key) {
	ends := snap.Ends(nil)
	if ends.Source != (signal.Who{}) && ends.Server != (signal.Who{}) {
		in = signal.Key{Source: ends.Source, Destination: ends.Server, Route: route.SignalRoute, Side: signal.Server, Protocol: signal.UDP}
	}
	if backend != nil && ends.Client != (signal.Who{}) && backend.Party != (signal.Who{}) {
		out = signal.Key{Source: ends.Client, Destination: backend.Party, Route: route.SignalRoute, Side: signal.Client, Protocol: signal.UDP}
	}
	return in, out
}
