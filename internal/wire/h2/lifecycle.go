package h2

import (
	"errors"
	"math"

	"github.com/gridway/gridway/internal/wire/head"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Why a stream cannot be opened or written to.
var (
	ErrLeaving   = errors.New("h2: the connection takes no more streams")
	ErrExhausted = errors.New("h2: the connection has no stream numbers left")
	ErrTooMany   = errors.New("h2: the peer's limit of streams is reached")
	ErrEnded     = errors.New("h2: the stream has ended")
	ErrProtocol  = errors.New("h2: the peer does not take extended CONNECT")
)

const maxFreeStreams = 64

func (c *Conn) newStream(id uint32) *Stream {
	s := c.free
	if s != nil {
		c.free = s.next
		c.freeLen--
		*s = Stream{}
	} else {
		s = new(Stream)
	}
	s.id = id
	s.urgency = defaultUrgency
	s.left = -1
	s.recvWindow, s.sendWindow = int64(c.local.InitialWindowSize), int64(c.peer.InitialWindowSize)
	c.streams.add(s)
	c.opened++
	c.held++
	return s
}

// endRemote notes that the peer has sent all.
func (c *Conn) endRemote(s *Stream) {
	s.remoteEnd = true
	if s.localEnd {
		c.closeStream(s)
	}
}

// endLocal notes that all was sent.
func (c *Conn) endLocal(s *Stream) {
	s.localEnd, s.wants = true, false
	c.sched.remove(s)
	c.resetBudget.earn(1) // what is served makes some cancelling plausible
	if s.remoteEnd {
		c.closeStream(s)
	}
}

// closeStream takes a stream from the connection. What of its content was not
// consumed is given back for the connection's window.
func (c *Conn) closeStream(s *Stream) {
	s.closed, s.localEnd, s.remoteEnd, s.wants = true, true, true, false
	c.sched.remove(s)
	c.streams.remove(s.id)
	c.opened--
	c.leavePark(s)
	if c.data.stream == s {
		c.data.stream = nil
	}
	owed := s.owed
	s.owed = 0
	c.creditConn(owed)
	c.unpark() // it may have been its turn
	c.recycle(s)
}

// Release says that the driver will not use the stream any more. One that is
// still open is reset with CANCEL.
func (c *Conn) Release(s *Stream) {
	if s.released {
		panic("h2: stream released twice")
	}
	s.released = true
	c.held--
	s.User, s.resp, s.arena = nil, nil, nil
	if !s.closed {
		c.Reset(s, Cancel)
		return
	}
	c.recycle(s)
}

func (c *Conn) recycle(s *Stream) {
	if !s.released || !s.closed || c.freeLen >= maxFreeStreams {
		return
	}
	s.next = c.free
	c.free = s
	c.freeLen++
}

// Reset ends a stream at once. A server that has answered and does not want the
// rest of the request uses NoError (RFC 9113 §8.1).
func (c *Conn) Reset(s *Stream, code ErrCode) {
	if s.closed {
		return
	}
	if !s.remoteEnd {
		c.expectLate(s)
	}
	if c.client && s.heard == c.heard {
		c.timers.probe = true // it may be gone
	}
	c.sendReset(s.id, code, "")
	c.closeStream(s)
}

// Streams is how many streams are open.
func (c *Conn) Streams() int { return c.opened }

// Each calls f for each open stream; f must not end one.
func (c *Conn) Each(f func(*Stream)) {
	for _, s := range c.streams.slots {
		if s != nil {
			f(s)
		}
	}
}

// Peer are the settings of the peer.
func (c *Conn) Peer() Settings { return c.peer }

// Capacity is how many more streams a client may open now.
func (c *Conn) Capacity() int {
	if !c.client || c.failed != nil || c.gone || c.leaving != leaveNot || c.nextID > maxStreamID {
		return 0
	}
	n := int64(c.peer.MaxConcurrentStreams) - int64(c.opened)
	return int(max(0, min(n, math.MaxInt32)))
}

// Open sends a request's head (RFC 9113 §8.3.1). Responses are decoded to resp
// and arena, which must be the stream's alone. With end the request has no content.
func (c *Conn) Open(r *httpmsg.Request, end bool, resp *httpmsg.Response, arena *httpmsg.Arena) (*Stream, error) {
	switch {
	case c.failed != nil, c.gone, c.leaving != leaveNot, !c.client:
		return nil, ErrLeaving
	case c.nextID > maxStreamID:
		return nil, ErrExhausted
	case c.outLen > floodLimit: // the peer does not read
		return nil, ErrTooMany
	case int64(c.opened) >= int64(c.peer.MaxConcurrentStreams):
		return nil, ErrTooMany
	case len(r.Upgrade) > 0 && !c.peer.EnableConnectProtocol:
		return nil, ErrProtocol
	}
	s := c.newStream(c.nextID)
	c.nextID += 2
	s.resp, s.arena, s.heard = resp, arena, c.heard
	s.head, s.connect = r.MethodID == httpmsg.MethodHead, r.MethodID == httpmsg.MethodConnect || len(r.Upgrade) > 0
	c.setPriority(s, r)
	c.writeRequest(s, r, end)
	s.headSent = true
	if end {
		c.endLocal(s)
	}
	return s, nil
}

// setPriority takes the priority that the client has given to its request.
func (c *Conn) setPriority(s *Stream, r *httpmsg.Request) {
	if v, ok := c.early.take(s.id); ok {
		s.urgency, s.sequential = v.urgency, v.sequential
	} else if r.Header.Has(httpmsg.NamePriority) {
		urgency, incremental := head.ParsePriority(r.Header.Get(httpmsg.NamePriority))
		s.urgency, s.sequential = urgency, !incremental
	}
}
