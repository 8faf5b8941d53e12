package h2

import "time"

// timers are the times at which something is overdue; 0 for never.
type timers struct {
	ack, block, ping, leave int64
	// probe: the peer is to be asked at once whether it is there.
	probe bool
	// waits: streams may be waiting for the peer to take content.
	waits bool
	look  int64 // when to look at them next
	next  int64 // the earliest of all
}

// stallLook is how often waiting streams are looked at.
const stallLook = int64(time.Second)

// Deadline is when Next must be called even if nothing has come; 0 for never.
func (c *Conn) Deadline() int64 {
	c.rearm()
	return c.timers.next
}

// rearm computes when something is overdue next.
func (c *Conn) rearm() {
	t := &c.timers
	next := int64(0)
	take := func(at int64) {
		if at != 0 && (next == 0 || at < next) {
			next = at
		}
	}
	take(t.ack)
	take(t.block)
	take(t.leave)
	if t.waits {
		if t.look == 0 {
			t.look = c.now + stallLook
		}
		take(t.look)
	}
	switch {
	case t.ping != 0:
		take(t.ping)
	case t.probe:
		take(c.now)
	case c.cfg.KeepAlive > 0 && c.opened > 0:
		take(c.lastRecv + int64(c.cfg.KeepAlive))
	}
	t.next = next
}

// expire does what is due. It may find one event; what else there is comes with
// the next call.
func (c *Conn) expire(ev *Event) *Error {
	if c.sweep {
		if c.sweepUnprocessed(ev) {
			return nil
		}
	}
	t := &c.timers
	due := func(at int64) bool { return at != 0 && c.now >= at }
	switch {
	case due(t.ack):
		return errAckTimeout
	case due(t.block):
		return errBlockTimeout
	case due(t.leave):
		c.finishLeaving()
	}
	if e := c.keepAlive(); e != nil {
		return e
	}
	if t.waits && c.now >= t.look {
		c.lookForStalled(ev)
	}
	c.rearm()
	return nil
}

// keepAlive asks a silent peer whether it is there.
func (c *Conn) keepAlive() *Error {
	t := &c.timers
	if t.ping != 0 {
		if c.lastRecv >= t.ping-int64(c.cfg.KeepAliveTimeout) {
			t.ping = 0 // any frame shows that it is there
		} else if c.now >= t.ping {
			return errPingTimeout
		}
	}
	due := c.cfg.KeepAlive > 0 && c.opened > 0 && c.now >= c.lastRecv+int64(c.cfg.KeepAlive)
	if t.ping == 0 && (due || t.probe) {
		t.ping = c.now + int64(c.cfg.KeepAliveTimeout)
		c.control(func(b []byte) []byte { return AppendPing(b, keepAlivePing, false) })
	}
	t.probe = false
	return nil
}

// lookForStalled resets a stream whose peer has not taken content for too long,
// be it that it opens no window or that it reads nothing.
func (c *Conn) lookForStalled(ev *Event) {
	t := &c.timers
	t.waits = false
	t.look = c.now + stallLook
	c.relent()
	for _, s := range c.streams.slots {
		if s == nil || !s.wants {
			continue
		}
		t.waits = true
		if s.waitingFrom == 0 {
			s.waitingFrom = c.now
		} else if c.now-s.waitingFrom >= int64(c.cfg.StallTimeout) {
			t.look = c.now // there may be others
			c.sendReset(s.id, errStalled.Code, errStalled.Reason)
			c.closeStream(s)
			*ev = Event{Kind: EventReset, Request: ev.Request, Stream: s, Code: errStalled.Code, Err: errStalled, End: true}
			return
		}
	}
}
