package http1

import (
	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/h1"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// chunkOverhead is room for a chunk's size line, its CRLF and a last chunk.
const chunkOverhead = 32

// Inform sends an interim response at once.
func (c *Conn) Inform(resp *httpmsg.Response) error {
	c.takeOut(smallWrite)
	c.pending = h1.AppendResponse(c.pending, resp, true, c.x.Req.Version)
	return c.Flush()
}

// WriteHead puts the head into the buffer, where the first of the body joins it.
func (c *Conn) WriteHead(resp *httpmsg.Response) error {
	c.framing = resp.Body
	size := mediumWrite
	switch {
	case resp.Body == httpmsg.BodyNone || resp.Body == httpmsg.BodyLength && resp.Length < smallWrite/2:
		size = smallWrite
	case resp.Body == httpmsg.BodyChunked:
		size = largeWrite
	}
	if c.framing == httpmsg.BodyChunked && c.x.Req.Version < httpmsg.HTTP11 {
		c.framing = httpmsg.BodyUntilClose
	}
	if c.framing == httpmsg.BodyUntilClose && c.x.Req.Version >= httpmsg.HTTP11 {
		c.framing = httpmsg.BodyChunked
		resp.Body = httpmsg.BodyChunked
	}
	if c.framing == httpmsg.BodyUntilClose || !c.mayKeep() {
		c.keep = false
	}
	if resp.Status == 101 || c.x.Req.MethodID == httpmsg.MethodHead {
		c.framing = httpmsg.BodyNone
	}
	c.takeOut(size)
	c.pending = h1.AppendResponse(c.pending, resp, c.keep, c.x.Req.Version)
	return nil
}

// mayKeep tells whether what the client still has to send lets the connection
// go on: a body that nobody has begun to read must be short, one that waits for
// 100 (Continue) may never come, and one that is overtaken by its response is
// not read to its end.
func (c *Conn) mayKeep() bool {
	if c.host.Draining() {
		return false
	}
	switch c.progress.Load() {
	case bodyEnded:
		return true
	case bodyBegun, bodyBroken:
		return false
	}
	req := &c.x.Req
	return req.Body == httpmsg.BodyLength && req.Length <= drainLimit && !req.ExpectContinue
}

// WriteBody sends a piece, or keeps it for Flush if it fits into the buffer.
func (c *Conn) WriteBody(piece []byte) error {
	switch c.framing {
	case httpmsg.BodyNone:
		return nil
	case httpmsg.BodyChunked:
		return c.writeChunk(piece)
	}
	if c.out == nil {
		return c.write(piece)
	}
	if len(c.pending)+len(piece) <= cap(c.pending) {
		c.pending = append(c.pending, piece...)
		return nil
	}
	c.limitWrite()
	_, err := c.nc.Writev(c.pending, piece)
	c.dropOut()
	return c.note(err)
}

// writeChunk frames pieces in a buffer, as large ones as it takes.
func (c *Conn) writeChunk(piece []byte) error {
	for len(piece) > 0 {
		c.takeOut(largeWrite)
		room := cap(c.pending) - len(c.pending) - chunkOverhead
		if room < min(len(piece), firstRead) {
			if err := c.Flush(); err != nil {
				return err
			}
			continue
		}
		n := min(room, len(piece))
		c.pending = h1.AppendChunkSize(c.pending, n)
		c.pending = append(c.pending, piece[:n]...)
		c.pending = append(c.pending, '\r', '\n')
		piece = piece[n:]
	}
	return nil
}

// Flush sends what waits and gives the buffer back.
func (c *Conn) Flush() error {
	if len(c.pending) == 0 {
		return nil
	}
	err := c.write(c.pending)
	c.dropOut()
	return err
}

// End closes the response and sends what waits.
func (c *Conn) End(trailer *httpmsg.Header) error {
	if c.framing == httpmsg.BodyChunked {
		c.takeOut(smallWrite)
		c.pending = h1.AppendLastChunk(c.pending, trailer)
	}
	return c.Flush()
}

// Abort closes the connection before the response's end. A body of known length
// or in chunks then is visibly not complete; one that ends with the connection
// needs a reset for that.
func (c *Conn) Abort() {
	if len(c.pending) > 0 {
		c.Flush()
	}
	c.failed = true
	if c.framing == httpmsg.BodyUntilClose {
		c.nc.Abort()
	}
}

func (c *Conn) takeOut(size int) {
	if c.out == nil {
		c.out = bufpool.Get(size)
		c.pending = c.out.B[:0]
	}
}

func (c *Conn) dropOut() {
	c.out.Release()
	c.out, c.pending = nil, nil
}

func (c *Conn) write(p []byte) error {
	c.limitWrite()
	_, err := c.nc.Write(p)
	return c.note(err)
}

// limitWrite cuts off a client that does not read.
func (c *Conn) limitWrite() {
	c.nc.SetWriteWithin(c.lst.IR.Client.BodyIdleTimeout)
}

func (c *Conn) note(err error) error {
	if err != nil {
		c.failed = true
	}
	return err
}
