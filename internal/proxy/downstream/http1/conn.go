// Package http1 drives HTTP/1 connections of clients: it reads requests, hands
// each to the pipeline, and writes what the pipeline answers. One task serves a
// connection while it has requests; the pipeline may read a request's body from
// a goroutine beside it. An idle connection holds no buffers, no exchange and
// no task. Package listen imports it and gives the tasks.
package http1

import (
	"sync/atomic"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/pipeline"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/proxy/websocket"
	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/h1"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

const (
	firstRead   = 4 << 10
	bodyRead    = 16 << 10
	largeRead   = 64 << 10
	smallWrite  = 4 << 10
	mediumWrite = 16 << 10
	largeWrite  = 64 << 10
	// drainLimit is how much of an unread request body is read and thrown away
	// so that the connection can go on.
	drainLimit = 64 << 10
)

// How far the reading of a request's body has come.
const (
	bodyUnread int32 = iota
	bodyBegun
	bodyEnded
	bodyBroken
)

// Host is the listener that a connection belongs to.
type Host interface {
	// Current is the listener's present configuration.
	Current() *snapshot.Listener
	// Draining tells connections to end after their present exchange.
	Draining() bool
}

// Conn is one connection of a client.
type Conn struct {
	nc   *netx.Conn
	task *loop.Task // nil on an ordinary goroutine
	host Host
	p    *pipeline.Pipeline
	door uint64 // snapshot.Listener.Door that the connection came through

	x        *pipeline.Exchange
	lst      *snapshot.Listener
	requests int
	opened   int64
	last     int64 // when the last exchange ended

	// What was read: buf[r:w] is still to be used. head keeps the request's head
	// alive once the body has moved on to a buffer of its own.
	head *bufpool.Buf
	buf  *bufpool.Buf
	r, w int
	scan h1.Scanner
	lim  h1.Limits

	// The request's body.
	kind     httpmsg.BodyKind
	left     int64
	chunks   h1.ChunkReader
	decoded  int64  // bytes of data of chunks
	early    []byte // decoded already, for the first ReadBody
	bodyDone bool
	// progress is what the response's writer may know of the body.
	progress atomic.Int32
	stop     atomic.Bool
	bodyBy   int64 // when the whole request must have come; 0: no limit

	// The response.
	out      *bufpool.Buf
	pending  []byte
	framing  httpmsg.BodyKind
	keep     bool
	upgraded bool
	failed   bool
	http2    bool          // the client speaks HTTP/2
	cut      atomic.Uint32 // a filter.Reason
	leaving  pipeline.Leaving
}

// New makes the driver of a connection that came through a door.
func New(nc *netx.Conn, host Host, p *pipeline.Pipeline, door uint64) *Conn {
	now := netx.Monotonic()
	return &Conn{nc: nc, host: host, p: p, door: door, opened: now, last: now}
}

// Serve runs the connection until it ends, and closes it; or, on a task, until
// it has no request: then it is idle, and to be served again once there is
// something to read.
func (c *Conn) Serve(t *loop.Task) (idle bool) {
	c.task = t
	c.nc.Bind(t)
	for {
		switch c.next() {
		case idleNow:
			c.task = nil
			return true
		case over:
			c.close()
			return false
		case preface, tunnel:
			return false
		}
		c.p.Serve(c.x)
		if !c.finish() {
			c.close()
			return false
		}
	}
}

// IsHTTP2 tells, after Serve, whether the client speaks HTTP/2. The connection
// is open then, and Early is what was read from it.
func (c *Conn) IsHTTP2() bool { return c.http2 }

// Early gives up the connection and returns what was read from it.
func (c *Conn) Early() []byte {
	early := append([]byte(nil), c.buf.B[c.r:c.w]...)
	c.releaseExchange()
	c.releaseBuffers()
	return early
}

// Tunneling is the "HOST:PORT" that the client of an outbound listener wants to be
// connected to (RFC 9110 §9.3.6), once Serve has returned for that reason; else it
// is empty. The caller goes on with OpenTunnel or RefuseTunnel.
func (c *Conn) Tunneling() string {
	if c.x == nil || c.x.Req.MethodID != httpmsg.MethodConnect || c.lst.Outbound == nil {
		return ""
	}
	return string(c.x.Req.Host)
}

// OpenTunnel says yes. What the client has sent since is left to be read again; the
// connection is the caller's.
func (c *Conn) OpenTunnel() error {
	const yes = "HTTP/1.1 200 Connection Established\r\n\r\n"
	c.nc.SetWatch(nil)
	if early := c.buf.B[c.r:c.w]; len(early) > 0 {
		c.nc.Unread(early)
	}
	c.releaseExchange()
	c.releaseBuffers()
	_, err := c.nc.Write([]byte(yes))
	return err
}

// RefuseTunnel says no, and ends the connection.
func (c *Conn) RefuseTunnel(reason filter.Reason, detail string) {
	c.p.Refuse(c.x, 502, reason, detail)
	c.linger()
	c.close()
}

// EndIdle ends the connection as soon as it waits for a request of which no
// byte has come.
func (c *Conn) EndIdle() {
	c.leaving.Tell()
	c.nc.Interrupt()
}

// OnLeave implements pipeline.Downstream.
func (c *Conn) OnLeave(f func()) { c.leaving.On(f) }

// Kill closes the connection whatever it does, for a reason.
func (c *Conn) Kill(why filter.Reason) {
	c.cut.Store(uint32(why))
	c.nc.Kill()
}

// Cut tells why Kill was called.
func (c *Conn) Cut() filter.Reason { return filter.Reason(c.cut.Load()) }

// Task is the task that serves the connection.
func (c *Conn) Task() *loop.Task { return c.task }

func (c *Conn) close() {
	c.nc.Close()
	c.releaseExchange()
	c.releaseBuffers()
}

func (c *Conn) releaseExchange() {
	if c.x != nil {
		c.x.Release()
		c.x = nil
	}
}

func (c *Conn) releaseBuffers() {
	for _, b := range []**bufpool.Buf{&c.head, &c.buf, &c.out} {
		if *b != nil {
			(*b).Release()
			*b = nil
		}
	}
	c.r, c.w, c.pending = 0, 0, nil
}

// finish makes the connection ready for the next request, or is false if it
// cannot have one.
func (c *Conn) finish() bool {
	x := c.x
	c.nc.BindRead(c.task) // the pump is done with the body
	if x.Broken() || c.upgraded || c.failed {
		return false
	}
	if !c.keep {
		c.linger()
		return false
	}
	if !c.bodyDone && !c.drain() {
		c.linger()
		return false
	}
	c.last = x.Clock()
	c.releaseExchange()
	if c.head != nil {
		c.head.Release()
		c.head = nil
	}
	return true
}

// Gone tells whether the client has closed or reset its side. In the middle of
// its body that counts although bytes are left: nobody may be reading them.
func (c *Conn) Gone() bool {
	if c.progress.Load() == bodyBegun {
		return c.nc.HungUp()
	}
	return c.nc.Gone()
}

// Conn is the connection itself.
func (c *Conn) Conn() *netx.Conn { return c.nc }

// Upgraded ends HTTP on the connection and returns what was read too far.
func (c *Conn) Upgraded() []byte {
	c.upgraded = true
	early := c.buf.B[c.r:c.w]
	c.r = c.w
	return early
}

// Tunnel is the connection after a WebSocket was opened on it.
func (c *Conn) Tunnel() websocket.Side { return websocket.OnConn(c.nc, c.Upgraded()) }

var _ pipeline.Downstream = (*Conn)(nil)
