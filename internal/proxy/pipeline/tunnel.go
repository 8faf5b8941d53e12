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
	x.broken = true
	x.Resp.Upgrade = x.Req.Arena.Copy(x.Resp.Upgrade)
	if down == nil || x.Req.Upgrade == nil {
		x.dropConn()
		c.Done(x.endpoint, upstream.Outcome{Kind: upstream.Reset})
		x.Resp.Reset()
		x.Fail(502, filter.UpstreamProtocolError, "the backend switched protocols without being asked")
		return
	}
	x.filterResponse()
	if x.writeHead() == nil && x.Down.End(nil) == nil {
		x.join(down, up)
	}
	x.endpoint.Drop(up)
	x.up.End()
	c.Done(x.endpoint, o)
}

// join copies until both directions have ended. The second direction has a
// goroutine of its own, which ends before join returns.
func (x *Exchange) join(down, up *netx.Conn) {
	up.SetWatch(nil)
	end := x.tunnelDeadline()
	for _, c := range []*netx.Conn{down, up} {
		c.SetReadBy(end)
		c.SetWriteBy(end)
	}
	early := x.Down.Upgraded()
	done := make(chan int64, 1)
	go func() {
		n := int64(0)
		if len(early) > 0 {
			if _, err := up.Write(early); err != nil {
				down.Close()
				done <- n
				return
			}
		}
		n, err := down.SpliceTo(up, -1)
		if err != nil {
			up.Close()
		} else {
			up.CloseWrite()
		}
		done <- n + int64(len(early))
	}()
	n, err := x.drainTunnel(down, up)
	if err != nil {
		down.Close()
	} else {
		down.CloseWrite()
	}
	x.sent += n
	x.bodyRead.Add(<-done)
}

// drainTunnel sends what came with the 101, then the rest.
func (x *Exchange) drainTunnel(down, up *netx.Conn) (int64, error) {
	var n int64
	if early := x.up.Rest(); len(early) > 0 {
		w, err := down.Write(early)
		n += int64(w)
		if err != nil {
			return n, err
		}
	}
	m, err := up.SpliceTo(down, -1)
	return n + m, err
}

// tunnelDeadline is when an upgraded connection ends at the latest.
func (x *Exchange) tunnelDeadline() int64 {
	if d := x.Rule.Policy.Timeouts.MaxStream; d > 0 {
		return x.started + int64(d)
	}
	return 0
}

// since is the time from a monotonic moment, in time.Duration.
func since(t int64) time.Duration { return time.Duration(now() - t) }
