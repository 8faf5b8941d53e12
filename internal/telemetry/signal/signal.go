// Package signal counts what passes over the edges of the service graph: from whom to
// whom, by which protocol and route, over mutual TLS or not, with what outcome, how long
// it took and how many bytes it was. Both ends of a connection count, each by itself.
//
// A Recorder is bounded whatever comes, allocates nothing for edges that it has seen
// before, and has a copy of its counters for each processor, so that nobody waits for
// another. It starts no goroutines: the data plane records, and who reports or exposes
// metrics takes.
package signal

import (
	"time"

	"github.com/gridway/gridway/internal/telemetry/latency"
)

// Side is which end of an edge has seen it.
type Side uint8

const (
	// Client is the proxy of who asks, Server that of who is asked.
	Client Side = iota + 1
	Server
)

func (s Side) String() string {
	if s == Client {
		return "client"
	}
	return "server"
}

// Protocol is what was spoken.
type Protocol uint8

const (
	HTTP Protocol = iota + 1
	GRPC
	TCP
	// UDP are sessions, DNS questions to resolvers.
	UDP
	DNS
	protocols
)

// Known tells whether this version has the protocol.
func (p Protocol) Known() bool { return p >= HTTP && p < protocols }

func (p Protocol) String() string {
	switch p {
	case GRPC:
		return "gRPC"
	case TCP:
		return "TCP"
	case UDP:
		return "UDP"
	case DNS:
		return "DNS"
	}
	return "HTTP"
}

// Key tells edges apart.
type Key struct {
	Source, Destination Who
	Route               Route
	Side                Side
	Protocol            Protocol
	// MutualTLS: the connection between the proxies has the mesh's.
	MutualTLS bool
}

// Classes of outcomes: none, and 1xx to 5xx.
const Classes = 6

// Seen is one request, or a connection of TCP or session of UDP that has ended.
type Seen struct {
	// Status is that of HTTP; 0 is no answer. Calls of gRPC have that which their code
	// stands for.
	Status int
	// Cancelled: the client has gone. What has no answer then is nobody's error.
	Cancelled bool
	Duration  time.Duration
	// In and Out are bytes of bodies: of the request, and of the response.
	In, Out int64
	// InDatagrams and OutDatagrams are those of UDP: from the client, and to it.
	InDatagrams, OutDatagrams int64
}

// class is the first digit of the status.
func (s *Seen) class() int {
	if c := s.Status / 100; c > 0 && c < Classes {
		return c
	}
	return 0
}

// Counts is what was seen of an edge.
type Counts struct {
	// Classes are requests without an answer, and by the first digit of their status.
	Classes [Classes]uint64
	// Errors are those of the server's side: 5xx, and no answer for somebody who waited.
	Errors uint64
	// Nanos is the sum of all durations.
	Nanos   uint64
	In, Out uint64
	// InDatagrams and OutDatagrams are 0 but for UDP.
	InDatagrams, OutDatagrams uint64
	Latency                   [latency.Buckets]uint64
}

// Count is how many there were.
func (c *Counts) Count() (n uint64) {
	for _, k := range c.Classes {
		n += k
	}
	return n
}

// Add takes up what was counted elsewhere.
func (c *Counts) Add(o *Counts) {
	for i, n := range o.Classes {
		c.Classes[i] += n
	}
	c.Errors += o.Errors
	c.Nanos += o.Nanos
	c.In += o.In
	c.Out += o.Out
	c.InDatagrams += o.InDatagrams
	c.OutDatagrams += o.OutDatagrams
	for i, n := range o.Latency {
		c.Latency[i] += n
	}
}

// Edge is what was seen of one.
type Edge struct {
	Key
	Counts
	// Open are connections and streams under way.
	Open int64
}
