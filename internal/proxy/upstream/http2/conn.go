// Package http2 drives HTTP/2 connections to endpoints: each carries many
// exchanges, which send and receive as package http1's do. Package link moves
// the bytes. It owns no goroutines. Package upstream imports it and decides
// which connection an exchange gets.
package http2

import (
	"errors"
	"io"
	"time"

	"github.com/gridway/gridway/internal/proxy/link"
	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
	"github.com/gridway/gridway/internal/wire/tlsx"
)

// Owner is the pool that a connection belongs to.
type Owner interface {
	// Over is told, once, that the connection takes nothing more; what it
	// carries has ended.
	Over(*Conn)
}

// MaxStreams is how many exchanges a connection carries at most, whatever the
// endpoint allows.
const MaxStreams = 1024

// Options bound a connection.
type Options struct {
	HeaderBytes, HeaderCount int
	// Idle is how long it may be without exchanges; 0 is for ever.
	Idle time.Duration
	// Lifetime is after how long it takes no more of them, Requests after how many;
	// 0 is never.
	Lifetime time.Duration
	Requests int
	// KeepAlive is how long the endpoint may be silent while it owes an answer, and
	// as long again after it was asked whether it is there; 0 is for ever.
	KeepAlive time.Duration
	// Peer is who the endpoint has proved to be; nil where that is not asked.
	Peer *tlsx.Guarded
}

// Conn is one connection to an endpoint.
type Conn struct {
	link  link.Link
	nc    *netx.Conn
	owner Owner
	opts  Options

	// The link's lock guards what follows.
	opened int64
	last   int64 // when a stream ended
	open   int
	begun  int // streams, all that there were
	// settled: the endpoint's settings are known. settling is opened then, or when
	// they never will be, and unsettled are the streams that wait for them.
	settled   bool
	settling  loop.Gate
	unsettled []*Stream

	over error // why it has ended; nil as long as it has not

	held int // the owner's count of who has, or will have, a stream
}

// New makes a connection of nc, on which nothing was said yet.
func New(nc *netx.Conn, owner Owner, o Options) *Conn {
	now := loop.Now()
	c := &Conn{nc: nc, owner: owner, opts: o, opened: now, last: now}
	cfg := h2.Config{
		// For the window of the connection: all streams' together.
		MaxStreams: MaxStreams, HeaderBytes: o.HeaderBytes, HeaderCount: o.HeaderCount, StallTimeout: 365 * 24 * time.Hour,
		// What is said again is indexed; to say the rest in fewer bytes costs this hop more than it gains.
		NoHuffman: true,
	}
	if o.KeepAlive > 0 {
		cfg.KeepAlive, cfg.KeepAliveTimeout = o.KeepAlive, o.KeepAlive
	}
	nc.Bind(nil)
	nc.SetReadBy(0)
	c.link.Init(nc, h2.NewClient(cfg, now), c, writeTimeout)
	return c
}

// Start hands the connection to its loop.
func (c *Conn) Start() {
	c.settling.Init(c.nc.Home())
	c.link.Lock()
	c.link.Flush(nil)
	c.link.Unlock()
	c.nc.Handle(c)
}

// settleTimeout is how long an endpoint may take to say what it allows. It is the
// first thing that it sends (RFC 9113 §3.4), so that this is a round trip.
const settleTimeout = 2 * time.Second

// Settle waits, on task t, until the endpoint's settings are known. Requests may
// be sent before that (RFC 9113 §3.4), but those over its limit would be refused,
// and content over its window may be (§6.9.3).
func (c *Conn) Settle(t *loop.Task, by int64) {
	_ = c.settling.Wait(t, min(by, loop.Now()+int64(settleTimeout))) // else without them
}

// writeTimeout is how long an endpoint may take nothing of what the connection
// sends; each exchange has its own time besides.
const writeTimeout = time.Minute

// Home is the loop that the connection belongs to.
func (c *Conn) Home() *loop.Loop { return c.nc.Home() }

// Limit is how many exchanges the endpoint takes at a time; 0 if it takes no more.
// tight: so much of the connection's window is used that one more may have to wait.
func (c *Conn) Limit() (limit int, tight bool) {
	c.link.Lock()
	defer c.link.Unlock()
	if c.link.Over() || c.link.H2.Leaving() {
		return 0, false
	}
	limit = int(min(c.link.H2.Peer().MaxConcurrentStreams, MaxStreams))
	if n := c.opts.Requests; n > 0 {
		limit = min(limit, n-c.begun+c.open)
	}
	return limit, c.link.H2.Tight()
}

// Err is why the connection has ended; nil if it has not.
func (c *Conn) Err() error {
	c.link.Lock()
	defer c.link.Unlock()
	return c.over
}

// Peer is Options.Peer.
func (c *Conn) Peer() *tlsx.Guarded { return c.opts.Peer }

// Hold adds to the count of who has, or will have, a stream, and returns it. The
// owner sees to it that only one does so at a time.
func (c *Conn) Hold(n int) int {
	c.held += n
	return c.held
}

// Leave lets the connection end with what it carries.
func (c *Conn) Leave() { c.link.Leave() }

// Kill closes it at once.
func (c *Conn) Kill() { c.link.Kill() }

// Resume implements loop.Handler.
func (c *Conn) Resume(t *loop.Task) (idle bool) {
	if c.link.Receive(t) {
		return true
	}
	c.owner.Over(c)
	return false
}

// Event implements link.User.
func (c *Conn) Event(_ *loop.Task, ev *h2.Event) {
	switch ev.Kind {
	case h2.EventResponse, h2.EventInterim, h2.EventData, h2.EventTrailer, h2.EventReset:
		if s, ok := ev.Stream.User.(*Stream); ok {
			s.event(ev)
		}
	case h2.EventSettings:
		c.settle()
	}
}

// Send implements link.User.
func (c *Conn) Send(hs *h2.Stream) {
	if s, ok := hs.User.(*Stream); ok {
		s.push()
	}
}

// Rest implements link.User.
func (c *Conn) Rest(*h2.Event) {}

// IdleBy implements link.User.
func (c *Conn) IdleBy(now int64) int64 {
	by := int64(0)
	if c.opts.Idle > 0 {
		by = c.last + int64(c.opts.Idle)
		if c.open > 0 {
			by = now + int64(c.opts.Idle)
		}
	}
	if life := c.opened + int64(c.opts.Lifetime); c.opts.Lifetime > 0 && (by == 0 || life < by) && !c.link.H2.Leaving() {
		by = life
	}
	return by
}

// Over implements link.User.
func (c *Conn) Over(err error) {
	if bad := (*h2.Error)(nil); err == nil || errors.As(err, &bad) && bad.Reason == h2.PingTimeout {
		err = io.EOF // it has done nothing wrong
	}
	c.over = err
	c.link.H2.Each(func(hs *h2.Stream) {
		if s, ok := hs.User.(*Stream); ok {
			s.fail(err)
		}
	})
	c.settling.Open()
	for _, s := range c.unsettled {
		s.fail(err)
	}
}

var _ link.User = (*Conn)(nil)
