package pipeline

import (
	"bytes"
	"errors"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/egress"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/snapshot"
)

// chooseOutlet puts the section that has the request's authority into the place of
// the outbound listener. On captured connections it was chosen before.
func (x *Exchange) chooseOutlet() bool {
	out := x.Listener.Outbound
	outlet := out.Authority(x.Req.Host)
	if outlet == nil && x.p.Learn != nil {
		x.Down.Task().Detach() // others are asked
		out, outlet = x.p.Learned(x.Listener, string(x.Req.Host))
	}
	switch {
	case outlet == nil && out.Outside == nil:
		x.Fail(502, filter.EgressDenied, "no service of the mesh has this host and port, and nothing else is let out")
		return false
	case outlet == nil:
		outlet = out.Outside
	case outlet.Protocol == ir.TCP:
		x.Fail(502, filter.ProtocolNotServed, "this host and port take TCP: ask for a tunnel with CONNECT")
		return false
	}
	x.Listener = outlet.Listener
	return true
}

// Learned asks for the section of an outbound listener that an authority belongs to,
// which is not among those that there are; nil is that there is none. It blocks.
func (p *Pipeline) Learned(l *snapshot.Listener, authority string) (*snapshot.Outbound, *snapshot.Outlet) {
	if p.Learn == nil || !p.Learn(authority) {
		return l.Outbound, nil
	}
	now := p.Latest(l.IR.Name)
	if now == nil || now.Outbound == nil {
		return l.Outbound, nil // the listener is another by now
	}
	return now.Outbound, now.Outbound.Authority([]byte(authority))
}

// outsideRef stands for the backend that the request itself names.
var outsideRef = &ir.BackendRef{Cluster: ir.EgressCluster, Weight: 1}

// chooseOutside is choose for what is outside of the configuration.
func (x *Exchange) chooseOutside() bool {
	authority := x.Req.Host
	if len(authority) == 0 || x.p.Egress == nil {
		x.Fail(502, filter.EgressDenied, "the request names no host")
		return false
	}
	if i := bytes.LastIndexByte(authority, ':'); i < 0 || bytes.IndexByte(authority[i:], ']') >= 0 {
		authority = x.Req.Arena.Concat(authority, httpPort) // RFC 9110 §4.2.1
	}
	x.Down.Task().Detach() // looking up blocks
	c, err := x.p.Egress.Cluster(authority, x.LocalAddr)
	switch {
	case errors.Is(err, egress.ErrLoop):
		x.Fail(502, filter.LoopDetected, "the request leads back to the proxy that it came to")
		return false
	case err != nil:
		x.p.Log.Debug("no way out", "authority", string(authority), "error", err)
		x.Fail(502, filter.UpstreamConnectFailure, "the host could not be looked up")
		return false
	}
	x.backend = &snapshot.Backend{IR: outsideRef, Cluster: c, Metrics: x.p.Metrics.Cluster(ir.EgressCluster)}
	if x.p.Signals != nil {
		x.backend.Party = x.p.Signals.Host(string(authority))
	}
	x.hash, x.hasHash = c.HashOf(&x.Req, x.Client)
	return true
}

var httpPort = []byte(":80")
