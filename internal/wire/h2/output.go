package h2

import "github.com/gridway/gridway/internal/wire/bufpool"

const (
	// outputLimit is how much content waits in the output, in bytes; what is
	// written at once should fit a buffer of the largest class.
	outputLimit = bufpool.Large
	// floodLimit is how much else may wait because the peer does not read.
	floodLimit = 4 * bufpool.Large
)

// Pending is how many bytes wait in the output.
func (c *Conn) Pending() int { return c.outLen }

// Take hands the output over; nil if there is none. The caller writes B and
// releases it. To bound memory a driver takes no more before that was written.
func (c *Conn) Take() *bufpool.Buf {
	if c.outLen == 0 {
		return nil
	}
	b := c.out
	b.B = b.B[:c.outLen]
	c.out, c.outLen, c.last = nil, 0, lastFrame{}
	return b
}

// room makes room for n bytes in the output.
func (c *Conn) room(n int) {
	need := c.outLen + n
	if c.out == nil {
		c.out = bufpool.Get(need)
		return
	}
	if need <= len(c.out.B) {
		return
	}
	size := need
	if size < bufpool.Large {
		size = min(2*size, bufpool.Large)
	} else {
		size += size / 2
	}
	grown := bufpool.Get(size)
	copy(grown.B, c.out.B[:c.outLen])
	c.out.Release()
	c.out = grown
}

// outBytes is the output to append to, after room.
func (c *Conn) outBytes() []byte { return c.out.B[:c.outLen] }

// setOut takes over what was appended.
func (c *Conn) setOut(b []byte) {
	if len(b) > len(c.out.B) {
		// More than was asked for: append has moved it.
		c.out.Release()
		c.out = bufpool.Get(len(b))
		copy(c.out.B, b)
	}
	c.outLen = len(b)
}

func (c *Conn) append(b []byte) { c.setOut(append(c.outBytes(), b...)) }

// control appends a short frame that the peer has made necessary.
func (c *Conn) control(frame func([]byte) []byte) {
	if c.outLen > floodLimit {
		c.overflown = true
		return
	}
	c.room(64)
	c.setOut(frame(c.outBytes()))
}

func (c *Conn) sendReset(id uint32, code ErrCode, reason string) {
	c.resets.add(id)
	if c.cfg.OnReset != nil {
		c.cfg.OnReset(code, true, reason)
	}
	c.control(func(b []byte) []byte { return AppendRSTStream(b, id, code) })
}

func (c *Conn) sendGoAway(last uint32, code ErrCode, debug string) {
	c.room(64 + len(debug))
	c.setOut(AppendGoAway(c.outBytes(), last, code, debug))
}

// lastFrame is the message's frame that is the last in the output: it can still
// be made the one that ends the stream.
type lastFrame struct {
	s        *Stream
	from, to int
}

// wrote notes that a frame of s is the last in the output, from an offset on.
func (c *Conn) wrote(s *Stream, from int) { c.last = lastFrame{s, from, c.outLen} }

// endLast makes the last frame of s end the stream, if it is still there.
func (c *Conn) endLast(s *Stream) bool {
	const flags = 4 // the offset in a frame's header, RFC 9113 §4.1
	if c.last.s != s || c.last.to != c.outLen {
		return false
	}
	c.out.B[c.last.from+flags] |= byte(FlagEndStream)
	return true
}
