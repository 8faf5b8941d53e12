package pipeline

import (
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/wire/netx"
)

// tunnel passes a 101 on and then bytes in both directions, until both have
// ended or one fails (RFC 9110 §7.8).
func (x *Exchange) tunnel(c *upstream.Cluster, o upstream.Outcome) {
	down, up := x.Down.Conn(), x.up.Conn()
	x.Resp.Upgrade = x.Req.Arena.Copy(x.Resp.Upgrade)
	if down == nil || up == nil || x.Req.Upgrade == nil || !x.agreed() || !x.pump.complete() {
		// In the middle of the request's body nobody could tell where the other
		// protocol begins.
		x.refuseSwitch(c, "the backend switched protocols without being asked, to another, or too early")
		return
	}
	x.broken = true
	x.keepSession()
	x.filterResponse()
	if x.writeHead() == nil && x.Down.End(nil) == nil {
		x.join(down, up)
	}
	x.tick()
	x.closeUp(false)
	x.done(c, o, filter.ReasonNone)
}

// refuseSwitch answers for an endpoint that has ended HTTP, or not, as it must not.
func (x *Exchange) refuseSwitch(c *upstream.Cluster, why string) {
	x.dropConn()
	x.tick()
	x.done(c, upstream.Outcome{Kind: upstream.Reset}, filter.UpstreamProtocolError)
	x.Resp.Reset()
	x.Fail(502, filter.UpstreamProtocolError, why)
}

// join passes on what both sides said too early and then everything, until both
// directions have ended.
func (x *Exchange) join(down, up *netx.Conn) {
	// One direction of the relay has a goroutine, so the other is one too.
	x.Down.Task().Detach()
	x.stream()
	down.Bind(nil)
	up.Bind(nil)
	up.SetWatch(nil)
	down.SetWatch(nil)
	t := &x.Rule.Policy.Timeouts
	o := netx.RelayOptions{Idle: t.Idle}
	if t.MaxStream > 0 {
		o.By = x.started + int64(t.MaxStream)
	}
	down.SetWriteBy(o.By)
	up.SetWriteBy(o.By)
	early := x.Down.Upgraded()
	if _, err := up.Write(early); err != nil {
		return
	}
	rest := x.first.Rest()
	if _, err := down.Write(rest); err != nil {
		return
	}
	in, out, err := netx.Relay(down, up, o)
	x.bodyRead.Add(in + int64(len(early)))
	x.sent += out + int64(len(rest))
	if netx.IsTimeout(err) {
		x.Flags |= filter.IdleTimeout.Flag()
		if o.By != 0 && netx.Monotonic() >= o.By {
			x.Flags = x.Flags&^filter.IdleTimeout.Flag() | filter.StreamTimeout.Flag()
		}
	}
}

// since is the time from a monotonic moment, in time.Duration.
func since(t int64) time.Duration { return time.Duration(now() - t) }
