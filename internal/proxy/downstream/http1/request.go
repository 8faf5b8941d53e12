package http1

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/pipeline"
	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/h1"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// What next has come to.
type nextState uint8

const (
	request nextState = iota
	idleNow           // nothing has come yet
	over              // the connection has ended
	preface           // the client speaks HTTP/2
	tunnel            // the client asks for one, see Conn.Tunneling
)

// next reads the next request's head into an exchange. A request that cannot be
// served was answered when the connection is over.
func (c *Conn) next() nextState {
	if c.r == c.w {
		if state := c.awaitBytes(); state != request {
			return state
		}
	}
	c.lst = c.host.Current()
	client := &c.lst.IR.Client
	c.begin()
	if err := c.readHead(client); err != nil {
		if c.isPreface() {
			c.http2 = true
			return preface
		}
		c.refuse(err)
		return over
	}
	if c.nc.IsTLS() != c.lst.TLS { // the port has changed
		c.p.Refuse(c.x, 421, filter.MisdirectedRequest, "the port speaks another protocol now")
		c.linger()
		return over
	}
	if c.lst.Outbound != nil && c.x.Req.MethodID == httpmsg.MethodConnect {
		return tunnel
	}
	c.acceptBody(client)
	return request
}

// begin takes an exchange for the request that has started to arrive.
func (c *Conn) begin() {
	x := pipeline.Get()
	c.x = x
	x.Down, x.Listener = c, c.lst
	x.PeerAddr, x.LocalAddr, x.TLS = c.nc.RemoteAddrPort(), c.nc.LocalAddrPort(), c.nc.TLSState()
	x.Req.Scheme = "http"
	if x.TLS != nil {
		x.Req.Scheme = "https"
	}
	c.requests++
	c.stop.Store(false)
	c.bodyDone, c.keep = true, false
	c.progress.Store(bodyEnded)
	c.kind, c.left, c.early = httpmsg.BodyNone, 0, nil
}

// awaitBytes waits for the first bytes of a request without holding a buffer. A
// drain does not end that at once: a client that was promised another exchange
// may have sent it already. EndIdle does.
func (c *Conn) awaitBytes() nextState {
	if c.buf != nil {
		c.buf.Release()
		c.buf = nil
	}
	client := &c.host.Current().IR.Client
	c.nc.SetWatch(nil)
	by := c.endOfLife(client)
	if client.IdleTimeout > 0 {
		by = earliest(by, c.last+int64(client.IdleTimeout))
	}
	c.nc.SetReadBy(by)
	var buf *bufpool.Buf
	var n int
	var wait bool
	var err error
	if c.task != nil {
		buf, n, wait, err = c.nc.PollIdle(firstRead)
	} else {
		buf, n, err = c.nc.ReadIdle(firstRead)
	}
	switch {
	case wait:
		return idleNow
	case err != nil:
		return over
	}
	c.buf, c.r, c.w = buf, 0, n
	return request
}

// endOfLife is when the connection is as old as it may get.
func (c *Conn) endOfLife(client *ir.ClientPolicy) int64 {
	if client.MaxConnectionDuration == 0 {
		return 0
	}
	return c.opened + int64(client.MaxConnectionDuration)
}

// readHead parses the request's head, waiting for what is missing of it. The
// usual head has come with the first read; for one that comes in pieces the end
// is looked for before it is parsed again.
func (c *Conn) readHead(client *ir.ClientPolicy) error {
	c.lim = h1.Limits{HeaderBytes: client.MaxHeaderBytes, HeaderCount: client.MaxHeaderCount, MergeSlashes: client.MergeSlashes}
	n, err := h1.ParseRequestHead(c.buf.B[c.r:c.w], &c.x.Req, &c.lim)
	if n == 0 && err == nil {
		if err = c.awaitHead(client); err == nil {
			n, err = h1.ParseRequestHead(c.buf.B[c.r:c.w], &c.x.Req, &c.lim)
		}
	}
	c.r += n
	return err
}

// isPreface tells whether a head that is not HTTP/1's begins HTTP/2 (RFC 9113
// §3.4). That is for a connection's first bytes, and without TLS, where ALPN
// decides.
func (c *Conn) isPreface() bool {
	const begin = "PRI * HTTP/2.0\r\n\r\n"
	if c.requests > 1 || c.nc.IsTLS() || c.lst.IR.Client.NoHTTP2 {
		return false
	}
	for {
		in := c.buf.B[c.r:c.w]
		if len(in) >= len(begin) {
			return bytes.HasPrefix(in, []byte(begin))
		}
		if !strings.HasPrefix(begin, string(in)) {
			return false
		}
		n, err := c.nc.Read(c.buf.B[c.w:])
		if c.w += n; err != nil {
			return false
		}
	}
}

