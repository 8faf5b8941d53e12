// Package http3 drives HTTP/3 connections to endpoints: each carries many
// exchanges, which send and receive as packages http1's and http2's do. A QUIC
// library moves the packets; what blocks detaches its task first. A connection
// owns its goroutines, which end with it, and tells its owner then. Package
// upstream imports it and decides which connection an exchange gets.
package http3

import (
	"context"
	"crypto/tls"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/gridway/gridway/internal/wire/h3"
	"github.com/gridway/gridway/internal/wire/loop"
)

// Options bound a connection.
type Options struct {
	HeaderBytes, HeaderCount int
	// Idle is how long it may be without exchanges; 0 is for ever.
	Idle time.Duration
	// Lifetime is after how long it takes no more of them, Requests after how many;
	// 0 is never.
	Lifetime time.Duration
	Requests int
	// Over is told, once, that the connection takes nothing more; what it carries
	// has ended.
	Over func(*Conn)
}

// Conn is one connection to an endpoint.
type Conn struct {
	q    *quic.Conn
	opts Options
	lim  h3.Limits
	peer h3.Peer
	// settings are the endpoint's, once settled is closed.
	settings h3.Settings
	settled  chan struct{}

	mu     sync.Mutex // guards what follows
	live   map[*Stream]struct{}
	all    int // streams, those that have ended too
	opened time.Time
	last   time.Time // when a stream ended
	left   bool      // it takes no more exchanges
	shut   bool      // left with none, and being closed
	goneAt uint64    // requests from this number on were not seen by the endpoint
	gone   bool
	timer  *time.Timer
	over   bool

	held int // the owner's count of who has, or will have, a stream
}

const (
	// silence is how long an endpoint may say nothing while it owes an answer; it
	// is asked whether it is there meanwhile.
	silence = 30 * time.Second
	// streamWindow is what may have come of a response that was not passed on; more
	// where it is passed on quickly. The connection's window is that of all of them
	// together, so that none stalls another.
	streamWindow    = 128 << 10
	maxStreamWindow = 1 << 20
	connWindow      = maxStreams * maxStreamWindow
)

// Dial makes a connection to "IP:PORT" until ctx ends.
func Dial(ctx context.Context, address string, config *tls.Config, o Options) (*Conn, error) {
	q, err := quic.DialAddr(ctx, address, config, &quic.Config{
		MaxIdleTimeout: silence, KeepAlivePeriod: silence / 3, HandshakeIdleTimeout: silence,
		InitialStreamReceiveWindow: streamWindow, MaxStreamReceiveWindow: maxStreamWindow,
		InitialConnectionReceiveWindow: connWindow, MaxConnectionReceiveWindow: connWindow,
		MaxIncomingStreams: -1, MaxIncomingUniStreams: 8,
	})
	if err != nil {
		return nil, err
	}
	now := time.Now()
	c := &Conn{q: q, opts: o, lim: h3.Limits{HeaderBytes: o.HeaderBytes, HeaderCount: o.HeaderCount}, opened: now, last: now, settled: make(chan struct{})}
	c.peer.OnGoAway, c.peer.OnSettings = c.leaving, c.settle
	control, err := q.OpenUniStream()
	if err == nil {
		b := h3.AppendVarint(nil, uint64(h3.StreamControl))
		_, err = control.Write(h3.AppendSettings(b, h3.Settings{MaxFieldSection: uint64(o.HeaderBytes)}))
	}
	if err != nil {
		_ = q.CloseWithError(quic.ApplicationErrorCode(h3.InternalError), "")
		return nil, err
	}
	return c, nil
}

// Start serves the connection's own streams until it is over.
func (c *Conn) Start() {
	go c.acceptUni()
	c.watch()
}

func (c *Conn) acceptUni() {
	var running sync.WaitGroup
	for {
		str, err := c.q.AcceptUniStream(context.Background())
		if err != nil {
			break
		}
		running.Go(func() {
			if err := c.serveUni(str); err != nil {
				c.fail(err)
			}
		})
	}
	running.Wait()
	c.mu.Lock()
	c.left, c.over = true, true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	c.opts.Over(c)
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

// leaving notes that the endpoint takes no more requests, and none from id on. It need
// not reset those that it has been sent already (RFC 9114 §5.2).
func (c *Conn) leaving(id uint64) {
	c.mu.Lock()
	c.left, c.gone, c.goneAt = true, true, id
	c.closeIfDone()
	live := slices.Collect(maps.Keys(c.live))
	c.mu.Unlock()
	for _, s := range live {
		s.unless(id)
	}
}

// closeIfDone closes a connection that was left, once it carries nothing. Its caller has
// the lock.
func (c *Conn) closeIfDone() {
	if c.left && !c.shut && len(c.live) == 0 {
		c.shut = true
		go c.close(h3.NoError) // closing waits for the library, which may wait for the caller
	}
}

// rejected notes that the endpoint has rejected a request. GOAWAY may be on its way behind
// that, and what is sent again had better not meet it.
func (c *Conn) rejected() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = true
}

// unseen tells whether the endpoint has said that it did nothing with a request.
func (c *Conn) unseen(id uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone && id >= c.goneAt
}

func (c *Conn) fail(err error) {
	code := h3.ClosedCriticalStream
	if bad, ok := h3.AsError(err); ok {
		code = bad.Code
	}
	c.close(code)
}

func (c *Conn) close(code h3.Code) {
	_ = c.q.CloseWithError(quic.ApplicationErrorCode(code), "")
}

// maxStreams is how many exchanges a connection carries; endpoints that take fewer
// let the others wait.
const maxStreams = 100

// Limit is how many exchanges the connection takes at a time; 0 if it takes no more.
// It is never known to be tight.
func (c *Conn) Limit() (n int, tight bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left {
		return 0, false
	}
	if n := c.opts.Requests; n > 0 {
		return min(maxStreams, n-c.all+len(c.live)), false
	}
	return maxStreams, false
}

// Hold adds to the count of who has, or will have, a stream, and returns it. The
// owner sees to it that only one does so at a time.
func (c *Conn) Hold(n int) int {
	c.held += n
	return c.held
}

// Home is nil: the connection belongs to no loop.
func (c *Conn) Home() *loop.Loop { return nil }

// Leave lets the connection end with what it carries.
func (c *Conn) Leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = true
	c.closeIfDone()
}

// Kill closes it at once.
func (c *Conn) Kill() { c.close(h3.NoError) }

// begun and ended count streams. One that has begun on a connection that is shut sends
// nothing.
func (c *Conn) begun(s *Stream) (ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live == nil {
		c.live = map[*Stream]struct{}{}
	}
	c.live[s] = struct{}{}
	c.all++
	c.left = c.left || c.all == c.opts.Requests
	return !c.shut
}

func (c *Conn) ended(s *Stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.live, s)
	c.last = time.Now()
	c.closeIfDone()
}

// watch looks at the connection when its time may be over.
func (c *Conn) watch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over || c.left {
		return
	}
	now := time.Now()
	wait := time.Minute
	if d := c.opts.Idle; d > 0 {
		if wait = d; len(c.live) == 0 {
			wait = d - now.Sub(c.last)
		}
	}
	if d := c.opts.Lifetime; d > 0 {
		wait = min(wait, d-now.Sub(c.opened))
	}
	if wait <= 0 {
		c.left = true
		c.closeIfDone()
		return
	}
	c.timer = time.AfterFunc(wait, c.watch)
}
