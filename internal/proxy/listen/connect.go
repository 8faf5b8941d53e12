package listen

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/proxy/downstream/http1"
	"github.com/gridway/gridway/internal/proxy/downstream/http2"
	"github.com/gridway/gridway/internal/proxy/egress"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/proxy/stream"
	"github.com/gridway/gridway/internal/proxy/tunnel"
	"github.com/gridway/gridway/internal/proxy/websocket"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// connect opens what a client of HTTP/2 asks an outbound listener for, as session.tunnel
// does for one of HTTP/1.1. Each tunnel counts as a connection.
func (l *Listener) connect(t *loop.Task, ask *http2.Proxied) {
	c := &connecting{l: l, ask: ask, authority: ask.Authority()}
	c.ss = &session{l: l, s: l.Current(), host: l, began: time.Now()}
	out := c.ss.s.Outbound
	if out == nil {
		ask.Decline(502, filter.EgressDenied, "the port is no HTTP proxy any more")
		return
	}
	if !c.enter() {
		ask.Decline(503, filter.ConnectionLimit, "there are too many connections and tunnels")
		return
	}
	outlet := out.Authority([]byte(c.authority))
	if outlet == nil && l.pipeline.Learn != nil {
		t.Detach() // others are asked
		out, outlet = l.pipeline.Learned(c.ss.s, c.authority)
	}
	switch {
	case outlet == nil && out.Outside == nil:
		ask.Decline(502, filter.EgressDenied, "no service of the mesh has this host and port, and nothing else is let out")
		c.leave()
	case outlet == nil:
		c.outside(t, out)
	default:
		c.inside(t, outlet)
	}
}

// connecting is a tunnel that is being opened.
type connecting struct {
	l         *Listener
	ss        *session
	ask       *http2.Proxied
	authority string
}

// enter counts the tunnel; it is false if it is one too many.
func (c *connecting) enter() bool {
	l, s := c.l, c.ss.s
	n := l.active.Add(1)
	if limit := s.IR.Client.MaxConnections; limit > 0 && n > int64(limit) {
		l.active.Add(-1)
		s.Metrics.Rejected(metric.RejectConnectionLimit)
		return false
	}
	from, _ := c.ask.Peer()
	var ok bool
	if c.ss.place, ok = l.clients.Enter(from.Addr(), c.ss.began); !ok {
		l.active.Add(-1)
		s.Metrics.Rejected(metric.RejectClientLimit)
		return false
	}
	s.Metrics.Accepted()
	return true
}

// leave is for a tunnel that was not opened.
func (c *connecting) leave() {
	c.ss.place.Leave()
	c.ss.s.Metrics.Closed()
	c.l.active.Add(-1)
}

// begin makes d what serves the tunnel, unless the listener is closed.
func (c *connecting) begin(d driver) bool {
	l := c.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		c.ss.s.Metrics.Rejected(metric.RejectDraining)
		return false
	}
	l.serving.Add(1) // the client's connection is counted, so that nobody has stopped waiting
	l.sessions[c.ss] = struct{}{}
	c.ss.http = d
	if l.ending {
		d.EndIdle()
	}
	return true
}

func (c *connecting) drained() {
	c.ask.Decline(503, filter.Draining, "the proxy is about to end")
	c.leave()
}

// outside is for what is no service of the mesh.
func (c *connecting) outside(t *loop.Task, out *snapshot.Outbound) {
	from, _ := c.ask.Peer()
	up, leave, err := c.l.egress.Tunnel(t, egress.Client{From: from, At: c.ask.Local(), Gone: c.ask.Gone}, c.authority)
	if err != nil {
		c.l.log.Debug("no way out", "listener", c.l.name, "destination", c.authority, "error", err)
		c.ask.Decline(502, wayOutReason(err), "the proxy could not connect to it")
		c.leave()
		return
	}
	c.stream(t, stream.Start{Protocol: "TCP", Route: out.Outside.Stream, Up: up, Leave: leave})
}

// inside is for a service. What is known to be none of HTTP is answered once there is a
// connection; others have to say first what they are.
func (c *connecting) inside(t *loop.Task, outlet *snapshot.Outlet) {
	peek := func(most int, by int64, enough func([]byte) bool) error {
		if err := c.ask.Accept(); err != nil {
			return err
		}
		return c.ask.Peek(most, by, enough)
	}
	switch web, known := speaks(peek, c.ss.s, outlet); {
	case !known:
		c.ask.Cut()
		c.leave()
	case web:
		c.requests(t, outlet)
	default:
		c.stream(t, plainStart(outlet))
	}
}

func (c *connecting) stream(t *loop.Task, start stream.Start) {
	start.Tunnel, start.Listener, start.Began, start.Destination = c.ask, c.ss.s, c.ss.began, c.authority
	start.Closed = func() { c.l.remove(c.ss) }
	s := c.l.streams.New(start)
	if !c.begin(s) {
		start.Abandon()
		c.drained()
		return
	}
	s.Serve(t)
}

// requests serves HTTP inside of the tunnel, over two sockets that lead to each other: one
// is a connection like any other, and what goes through the other is the client's.
func (c *connecting) requests(t *loop.Task, outlet *snapshot.Outlet) {
	from, _ := c.ask.Peer()
	near, far, err := netx.Pair(c.l.loops, t, from, c.ask.Local())
	if err != nil {
		c.l.log.Warn("a tunnel cannot be opened", "listener", c.l.name, "destination", c.authority, "error", err)
		c.ask.Decline(503, filter.ConnectionLimit, "the proxy has no room for a tunnel")
		c.leave()
		return
	}
	defer near.Close()
	c.ss.nc, c.ss.host = far, &outletSide{Listener: c.l, authority: c.authority, first: outlet.Listener}
	side := &innerSide{Side: websocket.OnConn(near, nil)}
	side.relay = tunnel.New(c.ask, side, tunnel.Options{})
	c.ss.over = side.close
	if !c.begin(http1.New(far, c.ss.host, c.l.pipeline, c.ss.s.Door)) {
		far.Kill()
		c.drained()
		return
	}
	far.Start(c.ss)
	if c.ask.Accept() != nil {
		return // what is inside ends with it
	}
	side.relay.Run(t)
}

// innerSide is the client's end of what serves the requests inside of a tunnel. When that
// is closed, nobody waits for what the client still has to say.
type innerSide struct {
	websocket.Side
	relay         *tunnel.Relay
	ended, closed atomic.Bool
}

// errOver ends a relay as silence would: without a reset.
var errOver = os.ErrDeadlineExceeded

func (s *innerSide) Read() ([]byte, error) {
	piece, err := s.Side.Read()
	if errors.Is(err, io.EOF) {
		if s.ended.Store(true); s.closed.Load() {
			s.relay.Cut(errOver)
		}
	}
	return piece, err
}

func (s *innerSide) close() {
	if s.closed.Store(true); s.ended.Load() {
		s.relay.Cut(errOver)
	}
}