// awaitHead reads until the head is complete, or as long as one may be.
func (c *Conn) awaitHead(client *ir.ClientPolicy) error {
	c.scan.Reset()
	c.nc.SetReadBy(deadline(client.HeaderTimeout))
	for c.scan.HeadEnd(c.buf.B[c.r:c.w]) < 0 && c.w-c.r < client.MaxHeaderBytes {
		c.makeRoom(client.MaxHeaderBytes)
		n, err := c.nc.Read(c.buf.B[c.w:])
		c.w += n
		if n == 0 && err != nil {
			return err
		}
	}
	return nil
}

// makeRoom lets the next read append behind buf[r:w].
func (c *Conn) makeRoom(limit int) {
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
	if c.w < len(c.buf.B) {
		return
	}
	if c.r > 0 {
		c.w = copy(c.buf.B, c.buf.B[c.r:c.w])
		c.r = 0
		return
	}
	big := bufpool.Get(min(4*len(c.buf.B), max(limit+1, largeRead)))
	c.w = copy(big.B, c.buf.B[:c.w])
	c.buf.Release()
	c.buf = big
}

// refuse answers a request whose head is not acceptable, and ends the connection.
func (c *Conn) refuse(err error) {
	var bad *h1.Error
	switch {
	case errors.As(err, &bad):
		reason := filter.BadRequest
		switch bad.Status {
		case 431:
			reason = filter.HeaderTooLarge
		case 414:
			reason = filter.URITooLong
		case 417:
			reason = filter.ExpectationFailed
		}
		c.lst.Metrics.ProtocolError(bad.Code)
		c.p.Refuse(c.x, bad.Status, reason, bad.Message)
	case netx.IsTimeout(err) && c.w > c.r:
		c.p.Refuse(c.x, 408, filter.RequestTimeout, "the request's header did not arrive in time")
	default:
		return // the client went away; nobody is there to be told
	}
	c.linger()
}

// acceptBody sets up reading of the body that the head announces.
func (c *Conn) acceptBody(client *ir.ClientPolicy) {
	req := &c.x.Req
	c.kind, c.left = req.Body, req.Length
	c.bodyDone = c.kind == httpmsg.BodyNone || c.kind == httpmsg.BodyLength && c.left == 0
	if !c.bodyDone {
		c.progress.Store(bodyUnread)
	}
	c.chunks.Reset()
	c.decoded = 0
	c.bodyBy = deadline(client.RequestTimeout)
	c.keep = req.KeepAlive && !c.host.Draining() && c.door == c.lst.Door &&
		(client.MaxRequestsPerConnection == 0 || c.requests < client.MaxRequestsPerConnection)
	if end := c.endOfLife(client); end != 0 && netx.Monotonic() >= end {
		c.keep = false
	}
}

// Whole returns the body if all of it has arrived with the head. What is there
// of a chunked body is decoded now, so that bad framing is noticed before
// anything is sent upstream.
func (c *Conn) Whole() ([]byte, bool, error) {
	if c.bodyDone {
		return nil, true, nil
	}
	if c.kind == httpmsg.BodyChunked {
		return c.wholeChunked()
	}
	if c.left > int64(c.w-c.r) {
		return nil, false, nil
	}
	body := c.buf.B[c.r : c.r+int(c.left)]
	c.r += int(c.left)
	c.left, c.bodyDone = 0, true
	c.progress.Store(bodyEnded)
	return body, true, nil
}

// wholeChunked moves the data of the chunks together, in the buffer where they
// are. If the body goes on after that, ReadBody begins with what was decoded.
func (c *Conn) wholeChunked() ([]byte, bool, error) {
	start, end := c.r, c.r
	for !c.bodyDone && c.r < c.w {
		data, n, done, err := c.nextChunk()
		if err != nil {
			return nil, false, c.breakBody(err)
		}
		end += copy(c.buf.B[end:], data)
		c.r += n
		c.bodyDone = done
		if n == 0 {
			break
		}
	}
	body := c.buf.B[start:end]
	if !c.bodyDone {
		c.early = body
		return nil, false, nil
	}
	c.progress.Store(bodyEnded)
	return body, true, nil
}

// nextChunk decodes what is buffered. A chunk that will pass the limit of the
// body is refused when its size is known.
func (c *Conn) nextChunk() (data []byte, n int, done bool, err error) {
	data, n, done, err = c.chunks.Next(c.buf.B[c.r:c.w], &c.x.Req.Trailer)
	c.decoded += int64(len(data))
	if limit := c.x.BodyLimit(); limit > 0 && err == nil && c.decoded+c.chunks.Announced() > limit {
		return nil, n, false, pipeline.ErrBodyTooLarge
	}
	return data, n, done, err
}

