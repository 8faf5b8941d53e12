// Package http2 drives HTTP/2 connections of clients: each request becomes an
// exchange on a task of its own, which the pipeline serves as it does those of
// HTTP/1. Package link moves the bytes. A connection without requests holds no
// buffers and no task. Package listen imports it and gives the tasks.
package http2

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/link"
	"github.com/gridway/gridway/internal/proxy/pipeline"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	l4 "github.com/gridway/gridway/internal/proxy/stream"
	"github.com/gridway/gridway/internal/proxy/websocket"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/telemetry/signal"
	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// Host is the listener that a connection belongs to.
type Host interface {
	// Current is the listener's present configuration.
	Current() *snapshot.Listener
	// Draining tells connections to take no further requests.
	Draining() bool
}

// Conn is one connection of a client.
type Conn struct {
	link link.Link
	nc   *netx.Conn
	host Host
	p    *pipeline.Pipeline
	// streams serve tunnels; nil for none.
	streams *l4.Server
	proxy   Proxy  // nil for none
	peer    string // the SPIFFE ID of the client; empty outside the mesh
	who     signal.Who
	door    uint64 // snapshot.Listener.Door that the connection came through
	ended   func()

	// The link's lock guards what follows.
	next     *pipeline.Exchange // what a request was decoded to that has not begun
	open     int                // streams whose exchange has not ended
	requests int
	opened   int64
	last     int64 // when an exchange began or ended
	over     bool
	why      string // why the connection is left, if that is known
	told     bool   // streams know that the connection is to end

	cut atomic.Uint32 // a filter.Reason
}

// Options of a connection.
type Options struct {
	Host     Host
	Pipeline *pipeline.Pipeline
	// Streams serve what comes in tunnels of the mesh; nil lets none come.
	Streams *l4.Server
	// Proxy opens what clients ask for by CONNECT where the listener is an outbound one;
	// nil opens nothing.
	Proxy Proxy
	// Early is what was read from the connection already.
	Early []byte
	// Peer is the SPIFFE ID of a client that is of the mesh.
	Peer string
	// Ended is called when the connection is over and its last exchange too.
	Ended func()
}

// New makes the driver of a connection.
func New(nc *netx.Conn, o Options) *Conn {
	now, host := loop.Now(), o.Host
	c := &Conn{nc: nc, host: host, p: o.Pipeline, streams: o.Streams, proxy: o.Proxy, door: host.Current().Door, peer: o.Peer, ended: o.Ended, opened: now, last: now}
	if o.Pipeline.Signals != nil && o.Peer != "" {
		c.who = o.Pipeline.Signals.Peer(o.Peer)
	}
	client := &host.Current().IR.Client
	cfg := limits(client)
	if host.Current().IR.Mesh {
		// A tunnel may stand still for long. Whoever is behind the other proxy is
		// slow at its own peril.
		cfg.StallTimeout = forever
		// The clients of another proxy come and go together, and each of them has the
		// connection in common with the others.
		cfg.ResetBurst, cfg.ResetRate = meshResets, meshResets/10
	}
	cfg.NewRequest = c.newRequest
	cfg.OnReset = c.wasReset
	host.Current().Metrics.HTTP2(metric.HTTP2Opened)
	c.link.Init(nc, h2.NewServer(cfg, now), c, client.BodyIdleTimeout)
	nc.SetUnsent(maxUnsent)
	c.link.Heed = true
	c.link.Start(o.Early)
	return c
}

// limits are what a client may ask of a connection.
func limits(client *ir.ClientPolicy) h2.Config {
	cfg := h2.Config{
		MaxStreams:    client.MaxConcurrentStreams,
		HeaderBytes:   client.MaxHeaderBytes,
		HeaderCount:   client.MaxHeaderCount,
		MergeSlashes:  client.MergeSlashes,
		HeaderTimeout: client.HeaderTimeout,
		StallTimeout:  client.BodyIdleTimeout,

		KeepAlive:        client.HTTP2KeepAlive,
		KeepAliveTimeout: client.HTTP2KeepAlive,

		ExtendedConnect: true,
	}
	if cfg.StallTimeout == 0 {
		cfg.StallTimeout = forever
	}
	if cfg.HeaderTimeout == 0 {
		cfg.HeaderTimeout = forever
	}
	return cfg
}

// meshResets is how many streams a proxy of the mesh may reset at once; a tenth of
// them each second after that.
const meshResets = 20_000

// maxUnsent is how many bytes the kernel keeps for a client that is slow to take
// them. What is urgent comes behind these; without a bound they may be megabytes.
const maxUnsent = 128 << 10

// forever stands for no limit where a zero means the default.
const forever = 100 * 365 * 24 * time.Hour

// Serve handles what has come, until there is nothing more. It is false when
// the connection is closed; exchanges may still be ending then.
func (c *Conn) Serve(t *loop.Task) (idle bool) {
	if c.host.Draining() && c.unused() {
		c.link.LeaveSoon()
	}
	return c.link.Receive(t)
}

// unused: requests have come, and none is under way.
func (c *Conn) unused() bool {
	c.link.Lock()
	defer c.link.Unlock()
	return c.requests > 0 && c.open == 0
}

// EndIdle tells the client to send no more requests; those that are under way
// go on.
func (c *Conn) EndIdle() { c.link.Leave() }

