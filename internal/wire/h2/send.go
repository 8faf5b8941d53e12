package h2

import (
	"strconv"

	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// unsent are the fields that are made here, or that HTTP/2 does not have.
var unsent = httpmsg.MakeNameSet(
	httpmsg.NameHost, httpmsg.NameContentLength, httpmsg.NameTransferEncoding, httpmsg.NameConnection,
	httpmsg.NameKeepAlive, httpmsg.NameProxyConnection, httpmsg.NameUpgrade, httpmsg.NameHTTP2Settings,
)

var methodConnect = []byte("CONNECT")

// beginBlock makes room for a head, and starts it.
func (c *Conn) beginBlock(h *httpmsg.Header, extra int) (b []byte, start int) {
	size := 256 + extra
	for i := range h.Len() {
		f := h.At(i)
		size += len(f.Name) + len(f.Value) + 8
	}
	size += (size/minMaxFrame + 1) * FrameHeaderLen
	c.room(min(size, bufpool.Large))
	b = c.outBytes()
	start = len(b)
	return c.enc.Begin(BeginHeaders(b)), start
}

func (c *Conn) fields(b []byte, h *httpmsg.Header, upgrade bool) []byte {
	for i := range h.Len() {
		// RFC 8441 §5: an extended CONNECT has no key.
		if f := h.At(i); !unsent.Has(f.ID) && !(upgrade && f.ID == httpmsg.NameSecWebSocketKey) {
			b = c.enc.Field(b, f)
		}
	}
	return b
}

func (c *Conn) lengthField(b []byte, n int64) []byte {
	var digits [20]byte
	f := httpmsg.Field{ID: httpmsg.NameContentLength, Value: strconv.AppendInt(digits[:0], n, 10)}
	return c.enc.Field(b, &f)
}

func (c *Conn) endBlock(b []byte, start int, s *Stream, end bool) {
	c.setOut(EndHeaders(b, start, s.id, end))
	c.wrote(s, start)
}

func (c *Conn) writeRequest(s *Stream, r *httpmsg.Request, end bool) {
	b, start := c.beginBlock(&r.Header, len(r.Host)+len(r.Path)+len(r.Query))
	switch {
	case len(r.Upgrade) > 0: // RFC 8441 §4, for an HTTP/1.1 upgrade too
		b = c.enc.Method(b, methodConnect)
		b = c.enc.Protocol(b, r.Upgrade)
	default:
		b = c.enc.Method(b, r.Method)
	}
	if !s.connect || len(r.Upgrade) > 0 {
		scheme := r.Scheme
		if scheme == "" {
			scheme = "http"
		}
		b = c.enc.Scheme(b, scheme)
		if r.HasQuery {
			var at [512]byte
			b = c.enc.Path(b, r.AppendPathAndQuery(at[:0]))
		} else {
			b = c.enc.Path(b, r.Path)
		}
	}
	b = c.enc.Authority(b, r.Host)
	b = c.fields(b, &r.Header, len(r.Upgrade) > 0)
	if r.Body == httpmsg.BodyLength && !s.connect {
		b = c.lengthField(b, r.Length)
	}
	c.endBlock(b, start, s, end)
}

// SendResponse sends a response's head; with end it has no content. An interim
// response (1xx) may be sent before it, as often as needed.
func (c *Conn) SendResponse(s *Stream, r *httpmsg.Response, end bool) error {
	if s.localEnd || s.headSent {
		return ErrEnded
	}
	b, start := c.beginBlock(&r.Header, 0)
	b = c.enc.Status(b, r.Status)
	b = c.fields(b, &r.Header, false)
	switch {
	case r.Status < 200, r.Status == 204: // RFC 9110 §8.6
	case r.Body == httpmsg.BodyLength && !(s.connect && r.Status < 300):
		b = c.lengthField(b, r.Length)
	case r.Body == httpmsg.BodyNone && r.Header.Has(httpmsg.NameContentLength):
		// The answer to HEAD, or 304: what a GET would have had.
		b = c.enc.Field(b, &httpmsg.Field{ID: httpmsg.NameContentLength, Value: r.Header.Get(httpmsg.NameContentLength)})
	}
	interim := r.Status < 200
	c.endBlock(b, start, s, end && !interim)
	s.headSent = !interim
	if end && !interim {
		c.endLocal(s)
	}
	return nil
}

// SendTrailer ends the stream with a trailer section. All content must have been
// taken by SendData. Without fields it only ends the stream.
func (c *Conn) SendTrailer(s *Stream, h *httpmsg.Header) error {
	if s.localEnd || !s.headSent {
		return ErrEnded
	}
	if h == nil || h.Len() == 0 {
		if !c.endLast(s) {
			c.room(FrameHeaderLen)
			c.setOut(AppendData(c.outBytes(), s.id, nil, true))
		}
	} else {
		b, start := c.beginBlock(h, 0)
		b = c.fields(b, h, false)
		c.endBlock(b, start, s, true)
	}
	c.endLocal(s)
	return nil
}

// SendData sends content, as much as may go now, and returns how much that is.
// If it is less than all, the stream waits until Writable returns it; then the
// driver calls SendData with the rest. With end the stream ends after all of p.
func (c *Conn) SendData(s *Stream, p []byte, end bool) (n int, err error) {
	if s.localEnd || !s.headSent {
		return 0, ErrEnded
	}
	s.wants = false
	for {
		chunk := c.allowance(s, len(p)-n)
		if last := n+chunk == len(p); chunk > 0 || last && len(p) == 0 {
			c.room(FrameHeaderLen + chunk)
			from := c.outLen
			c.setOut(AppendData(c.outBytes(), s.id, p[n:n+chunk], end && last))
			c.wrote(s, from)
			n += chunk
			s.sendWindow -= int64(chunk)
			c.sendWindow -= int64(chunk)
			s.unread += int64(chunk)
			c.unread += int64(chunk)
			s.waitingFrom = 0
			c.controlBudget.earn(2)
			c.owedFrames.sent(chunk)
		}
		if n == len(p) {
			c.sched.remove(s)
			if end {
				c.endLocal(s)
			}
			return n, nil
		}
		// Who has sent a frame lets others have theirs.
		if chunk == 0 || c.sched.used != 0 {
			c.await(s)
			return n, nil
		}
	}
}

// allowance is how much of a stream may go into one frame now, at most want.
func (c *Conn) allowance(s *Stream, want int) int {
	if c.sched.used != 0 && !s.granted {
		return 0
	}
	s.granted = false
	room := outputLimit - FrameHeaderLen - c.outLen
	if room < min(want, minFrame) {
		return 0
	}
	n := min(s.sendWindow, c.sendWindow, minMaxFrame, int64(room), int64(want))
	if n <= 0 {
		return 0
	}
	return int(c.share(s, n))
}

// await makes a stream wait for its turn, and for the windows.
func (c *Conn) await(s *Stream) {
	s.wants = true
	c.timers.waits = true
	if c.timers.next == 0 || c.timers.next > c.now+stallLook {
		c.timers.next = c.now + stallLook
	}
	if s.sendWindow > 0 && !s.parked {
		c.sched.add(s)
	}
}

// Writable returns the stream that may send next, in the order of priorities,
// and nil if none can: call SendData for it, with all that it has. The driver
// asks after Next, and after what it has taken was written.
func (c *Conn) Writable() *Stream {
	if c.sendWindow <= 0 || c.outLen > outputLimit-FrameHeaderLen-minFrame {
		return nil
	}
	s := c.sched.take()
	if s != nil {
		s.granted = true
	}
	return s
}

// minFrame is what must fit into the output for a stream to have its turn:
// shorter frames would cost more than waiting.
const minFrame = 1 << 10
