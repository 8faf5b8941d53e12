package proxy

import (
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/gridway/gridway/internal/proxy/limit/lease"
	"github.com/gridway/gridway/internal/proxy/pipeline"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/flow"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/telemetry/otlp"
	"github.com/gridway/gridway/internal/telemetry/signal"
	"github.com/gridway/gridway/internal/telemetry/tap"
	"github.com/gridway/gridway/internal/telemetry/trace"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/tlsx"
)

// Options of a data plane.
type Options struct {
	Log     *slog.Logger
	Metrics *metric.Registry
	// AccessLog may be nil: no access log.
	AccessLog *accesslog.Logger
	// AccessLogOmit are fields that TelemetrySinks do not get either.
	AccessLogOmit accesslog.Omitted
	// Stdout is where the access logs of TelemetrySinks with standardOutput go.
	Stdout io.Writer
	// Resource says who sends to TelemetrySinks; nil is nothing of that.
	Resource *otlp.Resource
	// Flows gathers who speaks to workloads here; nil gathers nothing.
	Flows *flow.Recorder
	// Taps look at what passes; nil has none.
	Taps *tap.Set
	// Signals counts by edge of the service graph; nil counts nothing.
	Signals *signal.Observer
	// Records remembers exchanges and streams; nil remembers none.
	Records *trace.Recorder
	// Tracing is how exchanges are traced where no policy says otherwise; nil is
	// trace.Default, or trace.DefaultMesh with Identities.
	Tracing *trace.Policy
	// Zone is where this proxy runs; clusters may prefer endpoints there.
	Zone string
	// DrainTimeout is how long the connections of a removed listener may take to end.
	DrainTimeout time.Duration
	// IdleGrace is how long idle connections may still bring a request once a
	// drain has begun; zero means a second.
	IdleGrace time.Duration
	// LeaveWithin is how long a drain takes, after IdleGrace, to end WebSockets and
	// streams of events one by one; zero means a quarter of DrainTimeout, and ten
	// seconds at most.
	LeaveWithin time.Duration
	// SharePorts lets other processes of the same user have the same ports, if
	// they want it too. Without it a port that somebody has is an error.
	SharePorts bool
	// Challenges may be nil: no certificate authority is answered.
	Challenges Challenges
	// Inherited are sockets of a process that this one replaces, by the name of
	// the listener: "ADDRESS:PORT".
	Inherited map[string]*net.TCPListener
	// InheritedDatagrams are those of UDP, "ADDRESS:PORT/udp", and of HTTP/3, for
	// which InheritedPipes lead to the processes that have connections.
	InheritedDatagrams map[string]*net.UDPConn
	InheritedPipes     map[string]*net.UnixConn
	// InheritedTickets are the secrets of TLS session tickets of that process;
	// empty for new ones.
	InheritedTickets []byte
	// InheritedStaples are the OCSP responses of that process.
	InheritedStaples [][]byte
	// InheritedKeys are the keys for tokens that it had fetched.
	InheritedKeys [][]byte
	// Identities are those of the mesh; nil for a proxy that is in none.
	Identities tlsx.Identities
	// Mark is the mark of sockets to endpoints and others (SO_MARK), by which rules that
	// capture connections except the proxy's own; 0 is none. It needs CAP_NET_ADMIN.
	Mark uint32
	// Learn gets services of a mesh that the configuration lacks and that applications
	// ask for by an authority, a host with or without a port; true is that there may be
	// one by now. Nil is that the configuration is all there is. It may block.
	Learn func(authority string) bool
	// Leases are of a state store; nil is that there is none.
	Leases lease.Source
	// Loops carry its connections; nil makes a group that is closed with the proxy. Several
	// proxies of one process are to share one: loops keep processors from each other
	// for moments, which is right only as long as there is one for each processor.
	Loops *loop.Group
	// Held lets the proxy accept nothing before Begin.
	Held bool
}

const maxLeaveWithin = 10 * time.Second

// defaults gives values to what needs one.
func (o *Options) defaults() {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(metric.Build{}, metric.Settings{})
	}
	if o.DrainTimeout == 0 {
		o.DrainTimeout = 30 * time.Second
	}
	if o.IdleGrace == 0 {
		o.IdleGrace = time.Second
	}
	if o.LeaveWithin == 0 {
		o.LeaveWithin = min(o.DrainTimeout/4, maxLeaveWithin)
	}
	if o.Tracing == nil {
		o.Tracing = &trace.Default
		if o.Identities != nil {
			o.Tracing = &trace.DefaultMesh
		}
	}
	if o.Resource == nil {
		o.Resource = otlp.NewResource("", otlp.Attribute{Key: "service.name", Value: "gridway"})
	}
}

// Challenges knows what certificate authorities look for before they issue.
type Challenges interface {
	pipeline.Challenges
	tlsx.Challenges
}