// breakBody notes that the end of the body cannot be found any more.
func (c *Conn) breakBody(err error) error {
	c.progress.Store(bodyBroken)
	return err
}

// BindBody says which task calls ReadBody.
func (c *Conn) BindBody(t *loop.Task) { c.nc.BindRead(t) }

// BeginBody notes that the body is being read, before its reader runs: the
// response may be faster.
func (c *Conn) BeginBody() { c.progress.CompareAndSwap(bodyUnread, bodyBegun) }

// ReadBody returns the next piece of the body.
func (c *Conn) ReadBody() ([]byte, error) {
	c.BeginBody()
	for {
		if c.bodyDone {
			c.progress.Store(bodyEnded)
			return nil, io.EOF
		}
		if early := c.early; len(early) > 0 {
			c.early = nil
			return early, nil
		}
		piece, err := c.takeBody()
		if err != nil {
			return nil, c.breakBody(err)
		}
		if len(piece) > 0 || err != nil {
			if err == nil && c.bodyDone {
				c.progress.Store(bodyEnded)
				err = io.EOF
			}
			return piece, err
		}
		if c.bodyDone {
			continue
		}
		if err := c.readBodyBytes(); err != nil {
			return nil, c.breakBody(err)
		}
	}
}

// takeBody decodes what is buffered.
func (c *Conn) takeBody() ([]byte, error) {
	for c.r < c.w {
		if c.kind == httpmsg.BodyLength {
			piece := c.buf.B[c.r:min(int64(c.w), int64(c.r)+c.left)]
			c.r += len(piece)
			c.left -= int64(len(piece))
			c.bodyDone = c.left == 0
			return piece, nil
		}
		data, n, done, err := c.nextChunk()
		c.r += n
		c.bodyDone = done
		if err != nil || done || len(data) > 0 {
			return data, err
		}
		if n == 0 {
			return nil, nil
		}
	}
	return nil, nil
}

// readBodyBytes reads more of the body, into a buffer of its own: the head stays where it is.
func (c *Conn) readBodyBytes() error {
	if c.head == nil {
		size := bodyRead
		if c.left > bodyRead {
			size = largeRead
		}
		own := bufpool.Get(size)
		c.w = copy(own.B, c.buf.B[c.r:c.w])
		c.r = 0
		c.head, c.buf = c.buf, own
	} else {
		c.makeRoom(largeRead)
	}
	c.nc.SetReadBy(earliest(deadline(c.lst.IR.Client.BodyIdleTimeout), c.bodyBy))
	c.nc.SetWatch((*stopper)(c))
	if c.stop.Load() {
		return netx.ErrWatchGone
	}
	n, err := c.nc.Read(c.buf.B[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// stopper ends reads of the body when the exchange no longer wants them.
type stopper Conn

func (s *stopper) Gone() bool { return (*Conn)(s).stop.Load() }

// StopBody makes a blocked ReadBody return. The connection ends with this exchange,
// unless all of the body was read: then the client may have been told that it goes on.
func (c *Conn) StopBody() {
	if c.progress.Load() == bodyEnded {
		return
	}
	c.stop.Store(true)
	c.nc.Interrupt()
}

// drain reads what is left of a body that nobody wanted, if it is short.
func (c *Conn) drain() bool {
	if c.stop.Load() {
		return false
	}
	for n := 0; n < drainLimit; {
		piece, err := c.ReadBody()
		n += len(piece)
		if err != nil {
			return err == io.EOF
		}
	}
	return false
}

// linger lets the client read the response before the connection is closed: a
// close with unread bytes would reset it (RFC 9112 §9.6).
func (c *Conn) linger() {
	const (
		patience = 2 * time.Second
		most     = 256 << 10
	)
	if c.bodyDone && c.r == c.w {
		return
	}
	if c.nc.CloseWrite() != nil {
		return
	}
	if c.buf == nil {
		c.buf = bufpool.Get(firstRead)
	}
	c.nc.SetReadBy(deadline(patience))
	c.nc.SetWatch(nil) // the body's, which would have reading stop
	// What comes is of no use, and below TLS it can be read even if a read of
	// the body was interrupted, which crypto/tls does not get over.
	below := c.nc.Plain()
	for n := 0; n < most; {
		m, err := below.Read(c.buf.B)
		if err != nil {
			return
		}
		n += m
	}
}

// deadline is d from now, or zero for no limit.
func deadline(d time.Duration) int64 {
	if d == 0 {
		return 0
	}
	return netx.Monotonic() + int64(d)
}

// earliest of two deadlines, where zero is none.
func earliest(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
