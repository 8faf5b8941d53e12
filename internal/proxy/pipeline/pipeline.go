// Package pipeline is the request path: what happens to an exchange, in which
// order, whatever protocol brought it. The phases are fixed here; users choose
// what happens in a phase, never the order. An exchange runs on one goroutine,
// which may block; a request body that has not arrived whole has a second one
// (see pump). Drivers of protocols import the package and call Serve.
package pipeline

import (
	"log/slog"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/clientcert"
	"github.com/gridway/gridway/internal/proxy/egress"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/proxy/tracing"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/proxy/vouch"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/flow"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/telemetry/otlp"
	"github.com/gridway/gridway/internal/telemetry/outlet"
	"github.com/gridway/gridway/internal/telemetry/signal"
	"github.com/gridway/gridway/internal/telemetry/tap"
	"github.com/gridway/gridway/internal/telemetry/trace"
	"github.com/gridway/gridway/internal/wire/netx"
)

// Pipeline is what all exchanges of a proxy share.
type Pipeline struct {
	Metrics *metric.Registry
	// AccessLog may be nil.
	AccessLog *accesslog.Logger
	// Outlets are where policies lead it; nil has none.
	Outlets *outlet.Set
	// Flows gathers who speaks to workloads here; nil gathers nothing.
	Flows *flow.Recorder
	// Taps look at what passes; nil has none.
	Taps *tap.Set
	// AnyCredentials are the places of credentials of all rules: what no rule took may have
	// been meant for any. Nil knows none.
	AnyCredentials func() *ir.Authentication
	// Signals counts by edge of the service graph; nil counts nothing.
	Signals *signal.Observer
	// Records remembers exchanges; nil remembers none.
	Records *trace.Recorder
	// Resource is who spans are of.
	Resource *otlp.Resource
	// Tracing says how exchanges are traced.
	Tracing *tracing.Set
	Log     *slog.Logger
	// Upstreams has the clusters that filters ask; nil for none.
	Upstreams *upstream.Set
	// Mirrors counts the copies of requests in flight; Background are the losers
	// of hedged exchanges. Whoever stops the proxy waits for both.
	Mirrors    Mirroring
	Background sync.WaitGroup
	// Certificates remembers what was read of clients' certificates; it may be nil.
	Certificates *clientcert.Cache
	// Egress is the way out of outbound listeners; it may be nil if there are none.
	Egress *egress.Gate
	// Learn is asked, unless it is nil, for what an authority means that no section of
	// an outbound listener has; true is that there may be one now, in what Latest
	// returns for the listener's name. It may take a while.
	Learn  func(authority string) bool
	Latest func(listener string) *snapshot.Listener
	// Vouch tells proxies of the mesh who calls, and believes those that may say so; nil
	// for a proxy that is in none.
	Vouch *vouch.Voucher
	// Challenges may be nil: no certificate is asked for.
	Challenges Challenges
	// LeaveWithin is how long a drain takes to end WebSockets and streams of
	// events, each at a moment that chance picks.
	LeaveWithin time.Duration
}

// Serve carries the exchange from its parsed head to the end of its response.
// The driver has set Down, Listener and the parsed request.
func (p *Pipeline) Serve(x *Exchange) {
	x.p = p
	x.begin()
	x.serve()
	x.finish()
	x.account()
}

func (x *Exchange) serve() {
	defer x.contain()
	if x.identify() && x.challenge() && x.match() && x.limitBody() && x.guard() && x.admit() && x.filterRequest() && x.choose() {
		x.forward()
	}
	if x.Local.Status != 0 && !x.headSent {
		x.replyLocal()
	}
}

