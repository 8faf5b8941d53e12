package listen

import (
	"errors"
	"net"
	"net/netip"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/downstream/http1"
	"github.com/gridway/gridway/internal/proxy/egress"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/proxy/stream"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
	"github.com/gridway/gridway/internal/wire/opening"
)

// outbound is open on outbound listeners (see ir.Listener.Outbound).
func (ss *session) outbound(t *loop.Task) opened {
	l := ss.s.IR
	to, captured := netip.AddrPort{}, false
	if l.Captured {
		to, captured = ss.nc.OriginalDestination()
	}
	switch {
	case !captured && l.CapturedOnly:
		return ss.noOutlet(filter.EgressDenied)
	case !captured && l.Egress != "": // who uses it as an HTTP proxy
		return opened{http: true, ok: true}
	case !captured:
		return ss.noOutlet(filter.RouteNotFound)
	case to.Port() == l.Port && isOwn(to.Addr()):
		return ss.noOutlet(filter.LoopDetected)
	}
	out := ss.s.Outbound
	outlet := out.Destination(to)
	var o opened
	switch {
	case outlet != nil:
		o = ss.through(&outletSide{Listener: ss.l, to: to, first: outlet.Listener}, outlet)
	case l.Inbound:
		o = ss.noOutlet(filter.MeshTLSRequired)
	case out.Outside != nil:
		o = ss.pass(t, to)
	default:
		o = ss.noOutlet(filter.EgressDenied)
	}
	o.start.Destination = to.String()
	if l.Inbound && (outlet == nil || outlet.Listener.MeshOnly) {
		ss.l.strangers.Warn(ss.l.log, "a client without the mesh's TLS was refused: it is to join the mesh, or a MeshPolicy to say Permissive",
			"listener", ss.l.name, "peer", ss.nc.RemoteAddrPort(), "destination", o.start.Destination)
	}
	return o
}

// noOutlet is for connections that nothing takes.
func (ss *session) noOutlet(why filter.Reason) opened {
	return opened{ok: true, start: stream.Start{Protocol: "TCP", Reason: why}}
}

// pass is for a captured connection to what no section takes.
func (ss *session) pass(t *loop.Task, to netip.AddrPort) opened {
	up, leave, err := ss.l.egress.Pass(t, egress.Over(ss.nc), to)
	if err != nil {
		ss.l.log.Debug("no way out", "listener", ss.l.name, "destination", to, "error", err)
		return ss.noOutlet(wayOutReason(err))
	}
	return opened{ok: true, start: stream.Start{Protocol: "TCP", Route: ss.s.Outbound.Outside.Stream, Up: up, Leave: leave}}
}

func wayOutReason(err error) filter.Reason {
	switch {
	case errors.Is(err, egress.ErrLoop):
		return filter.LoopDetected
	case errors.Is(err, netx.ErrWatchGone):
		return filter.ClientGone
	}
	return filter.UpstreamConnectFailure
}

// through is for a connection whose section is known.
func (ss *session) through(side *outletSide, outlet *snapshot.Outlet) opened {
	web, known := speaks(ss.peek, ss.s, outlet)
	switch {
	case !known:
		return opened{}
	case web:
		return opened{http: true, ok: true, outlet: side}
	}
	return opened{ok: true, start: plainStart(outlet)}
}

// plainStart is for what a section takes that is not HTTP.
func plainStart(outlet *snapshot.Outlet) stream.Start {
	start := stream.Start{Protocol: "TCP", Route: outlet.Stream, Section: outlet.Section, Reason: filter.RouteNotFound}
	if outlet.Listener.MeshOnly {
		start.Reason = filter.MeshTLSRequired
	}
	return start
}

// speaks finds out whether the client of a section speaks HTTP; known is false if it has
// gone before that.
func speaks(peek peeker, s *snapshot.Listener, outlet *snapshot.Outlet) (web, known bool) {
	switch outlet.Protocol {
	case ir.HTTP:
		return true, true
	case ir.TCP:
		return false, true
	}
	by := netx.After(s.IR.Client.DetectTimeout)
	if outlet.Stream == nil && !outlet.Listener.MeshOnly { // nobody else could be waiting for the server
		by = handshakeBy(&s.IR.Client)
	}
	kind, err := sniff(peek, &s.IR.Client, by, opening.HTTP1)
	switch {
	case kind == opening.HTTP1 || kind == opening.HTTP2:
		return true, true
	case err != nil && !netx.IsTimeout(err) && !isEnd(err):
		return false, false
	}
	return false, true
}

// outletSide is the listener as requests see it whose section is known.
type outletSide struct {
	*Listener
	// One of the two chose it.
	to        netip.AddrPort
	authority string
	first     *snapshot.Listener
}

// Current is the section's present configuration.
func (o *outletSide) Current() *snapshot.Listener {
	out := o.Listener.Current().Outbound
	if out == nil { // the listener is another by now
		return o.first
	}
	outlet := out.Destination(o.to)
	if o.authority != "" {
		outlet = out.Authority([]byte(o.authority))
	}
	if outlet == nil || outlet.Protocol == ir.TCP {
		outlet = out.Nowhere
	}
	return outlet.Listener
}

// tunnel goes on with a connection whose client has asked for a tunnel, as if it
// had been captured on its way to there. It is false if the connection is over.
func (ss *session) tunnel(t *loop.Task) bool {
	first, ok := ss.http.(*http1.Conn)
	if !ok {
		return false
	}
	authority := first.Tunneling()
	out := ss.l.Current().Outbound
	if authority == "" || out == nil {
		return false
	}
	ss.s = ss.l.Current()
	outlet := out.Authority([]byte(authority))
	if outlet == nil && ss.l.pipeline.Learn != nil {
		t.Detach() // others are asked
		out, outlet = ss.l.pipeline.Learned(ss.s, authority)
	}
	var o opened
	switch {
	case outlet == nil && out.Outside == nil:
		first.RefuseTunnel(filter.EgressDenied, "no service of the mesh has this host and port, and nothing else is let out")
		return false
	case outlet == nil:
		up, leave, err := ss.l.egress.Tunnel(t, egress.Over(ss.nc), authority)
		if err != nil {
			ss.l.log.Debug("no way out", "listener", ss.l.name, "destination", authority, "error", err)
			first.RefuseTunnel(wayOutReason(err), "the proxy could not connect to it")
			return false
		}
		if first.OpenTunnel() != nil {
			_ = up.Abort()
			leave()
			return false
		}
		o = opened{ok: true, start: stream.Start{Protocol: "TCP", Route: out.Outside.Stream, Up: up, Leave: leave}}
	default:
		if first.OpenTunnel() != nil {
			return false
		}
		o = ss.through(&outletSide{Listener: ss.l, authority: authority, first: outlet.Listener}, outlet)
	}
	o.start.Destination = authority
	if !ss.proceed(o) {
		o.start.Abandon()
		ss.nc.Kill()
		return false
	}
	return true
}

// isOwn tells whether an address is one of this host.
func isOwn(at netip.Addr) bool {
	if at.IsLoopback() || at.IsUnspecified() {
		return true
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range addresses {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Unmap() == at {
			return true
		}
	}
	return false
}
