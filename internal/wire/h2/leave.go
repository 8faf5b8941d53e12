package h2

import "time"

// leaveState is how far this side has come with leaving (RFC 9113 §6.8).
type leaveState uint8

const (
	leaveNot leaveState = iota
	// leaveAnnounced: the peer was told, and streams that it has opened
	// before it knew are still taken.
	leaveAnnounced
	// leaveFinal: no more streams are taken; those that are open go on.
	leaveFinal
	// leaveClosed: nothing goes on.
	leaveClosed
)

// The content of PING frames, by which their answers are told apart.
var (
	keepAlivePing = [8]byte{'a', 'l', 'i', 'v', 'e', '?'}
	leavingPing   = [8]byte{'l', 'e', 'a', 'v', 'e'}
)

// leaveWait is how long a peer may take to show that it knows. What it sends after
// that is not taken, which it is told.
const leaveWait = int64(3 * time.Second)

// Leave ends the connection without losing a request: a server says that it will
// go, waits until the peer must know, and then names the last stream that it
// takes; a client opens no more streams. When Done is true the driver can close.
func (c *Conn) Leave() {
	if c.leaving != leaveNot || c.failed != nil {
		return
	}
	if c.client {
		c.leaving = leaveFinal
		c.sendGoAway(0, NoError, "")
		return
	}
	if c.preface == len(Preface) { // nothing has come, and so nothing can be lost
		c.finishLeaving()
		return
	}
	c.leaving = leaveAnnounced
	c.sendGoAway(maxStreamID, NoError, "")
	c.control(func(b []byte) []byte { return AppendPing(b, leavingPing, false) })
	c.timers.leave = c.now + min(int64(c.cfg.AckTimeout), leaveWait)
	c.rearm()
}

// finishLeaving names the last stream.
func (c *Conn) finishLeaving() {
	c.timers.leave = 0
	if c.leaving > leaveAnnounced {
		return
	}
	c.leaving = leaveFinal
	c.lastTaken = c.lastPeer
	c.sendGoAway(c.lastTaken, NoError, "")
}

// Close ends the connection at once, with a code for the peer. What is in the
// output should still be sent.
func (c *Conn) Close(code ErrCode) {
	if c.leaving == leaveClosed {
		return
	}
	c.leaving = leaveClosed
	c.failed = &Error{Code: code, Reason: "Closed", Message: "the connection was closed"}
	c.sendGoAway(c.lastPeer, code, "")
}

// Done tells whether the connection can be closed without a loss, after Take.
func (c *Conn) Done() bool {
	return c.failed != nil || c.opened == 0 && (c.leaving >= leaveFinal || c.client && c.gone)
}

// Left tells whether this side has said that it takes no more streams: the
// connection ends with those that are open.
func (c *Conn) Left() bool { return c.leaving != leaveNot }

// Leaving tells whether either side has said that it takes no more streams.
func (c *Conn) Leaving() bool { return c.leaving != leaveNot || c.gone || c.failed != nil }

// Ping sends a PING; EventPong is its answer.
func (c *Conn) Ping(data [8]byte) {
	c.control(func(b []byte) []byte { return AppendPing(b, data, false) })
}

// pong handles the answer to a PING. One that was not sent is no mistake.
func (c *Conn) pong(data [8]byte, ev *Event) *Error {
	switch data {
	case keepAlivePing:
		c.timers.ping = 0
	case leavingPing:
		c.finishLeaving()
	default:
		ev.Kind = EventPong
	}
	return c.spend(1)
}

// sweepUnprocessed finds the first stream that the peer's GOAWAY has left out.
func (c *Conn) sweepUnprocessed(ev *Event) bool {
	var first *Stream
	for _, s := range c.streams.slots {
		if s != nil && s.id > c.goneLast && (first == nil || s.id < first.id) {
			first = s
		}
	}
	if first == nil {
		c.sweep = false
		return false
	}
	c.closeStream(first)
	*ev = Event{Kind: EventReset, Request: ev.Request, Stream: first, Code: RefusedStream, End: true, Unprocessed: true}
	return true
}