// The reasons of GOAWAY without an error.
const (
	whyDrain    = "Drain"
	whyRequests = "RequestLimit"
	whyChanged  = "ListenerChanged"
	whyAge      = "MaxConnectionDuration"
	whyIdle     = "IdleTimeout"
)

// Kill closes the connection whatever it does, for a reason.
func (c *Conn) Kill(why filter.Reason) {
	c.cut.Store(uint32(why))
	c.link.Kill()
}

// Abandon ends the connection after a defect has interrupted Serve.
func (c *Conn) Abandon() { c.link.Abandon() }

// IdleBy implements link.User.
func (c *Conn) IdleBy(now int64) int64 {
	client := &c.host.Current().IR.Client
	by := int64(0)
	if client.IdleTimeout > 0 {
		from := c.last
		if c.open > 0 {
			from = now
		}
		by = from + int64(client.IdleTimeout)
	}
	if life := int64(client.MaxConnectionDuration); life > 0 && (by == 0 || c.opened+life < by) {
		by = c.opened + life
	}
	return by
}

// Event implements link.User.
func (c *Conn) Event(t *loop.Task, ev *h2.Event) {
	switch ev.Kind {
	case h2.EventRequest:
		c.begin(t, ev)
		return
	case h2.EventData, h2.EventTrailer, h2.EventReset:
		if s, ok := ev.Stream.User.(*stream); ok {
			s.event(ev)
		}
	}
}

// begin starts the exchange of a request.
func (c *Conn) begin(t *loop.Task, ev *h2.Event) {
	lst := c.host.Current()
	x := c.next
	c.next, ev.Request = nil, nil
	s := newStream(c, ev, x, t.Home())
	c.open++
	c.requests++
	c.last = c.link.Clock()
	lst.Metrics.HTTP2(metric.StreamOpened)
	x.Down, x.Listener, x.PeerIdentity, x.Peer = s, lst, c.peer, c.who
	x.PeerAddr, x.LocalAddr, x.TLS = c.nc.RemoteAddrPort(), c.nc.LocalAddrPort(), c.nc.TLSState()
	switch { // in the mesh TLS is the proxies', and the scheme what the application was asked with
	case lst.IR.Mesh:
	case x.TLS != nil:
		x.Req.Scheme = "https"
	default:
		x.Req.Scheme = "http"
	}
	if s.bad == nil {
		websocket.AsUpgrade(&x.Req)
	}
	if d := lst.IR.Client.RequestTimeout; d > 0 {
		s.bodyBy = c.last + int64(d)
	}
	limit := lst.IR.Client.MaxRequestsPerConnection
	switch {
	case limit > 0 && c.requests >= limit:
		c.leave(whyRequests)
	case c.door != lst.Door:
		c.leave(whyChanged)
	}
	t.Go(s)
}

// leave ends the connection without losing a request.
func (c *Conn) leave(why string) {
	if !c.link.H2.Left() {
		c.why = why
		c.link.H2.Leave()
	}
}

// wasReset counts streams that were reset, and what clients do wrong.
func (c *Conn) wasReset(code h2.ErrCode, ours bool, reason string) {
	m := c.host.Current().Metrics
	m.StreamReset(uint32(code), ours)
	if reason != "" {
		m.ProtocolError(reason)
	}
}

// newRequest is what the state machine decodes a request to.
func (c *Conn) newRequest() *httpmsg.Request {
	c.next = pipeline.Get()
	return &c.next.Req
}

// Send implements link.User.
func (c *Conn) Send(hs *h2.Stream) {
	if s, ok := hs.User.(*stream); ok {
		s.push()
	}
}

// Rest implements link.User.
func (c *Conn) Rest(ev *h2.Event) {
	if c.next != nil {
		c.next.Release()
		c.next, ev.Request = nil, nil
	}
	if !c.told && c.link.Leaving() {
		c.told = true
		c.nc.Home().Go((*teller)(c))
	}
}

// Over implements link.User.
func (c *Conn) Over(err error) {
	c.over = true
	m := c.host.Current().Metrics
	m.HTTP2(metric.HTTP2Closed)
	var bad *h2.Error
	switch {
	case errors.As(err, &bad):
		m.ProtocolError(bad.Reason)
		m.GoAway(bad.Reason)
	case c.link.H2.Left():
		m.GoAway(c.reason())
	}
	c.link.H2.Each(func(hs *h2.Stream) {
		if s, ok := hs.User.(*stream); ok {
			s.fail(io.ErrUnexpectedEOF)
		}
	})
	if c.open == 0 {
		c.ended()
	}
}

// reason is why the connection was left.
func (c *Conn) reason() string {
	life := c.host.Current().IR.Client.MaxConnectionDuration
	switch {
	case c.why != "":
		return c.why
	case c.host.Draining():
		return whyDrain
	case life > 0 && loop.Now()-c.opened >= int64(life):
		return whyAge
	}
	return whyIdle
}

// finished notes that a stream's exchange has ended.
func (c *Conn) finished() {
	c.host.Current().Metrics.HTTP2(metric.StreamClosed)
	c.open--
	c.last = loop.Now()
	if c.over && c.open == 0 {
		c.ended()
	}
}

var _ link.User = (*Conn)(nil)
