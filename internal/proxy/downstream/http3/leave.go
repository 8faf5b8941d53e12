package http3

import (
	"time"

	"github.com/gridway/gridway/internal/wire/h3"
)

// The reasons of GOAWAY without an error.
const (
	whyDrain    = "Drain"
	whyRequests = "RequestLimit"
	whyChanged  = "ListenerChanged"
	whyAge      = "MaxConnectionDuration"
	whyIdle     = "IdleTimeout"
)

// anyRequest is the number of a GOAWAY that lets all requests come (RFC 9114 §5.2).
const anyRequest = 1<<62 - 4

// LeaveSoon tells the client to send its next requests elsewhere. What comes all
// the same for a moment is served.
func (c *Conn) LeaveSoon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.warned && !c.left {
		c.warned = true
		c.goAway(anyRequest)
	}
}

// EndIdle ends the connection as soon as it has nothing to do, and takes no more
// requests.
func (c *Conn) EndIdle() {
	c.mu.Lock()
	c.leave("")
	c.told = true
	telling := c.telling
	c.telling = nil
	c.mu.Unlock()
	for _, f := range telling {
		f()
	}
}

// OnLeave implements pipeline.Downstream.
func (s *stream) OnLeave(f func()) {
	c := s.c
	c.mu.Lock()
	told := c.told
	switch {
	case f == nil:
		delete(c.telling, s)
	case !told && c.telling == nil:
		c.telling = map[*stream]func(){s: f}
	case !told:
		c.telling[s] = f
	}
	c.mu.Unlock()
	if told && f != nil {
		f()
	}
}

// Kill closes the connection whatever it does.
func (c *Conn) Kill() {
	c.cut.Store(true)
	c.close(h3.NoError, "")
}

// leave takes no more requests; those with higher numbers may be sent again
// elsewhere. The lock is held.
func (c *Conn) leave(why string) {
	if c.left {
		return
	}
	c.left = true
	c.why = why
	c.goAway(c.next)
	if c.open == 0 {
		c.linger()
	}
}

// goAway sends GOAWAY. The lock is held; the control stream has room for the few
// bytes that this side ever says there, or the client has gone.
func (c *Conn) goAway(id uint64) {
	if c.control != nil {
		_ = c.control.TryWriteAll(h3.AppendGoAway(nil, id))
	}
}

// How long the client has to get the last bytes: closing forgets what was lost on
// the way. A path whose queues are long shows that in its round trips.
const (
	shortestLinger = 500 * time.Millisecond
	longestLinger  = 10 * time.Second
)

// linger closes the connection when the client has had the time to do so, and to
// get what was sent. The lock is held.
func (c *Conn) linger() {
	d := min(max(8*c.q.ConnectionStats().SmoothedRTT, shortestLinger), longestLinger)
	c.schedule(d, func() { c.close(h3.NoError, "") })
}

// schedule replaces the timer. The lock is held.
func (c *Conn) schedule(d time.Duration, f func()) {
	if c.timer != nil {
		c.timer.Stop()
	}
	if !c.stopped {
		c.timer = time.AfterFunc(d, f)
	}
}

// watch looks at the connection when its time may be over.
func (c *Conn) watch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left {
		return
	}
	client := &c.host.Current().IR.Client
	now := time.Now()
	wait := time.Duration(0)
	if d := client.IdleTimeout; d > 0 {
		wait = d
		if c.open == 0 {
			if wait = d - now.Sub(c.last); wait <= 0 {
				c.leave(whyIdle)
				return
			}
		}
	}
	if d := client.MaxConnectionDuration; d > 0 {
		left := d - now.Sub(c.opened)
		if left <= 0 {
			c.leave(whyAge)
			return
		}
		if wait == 0 || left < wait {
			wait = left
		}
	}
	if wait == 0 { // a reload may bring limits
		wait = time.Minute
	}
	c.schedule(wait, c.watch)
}

// reason is why the connection was left. The lock is held.
func (c *Conn) reason() string {
	if c.why != "" {
		return c.why
	}
	return whyDrain
}

// budget bounds how many requests a client gives up before they are answered:
// so many at once and so many a second, more where others are answered.
type budget struct {
	level float64
	at    time.Time
}

const (
	resetBurst = 200
	resetRate  = 20 // a second
)

func newBudget(now time.Time) budget { return budget{level: resetBurst, at: now} }

func (b *budget) spend(now time.Time) bool {
	b.level = min(b.level+now.Sub(b.at).Seconds()*resetRate, resetBurst) - 1
	b.at = now
	return b.level >= 0
}

func (b *budget) earn() { b.level = min(b.level+1, resetBurst) }

var errRapidReset = &h3.Error{Code: h3.ExcessiveLoad, Conn: true, Reason: "RapidReset", Message: "too many requests are given up"}
