package pipeline

import (
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

// signal counts the exchange at the edges of the service graph that it went over: the one
// on which it came, and the one on which it went out.
func (x *Exchange) signal(status int, d time.Duration) {
	in, out := x.edges()
	if in.Source == (signal.Who{}) && out.Source == (signal.Who{}) {
		return
	}
	came := signal.Seen{Status: status, Cancelled: x.Flags.Has(filter.ClientGone), Duration: x.answered(d), In: x.bodyRead.Load(), Out: x.sent}
	went := came
	if x.upstreamAt != 0 && !x.retried && x.attempts <= 1 {
		went.Duration = time.Duration(x.ended() - x.upstreamAt)
		if x.headAt != 0 {
			went.Duration = min(went.Duration, x.answered(went.Duration))
		}
	}
	if x.backend != nil && x.headAt == 0 && status >= 500 && x.Local.Status >= 500 {
		went.Status = 0 // the answer is ours, since there was none
	}
	x.p.Signals.RecordBoth(&in, &out, &came, &went)
}

// edges are the two edges. One without a source is none.
func (x *Exchange) edges() (in, out signal.Key) {
	ends := x.Listener.Ends(x.Section)
	protocol := signal.HTTP
	if x.call.on {
		protocol = signal.GRPC
	}
	var route signal.Route
	if x.rule != nil {
		route = x.rule.SignalRoute
	}
	if ends.Server != (signal.Who{}) {
		in = signal.Key{Source: ends.Source, Destination: ends.Server, Route: route, Side: signal.Server, Protocol: protocol}
		if in.Source == (signal.Who{}) {
			in.Source, in.MutualTLS = x.Peer, x.Peer != signal.Nobody
			if x.Peer == (signal.Who{}) {
				in.Source, in.MutualTLS = signal.Nobody, false
			}
		}
	}
	if ends.Client == (signal.Who{}) {
		return in, out
	}
	to := ends.Service
	if x.backend != nil {
		to = x.backend.Party
	}
	if to != (signal.Who{}) {
		out = signal.Key{Source: ends.Client, Destination: to, Route: route, Side: signal.Client, Protocol: protocol, MutualTLS: x.toMesh()}
	}
	return in, out
}

// toMesh tells whether the exchange went out with the mesh's TLS. One that a breaker or an
// outage has kept from endpoints would have: it is not to look like plaintext.
func (x *Exchange) toMesh() bool {
	if x.endpoint != nil {
		return x.endpoint.InMesh()
	}
	return x.backend != nil && x.backend.Cluster != nil && x.backend.Cluster.InMesh()
}

// signalOpened counts the exchange as a stream at its edges, until signalClosed.
func (x *Exchange) signalOpened() {
	if x.p.Signals == nil {
		return
	}
	x.opened[0], x.opened[1] = x.edges()
	x.signalOpen(1)
}

func (x *Exchange) signalClosed() {
	if x.p.Signals != nil {
		x.signalOpen(-1)
	}
}

func (x *Exchange) signalOpen(n int64) {
	for i := range x.opened {
		if x.opened[i].Source != (signal.Who{}) {
			x.p.Signals.Open(x.opened[i], n)
		}
	}
}
