package h2

import (
	"errors"

	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/hpack"
)

// headerBlock is a block whose end has not come: HEADERS without END_HEADERS.
type headerBlock struct {
	id     uint32 // 0: none
	end    bool   // END_STREAM
	prio   PriorityParam
	hasDep bool
	frames int
	buf    *bufpool.Buf
	size   int
}

func (c *Conn) recvHeaders(h FrameHeader, p []byte, ev *Event) *Error {
	fragment, prio, e := ParseHeaders(h, p)
	if e != nil {
		return e
	}
	b := headerBlock{id: h.StreamID, end: h.Flags.Has(FlagEndStream), prio: prio, hasDep: h.Flags.Has(FlagPriority)}
	if h.Flags.Has(FlagEndHeaders) {
		return c.recvBlock(&b, fragment, ev)
	}
	if len(fragment) > blockFactor*c.cfg.HeaderBytes {
		return errBlockTooLarge
	}
	b.buf = bufpool.Get(len(fragment))
	b.size = copy(b.buf.B, fragment)
	c.block = b
	c.timers.block = c.now + int64(c.cfg.HeaderTimeout)
	c.rearm()
	return nil
}

// blockFactor is how many times the header list's limit a block may have. What
// is between the two gets its 431.
const blockFactor = 2

// recvContinuation collects the pieces of a block.
func (c *Conn) recvContinuation(h FrameHeader, p []byte, ev *Event) *Error {
	b := &c.block
	if b.id == 0 {
		return errLoneContinuation
	}
	b.frames++
	size := b.size + len(p)
	if b.frames > maxContinuations || size > blockFactor*c.cfg.HeaderBytes {
		return errBlockTooLarge
	}
	if size > len(b.buf.B) {
		grown := bufpool.Get(min(4*size, blockFactor*c.cfg.HeaderBytes))
		copy(grown.B, b.buf.B[:b.size])
		b.buf.Release()
		b.buf = grown
	}
	copy(b.buf.B[b.size:], p)
	b.size = size
	if !h.Flags.Has(FlagEndHeaders) {
		return nil
	}
	whole := c.block
	c.block = headerBlock{}
	c.timers.block = 0
	e := c.recvBlock(&whole, whole.buf.B[:whole.size], ev)
	whole.buf.Release()
	return e
}

// recvBlock handles a complete header block. Whatever becomes of it, it is
// decoded: the tables of both sides must stay the same.
func (c *Conn) recvBlock(b *headerBlock, block []byte, ev *Event) *Error {
	s := c.streams.get(b.id)
	switch {
	case s != nil && s.remoteEnd:
		if e := c.discard(block); e != nil {
			return e
		}
		return c.failStream(b.id, errClosedStream, ev)
	case s != nil && b.hasDep && b.prio.StreamDep == b.id:
		if e := c.discard(block); e != nil {
			return e
		}
		return c.failStream(b.id, errSelfDependency, ev)
	case s != nil && c.client && !s.headSeen:
		return c.recvResponse(s, b, block, ev)
	case s != nil:
		return c.recvTrailer(s, b, block, ev)
	case c.idle(b.id):
		if c.client || b.id&1 == 0 {
			return errStreamID
		}
		return c.recvRequest(b, block, ev)
	}
	// The stream has ended.
	if e := c.discard(block); e != nil {
		return e
	}
	if c.resets.mayHave(b.id) || c.client {
		return c.spendLate()
	}
	if c.known.mayHave(b.id) {
		return errClosedStream // RFC 9113 §5.1
	}
	return errStreamID // §5.1.1: it was passed over
}

// discard decodes a block that nobody wants.
func (c *Conn) discard(block []byte) *Error {
	c.scratch.Reset()
	c.dec.Begin(block, &c.scratch, c.cfg.HeaderBytes)
	var f hpack.Field
	for {
		if more, err := c.dec.Next(&f); err != nil || !more {
			return decodeError(err)
		}
	}
}

func decodeError(err error) *Error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, hpack.ErrBomb):
		return errBomb
	}
	return errCompression
}

// recvTrailer reads the section after the content (RFC 9113 §8.1).
func (c *Conn) recvTrailer(s *Stream, b *headerBlock, block []byte, ev *Event) *Error {
	c.scratch.Reset()
	c.trailer.Reset()
	bad, e := c.decodeTrailer(block)
	switch {
	case e != nil:
		return e
	case !b.end:
		bad = errTrailer
	case s.left > 0:
		bad = errLengthMismatch
	}
	if bad != nil {
		return c.failStream(s.id, bad, ev)
	}
	c.endRemote(s)
	*ev = Event{Kind: EventTrailer, Request: ev.Request, Stream: s, End: true, Trailer: &c.trailer}
	return nil
}

// recvRequest opens a stream.
func (c *Conn) recvRequest(b *headerBlock, block []byte, ev *Event) *Error {
	c.lastPeer = b.id
	c.known.add(b.id)
	refuse := c.opened >= c.cfg.MaxStreams || c.held >= 2*c.cfg.MaxStreams
	if refuse || b.id > c.lastTaken || b.hasDep && b.prio.StreamDep == b.id {
		if e := c.discard(block); e != nil {
			return e
		}
		switch {
		case b.id > c.lastTaken: // RFC 9113 §6.8: the client knows that it was not taken
			c.resets.add(b.id)
			return c.spend(1)
		case refuse:
			return c.failStream(b.id, errTooMany, ev)
		}
		return c.failStream(b.id, errSelfDependency, ev)
	}
	if ev.Request == nil {
		ev.Request = c.cfg.NewRequest()
	}
	bad, e := c.decodeRequest(block, ev.Request, b.end)
	if e != nil {
		return e
	}
	if bad != nil && bad.Status == 0 {
		return c.failStream(b.id, bad, ev)
	}
	c.controlBudget.earn(2)
	r := ev.Request
	s := c.newStream(b.id)
	s.headSeen = true
	s.left = -1
	if r.Length >= 0 && !b.end && bad == nil {
		s.left = r.Length
	}
	c.setPriority(s, r)
	if b.end {
		c.endRemote(s)
	}
	ev.Kind, ev.Stream, ev.End, ev.Refuse = EventRequest, s, b.end, bad
	return nil
}

// recvResponse reads the head of a response, or an interim one.
func (c *Conn) recvResponse(s *Stream, b *headerBlock, block []byte, ev *Event) *Error {
	bad, e := c.decodeResponse(block, s, b.end)
	if e != nil {
		return e
	}
	if bad != nil {
		return c.failStream(s.id, bad, ev)
	}
	ev.Stream = s
	if s.resp.Status < 200 {
		if s.interim++; s.interim > maxInterim {
			return c.failStream(s.id, errTooManyInterim, ev)
		}
		ev.Kind = EventInterim
		return nil
	}
	s.headSeen = true
	c.controlBudget.earn(2)
	ev.Kind, ev.End = EventResponse, b.end
	if b.end {
		c.endRemote(s)
	}
	return nil
}