// match pins the rule that the exchange belongs to.
func (x *Exchange) match() bool {
	if x.Listener.Outbound != nil && !x.chooseOutlet() {
		return false
	}
	if x.Listener.MeshOnly {
		x.Section = x.Listener.Closed
		x.beginTrace()
		x.Fail(403, filter.MeshTLSRequired, "this workload takes connections of the mesh alone: let the client join the mesh, or set \"mtls: Permissive\" in a MeshPolicy")
		return false
	}
	m, ok := x.Listener.Table.Match(&x.Req, x.sni)
	x.Section = m.Section
	if !ok || m.Misdirected {
		x.beginTrace()
	}
	if m.Misdirected {
		x.Fail(421, filter.MisdirectedRequest, "this connection's TLS server name does not serve the requested host")
		return false
	}
	if !ok {
		x.Fail(404, filter.RouteNotFound, "no route matches this host, path and method")
		return false
	}
	x.rule = m.Value
	x.Route, x.Rule, x.Match = m.Route, m.Rule, m.Match
	x.beginTrace()
	x.believe()
	// Before filters, which may take the cookie out of the request.
	if x.rule.Session != nil {
		x.session, _ = x.rule.Session.Lookup(&x.Exchange)
	}
	if d := x.Rule.Policy.Timeouts.Request; d > 0 {
		x.deadline = x.started + int64(d)
	}
	if x.rule.Filters.Recognize != nil && !x.call.on {
		x.rule.Filters.Recognize.Recognize(&x.Exchange)
	}
	return !x.call.on || x.limitCall()
}

// limitBody refuses a body that is announced to be over the limit.
func (x *Exchange) limitBody() bool {
	if max := x.maxBody(); max > 0 && x.Req.Length > max {
		x.Fail(413, filter.BodyTooLarge, "the request's body is over the limit")
		return false
	}
	return true
}

// maxBody is the limit of the request's body in bytes; zero is none.
func (x *Exchange) maxBody() int64 {
	if x.Rule != nil && x.Rule.Policy.MaxBodyBytes > 0 {
		return x.Rule.Policy.MaxBodyBytes
	}
	return x.Listener.IR.Client.MaxBodyBytes
}

// guard asks whether the request may go on at all: who calls, and what they may.
// It comes before anything that takes a place from others.
func (x *Exchange) guard() bool {
	guards := x.rule.Filters.Guard
	if len(guards) == 0 {
		return true
	}
	at := now()
	for i, f := range guards {
		verdict := f.OnRequest(&x.Exchange)
		if kind := x.rule.Filters.Kinds[i]; kind != filter.NoPolicy {
			after := now()
			x.p.Metrics.Decided(int(kind), time.Duration(after-at))
			at = after
		}
		if verdict == filter.Reply {
			return false
		}
	}
	return true
}

// filterRequest runs the rule's request filters in their fixed order.
func (x *Exchange) filterRequest() bool {
	for _, f := range x.rule.Filters.Request {
		if f.OnRequest(&x.Exchange) == filter.Reply {
			if x.Translated {
				x.translate()
			}
			return false
		}
	}
	if x.Translated {
		x.translate()
	}
	if x.Timeout > 0 {
		x.deadline = earlier(x.deadline, x.started+int64(min(x.Timeout, maxCallTimeout)))
	}
	return true
}

// choose picks the backend by weight, or by the client's session.
func (x *Exchange) choose() bool {
	if x.rule.Outside {
		return x.chooseOutside()
	}
	x.backend = x.chooseBackend()
	if x.backend == nil || x.backend.Cluster == nil {
		detail := "the rule has no backend"
		if x.backend != nil {
			detail = "the rule's backend could not be resolved"
		}
		x.Fail(500, filter.BackendInvalid, detail)
		return false
	}
	for _, f := range x.backend.Filters.Request {
		if f.OnRequest(&x.Exchange) == filter.Reply {
			return false
		}
	}
	if host := x.backend.Cluster.Config().Host; host != "" {
		x.Req.SetHost(x.Req.Arena.CopyString(host))
	}
	x.hash, x.hasHash = x.backend.Cluster.HashOf(&x.Req, x.Client)
	return true
}

// now is the monotonic clock of deadlines.
func now() int64 { return netx.Monotonic() }
