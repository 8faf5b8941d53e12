// Package http3 drives HTTP/3 connections of clients: each request becomes an
// exchange on a goroutine of its own, which the pipeline serves as it does those
// of HTTP/1 and HTTP/2. The QUIC library owns packets, encryption, flow control
// and its own goroutines; frames and field sections are package wire/h3's. Serve
// waits for the goroutines of its connection. Package listen imports it.
package http3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/gridway/gridway/internal/proxy/pipeline"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/wire/h3"
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
	q    *quic.Conn
	host Host
	p    *pipeline.Pipeline
	door uint64 // snapshot.Listener.Door that the connection came through
	tls  atomic.Pointer[tls.ConnectionState]
	peer h3.Peer

	// running are the goroutines of the connection.
	running sync.WaitGroup
	cut     atomic.Bool
	failed  atomic.Bool // for what the client has done wrong
	early   bool        // requests may come before the handshake is over

	mu         sync.Mutex // guards what follows
	control    *quic.SendStream
	open       int // streams whose exchange has not ended
	requests   int
	next       uint64 // the number that the next request has at least
	opened     time.Time
	last       time.Time // when an exchange began or ended
	resets     budget
	warned     bool // GOAWAY was sent that lets requests come for a moment
	left       bool // GOAWAY was sent that lets no more come
	told       bool // EndIdle was called
	telling    map[*stream]func()
	why        string
	timer      *time.Timer
	priorities priorities
	stopped    bool
}

// New makes the driver of a connection that came through a door. Early says that
// its handshake may be under way yet.
func New(q *quic.Conn, host Host, p *pipeline.Pipeline, door uint64, early bool) *Conn {
	now := time.Now()
	c := &Conn{q: q, host: host, p: p, door: door, early: early, opened: now, last: now, resets: newBudget(now)}
	c.peer.Client, c.peer.OnPriority = true, c.prioritize
	return c
}

// Serve serves the connection until it is over and its last exchange has ended.
func (c *Conn) Serve() {
	m := c.host.Current().Metrics
	m.HTTP3(metric.HTTP3Opened)
	defer m.HTTP3(metric.HTTP3Closed)
	defer c.running.Wait()
	defer c.end()
	if err := c.greet(); err != nil {
		c.close(h3.InternalError, "")
		return
	}
	c.running.Go(c.acceptUni)
	c.watch()
	for {
		str, err := c.q.AcceptStream(context.Background())
		if err != nil {
			c.over(err)
			return
		}
		if !c.begin(str) {
			refuse(str, h3.RequestRejected)
		}
	}
}

// greet opens the control stream and says what this side takes.
func (c *Conn) greet() error {
	control, err := c.q.OpenUniStream()
	if err != nil {
		return err
	}
	client := &c.host.Current().IR.Client
	b := h3.AppendVarint(make([]byte, 0, 64), uint64(h3.StreamControl))
	b = h3.AppendSettings(b, h3.Settings{MaxFieldSection: uint64(client.MaxHeaderBytes), ExtendedConnect: true})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.control = control
	_, err = control.Write(b)
	return err
}

// begin starts the exchange of a request. It is false if none is taken any more.
func (c *Conn) begin(str *quic.Stream) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left {
		return false
	}
	lst := c.host.Current()
	c.next = uint64(str.StreamID()) + 4
	c.open++
	c.requests++
	c.last = time.Now()
	c.peer.Earn()
	lst.Metrics.HTTP3(metric.HTTP3StreamOpened)
	limit := lst.IR.Client.MaxRequestsPerConnection
	switch {
	case limit > 0 && c.requests >= limit:
		c.leave(whyRequests)
	case c.door != lst.Door:
		c.leave(whyChanged)
	}
	s := newStream(c, str, lst)
	s.told = c.priorities.begin(str)
	c.running.Add(1)
	go s.start()
	return true
}

// finished notes that a stream's exchange has ended. answered says that its client
// did not give it up before.
func (c *Conn) finished(str *quic.Stream, answered bool) {
	c.host.Current().Metrics.HTTP3(metric.HTTP3StreamClosed)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	c.priorities.end(str)
	c.last = time.Now()
	if answered {
		c.resets.earn()
	} else if !c.resets.spend(c.last) {
		go c.fail(errRapidReset) // closing waits for the library, which may wait for this
	}
	if c.left && c.open == 0 {
		c.linger()
	}
}

// acceptUni serves the streams that are no requests.
func (c *Conn) acceptUni() {
	for {
		str, err := c.q.AcceptUniStream(context.Background())
		if err != nil {
			return
		}
		c.running.Go(func() {
			defer c.contain()
			if err := c.serveUni(str); err != nil {
				c.fail(err)
			}
			str.ReleaseStreamCredit()
		})
	}
}

func (c *Conn) serveUni(str *quic.ReceiveStream) error {
	var r h3.Reader
	r.Reset(str)
	defer r.Release()
	known, err := c.peer.Uni(&r)
	if !known {
		str.CancelRead(quic.StreamErrorCode(h3.StreamCreationError))
	}
	return err
}

// fail ends the connection for what the client has done wrong.
func (c *Conn) fail(err error) {
	bad, ok := h3.AsError(err)
	if !ok {
		if remote := (*quic.StreamError)(nil); !errors.As(err, &remote) {
			return // the connection is over already
		}
		bad = h3.ClosedControl()
	}
	if c.failed.Swap(true) {
		return
	}
	m := c.host.Current().Metrics
	m.ProtocolError(bad.Reason)
	m.HTTP3GoAway(bad.Reason)
	c.close(bad.Code, bad.Reason)
}

func (c *Conn) close(code h3.Code, text string) {
	_ = c.q.CloseWithError(quic.ApplicationErrorCode(code), text)
}

// over notes the end of the connection.
func (c *Conn) over(error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left || c.warned {
		c.host.Current().Metrics.HTTP3GoAway(c.reason())
	}
}

// end stops the timer.
func (c *Conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	if c.timer != nil {
		c.timer.Stop()
	}
}

// contain keeps a defect to the connection that met it.
func (c *Conn) contain() {
	if defect := recover(); defect != nil {
		c.p.Log.Error("a defect in Gridway ended a connection; please report it",
			"panic", fmt.Sprint(defect), "stack", string(debug.Stack()))
		go c.close(h3.InternalError, "")
	}
}

// state is the TLS state; it changes once, when the handshake is complete.
func (c *Conn) state() *tls.ConnectionState {
	if s := c.tls.Load(); s != nil && s.HandshakeComplete {
		return s
	}
	s := c.q.ConnectionState().TLS
	c.tls.Store(&s)
	return &s
}

func addrPort(a net.Addr) netip.AddrPort {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := u.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// refuse ends a stream that nobody has looked at.
func refuse(str *quic.Stream, code h3.Code) {
	str.CancelRead(quic.StreamErrorCode(code))
	str.CancelWrite(quic.StreamErrorCode(code))
	str.ReleaseStreamCredit()
}
