package distrib

import (
	"sync/atomic"
	"time"
)

// sent is what a message to a proxy has.
type sent int

const (
	sentView sent = iota
	sentEndpoints
	sentTrust
	sentKinds
)

var sentNames = [sentKinds]string{"view", "endpoints", "trust"}

// AckBounds are the upper bounds of the buckets of Counts.Acknowledged, in seconds.
var AckBounds = [...]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// counters are of a Server since its beginning.
type counters struct {
	messages, bytes [sentKinds]atomic.Uint64
	acks            [len(AckBounds) + 1]atomic.Uint64
	ackNanos        atomic.Int64
	refused         [len(kinds) + 1]atomic.Uint64
}

// kinds are those of resources that refusals are counted by; others are "unknown".
var kinds = [...]string{
	KindAddressList, KindAuthorization, KindCluster, KindConsumer, KindEndpoints, KindKeySet, KindListener, KindLogin, KindPolicies, KindRateLimit,
	KindRateLimitStore, KindRevocationList, KindRoute, KindSchema, KindStream, KindTelemetrySink, KindTokenIssuer, KindUserAgentList,
}

func (c *counters) message(what sent, bytes int) {
	c.messages[what].Add(1)
	c.bytes[what].Add(uint64(bytes))
}

func (c *counters) acknowledged(took time.Duration) {
	c.ackNanos.Add(int64(took))
	for i, bound := range AckBounds {
		if took.Seconds() <= bound {
			c.acks[i].Add(1)
			return
		}
	}
	c.acks[len(AckBounds)].Add(1)
}

func (c *counters) refusal(kind string) {
	for i, k := range kinds {
		if k == kind {
			c.refused[i].Add(1)
			return
		}
	}
	c.refused[len(kinds)].Add(1)
}

// Counts are what a Server has done since its beginning, and what waits now.
type Counts struct {
	// Messages and Bytes that were sent, by what they have: view, endpoints, trust.
	Messages, Bytes map[string]uint64
	// Acknowledged has, by upper bound, how many answers of proxies that serve a
	// revision came within it from the change on; Acks counts them all, and AckTime is
	// the sum.
	Acknowledged map[float64]uint64
	Acks         uint64
	AckTime      time.Duration
	// Refused counts resources that proxies refused, by kind.
	Refused map[string]uint64
	// Waiting counts proxies to which a view or endpoints are to be sent.
	Waiting map[string]int
}

// Counts returns them.
func (s *Server) Counts() Counts {
	c := &s.counters
	out := Counts{
		Messages: map[string]uint64{}, Bytes: map[string]uint64{}, Refused: map[string]uint64{}, Waiting: map[string]int{"view": 0, "endpoints": 0},
		Acknowledged: make(map[float64]uint64, len(AckBounds)), AckTime: time.Duration(c.ackNanos.Load()),
	}
	for i, name := range sentNames {
		out.Messages[name], out.Bytes[name] = c.messages[i].Load(), c.bytes[i].Load()
	}
	for i := range c.acks {
		out.Acks += c.acks[i].Load()
		if i < len(AckBounds) {
			out.Acknowledged[AckBounds[i]] = out.Acks
		}
	}
	for i := range c.refused {
		kind := "unknown"
		if i < len(kinds) {
			kind = kinds[i]
		}
		if n := c.refused[i].Load(); n > 0 {
			out.Refused[kind] = n
		}
	}
	s.each(func(x *session) {
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.todo.view {
			out.Waiting["view"]++
		}
		if len(x.todo.endpoints) > 0 {
			out.Waiting["endpoints"]++
		}
	})
	return out
}
