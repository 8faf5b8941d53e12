// Package pool keeps the idle connections of endpoints and bounds the
// connections of a cluster. It owns no goroutines: the Set's keeper calls Reap,
// and who waits for a connection waits on its own goroutine. Package upstream
// imports it, no other.
package pool

import (
	"slices"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// Rules are ir.Pool with what it leaves open filled in.
type Rules struct {
	MaxIdle     int
	IdleTimeout time.Duration
	MaxLifetime time.Duration // zero: none
	MaxRequests int           // zero: none
	KeepAlive   time.Duration
	Off         bool
}

// NewRules fills in 1024 idle connections per endpoint and 60 s of idleness.
func NewRules(p ir.Pool) Rules {
	r := Rules{
		MaxIdle: p.MaxIdle, IdleTimeout: p.IdleTimeout, MaxLifetime: p.MaxLifetime,
		MaxRequests: p.MaxRequests, KeepAlive: p.KeepAlive, Off: p.DisablePooling,
	}
	if r.MaxIdle <= 0 {
		r.MaxIdle = 1024
	}
	if r.IdleTimeout <= 0 {
		r.IdleTimeout = 60 * time.Second
	}
	return r
}

// keeps tells whether a connection may serve one more exchange.
func (r *Rules) keeps(c *netx.Conn, now int64) bool {
	return !r.Off && (r.MaxRequests <= 0 || c.Life.Uses < r.MaxRequests) &&
		(r.MaxLifetime <= 0 || now-c.Life.Opened < int64(r.MaxLifetime))
}

// Stack holds one endpoint's idle connections. The last one in is the first
// out, so that a few stay warm and the rest run into their idle timeout.
type Stack struct {
	mu     sync.Mutex // guards what follows
	idle   []entry    // since ascends
	closed bool
}

type entry struct {
	conn  *netx.Conn
	since int64
	home  *loop.Loop
}

// near is how many of the youngest connections are looked at for one that the
// caller's loop has: another one would have to be moved.
const near = 16

// Push keeps c, unless the rules or a closed or full stack say no.
func (s *Stack) Push(r *Rules, c *netx.Conn, now int64) bool {
	if !r.keeps(c, now) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.idle) >= r.MaxIdle {
		return false
	}
	s.idle = append(s.idle, entry{c, now, c.Home()})
	return true
}

// Pop returns the connection that was idle for the shortest time, or nil. An
// expired one may be returned with ok false: the caller closes it and asks again.
func (s *Stack) Pop(r *Rules, now int64) (c *netx.Conn, ok bool) { return s.PopFor(nil, r, now) }

// PopFor is Pop for a task of the given loop, whose connections come first.
func (s *Stack) PopFor(home *loop.Loop, r *Rules, now int64) (c *netx.Conn, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.idle)
	if n == 0 {
		return nil, false
	}
	at := n - 1
	for i := n - 1; home != nil && i >= max(0, n-near); i-- {
		if s.idle[i].home == home {
			at = i
			break
		}
	}
	e := s.idle[at]
	copy(s.idle[at:], s.idle[at+1:])
	s.idle[n-1] = entry{}
	s.idle = s.idle[:n-1]
	return e.conn, now-e.since < int64(r.IdleTimeout) && r.keeps(e.conn, now)
}

// Remove takes c out of the stack; it is false if c is not there any more.
func (s *Stack) Remove(c *netx.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.idle) - 1; i >= 0; i-- {
		if s.idle[i].conn == c {
			s.idle = slices.Delete(s.idle, i, i+1)
			return true
		}
	}
	return false
}

// Reap appends the connections that were idle for too long or are too old to
// dst, for the caller to close, and tells how many stay.
func (s *Stack) Reap(r *Rules, now int64, dst []*netx.Conn) (expired []*netx.Conn, left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.idle[:0]
	for _, e := range s.idle {
		if now-e.since < int64(r.IdleTimeout) && r.keeps(e.conn, now) {
			kept = append(kept, e)
		} else {
			dst = append(dst, e.conn)
		}
	}
	clear(s.idle[len(kept):])
	s.idle = kept
	return dst, len(kept)
}

// Close empties the stack and refuses what comes later. It returns the
// connections for the caller to close or to keep elsewhere.
func (s *Stack) Close() []*netx.Conn { return s.take(true) }

// Take empties the stack for the caller to close the connections.
func (s *Stack) Take() []*netx.Conn { return s.take(false) }

func (s *Stack) take(end bool) []*netx.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*netx.Conn, len(s.idle))
	for i, e := range s.idle {
		out[i] = e.conn
	}
	s.idle, s.closed = nil, s.closed || end
	return out
}

// Len is the number of idle connections.
func (s *Stack) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.idle)
}
