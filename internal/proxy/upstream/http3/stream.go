package http3

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/h3"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// ResetError is a stream that the endpoint has ended.
type ResetError struct{ Code h3.Code }

func (e *ResetError) Error() string {
	return fmt.Sprintf("http3: the endpoint has reset the stream: %s", e.Code)
}

// brokenError is a connection that is over. It does not say that a time is, even
// if the endpoint's silence was the reason: that is not the exchange's.
type brokenError struct{ text string }

func (e *brokenError) Error() string { return "http3: the connection is over: " + e.text }

// errCut: this side has given the stream up.
var errCut = errors.New("http3: the stream was given up")

var errShut = errors.New("http3: the connection is being closed")

// Stream is one exchange on a connection to an endpoint. One task may send the
// request while another receives the response.
type Stream struct {
	c     *Conn
	late  bool // the connection was being closed as it began
	watch netx.Watcher
	netx.Ends

	mu          sync.Mutex   // guards what follows
	str         *quic.Stream // nil before Send
	cut         bool
	received    bool
	unprocessed bool
	sentAll     bool
	nudged      bool // the watch is to be asked

	method  httpmsg.Method
	r       h3.Reader
	body    h3.Body
	interim int
	into    *bufpool.Buf
	arena   httpmsg.Arena
	dst     *httpmsg.Response // where trailers go
	out     []byte
	tunnel  tunnel
}

// Open makes a stream of the connection for task t. The connection's owner has
// counted it. End gives it back.
func (c *Conn) Open(t *loop.Task) *Stream {
	s := &Stream{c: c}
	s.Bind(t)
	s.late = !c.begun(s)
	return s
}

// On is the connection that the stream is on.
func (s *Stream) On() *Conn { return s.c }

// End gives the stream back. What was not received of the response, or not sent
// of the request, is cancelled. Nobody may use the stream any more.
func (s *Stream) End() {
	if s.str != nil {
		if !s.sentAll {
			s.str.CancelWrite(quic.StreamErrorCode(h3.RequestCancelled))
		}
		if !s.body.Done() {
			s.str.CancelRead(quic.StreamErrorCode(h3.RequestCancelled))
		}
	}
	s.r.Release()
	s.into.Release()
	s.into = nil
	s.tunnel.Release()
	s.c.ended(s)
}

// Cut ends the stream at once: who sends or receives gets an error.
func (s *Stream) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = true
	if s.str != nil {
		reset(s.str)
	}
}

// unless ends a request of number id or a later one, which the endpoint has said that it
// does nothing with.
func (s *Stream) unless(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.str != nil && !s.received && uint64(s.str.StreamID()) >= id {
		reset(s.str)
	}
}

func reset(str *quic.Stream) {
	str.CancelWrite(quic.StreamErrorCode(h3.RequestCancelled))
	str.CancelRead(quic.StreamErrorCode(h3.RequestCancelled))
}

// Send opens the stream with the request's head and the first piece of its body.
// end says that piece is all of it.
func (s *Stream) Send(req *httpmsg.Request, piece []byte, end bool) error {
	s.Writer.Detach()
	if s.late {
		return errShut
	}
	if len(req.Upgrade) > 0 { // a tunnel goes on after the head
		if err := s.awaitConsent(); err != nil {
			return err
		}
		end = false
	}
	ctx := s.c.q.Context()
	if s.WriteBy != 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(s.WriteBy-loop.Now()))
		defer cancel()
	}
	str, err := s.c.q.OpenStreamSync(ctx)
	s.mu.Lock()
	switch {
	case err != nil:
		s.unprocessed = true // nothing was sent
		s.mu.Unlock()
		return s.explain(err)
	case s.cut:
		s.mu.Unlock()
		reset(str)
		return errCut
	case s.c.unseen(uint64(str.StreamID())):
		s.unprocessed = true // it was opened as the endpoint said so
		s.mu.Unlock()
		reset(str)
		return errCut
	}
	s.str = str
	s.mu.Unlock()
	if s.method = req.MethodID; len(req.Upgrade) > 0 {
		s.method = httpmsg.MethodConnect
	}
	s.r.Reset(str)
	s.out = h3.EndHeaders(h3.AppendRequest(h3.BeginHeaders(s.out[:0]), req), 0)
	var trailer *httpmsg.Header
	if end && req.Trailer.Len() > 0 {
		trailer = &req.Trailer
	}
	return s.send(piece, end, trailer)
}

// SendBody sends a further piece of the body; end closes it, with a trailer if
// there is one.
func (s *Stream) SendBody(piece []byte, end bool, trailer *httpmsg.Header) error {
	s.Writer.Detach()
	s.out = s.out[:0]
	return s.send(piece, end, trailer)
}

// copied is how long a piece is at most that is sent together with what stands
// before it.
const copied = 4 << 10

// send sends what is in out, and a piece.
func (s *Stream) send(piece []byte, end bool, trailer *httpmsg.Header) error {
	if len(piece) > 0 {
		s.out = h3.AppendFrameHeader(s.out, h3.FrameData, len(piece))
		if len(piece) <= copied {
			s.out = append(s.out, piece...)
			piece = nil
		}
	}
	if len(piece) > 0 {
		if err := s.write(s.out); err != nil {
			return err
		}
		if err := s.write(piece); err != nil {
			return err
		}
		s.out = s.out[:0]
	}
	if trailer != nil {
		start := len(s.out)
		s.out = h3.EndHeaders(h3.AppendTrailer(h3.BeginHeaders(s.out), trailer), start)
	}
	if err := s.write(s.out); err != nil || !end {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut {
		return errCut
	}
	s.sentAll = true
	return s.str.Close()
}

func (s *Stream) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_ = s.str.SetWriteDeadline(netx.WallClock(s.WriteBy))
	_, err := s.str.Write(b)
	return s.explain(err)
}

// explain says what an error of the library means.
func (s *Stream) explain(err error) error {
	var reset *quic.StreamError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded) && s.c.q.Context().Err() == nil:
		return os.ErrDeadlineExceeded
	case errors.As(err, &reset):
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.cut || !reset.Remote {
			return errCut
		}
		code := h3.Code(reset.ErrorCode)
		if code == h3.RequestRejected && !s.received {
			s.unprocessed = true
			s.c.rejected()
		}
		return &ResetError{code}
	}
	if bad, ok := h3.AsError(err); ok {
		if bad.Conn {
			s.c.fail(bad)
		}
		return bad
	}
	return &brokenError{err.Error()}
}

// explainRead is explain for reads, which a nudge may have ended.
func (s *Stream) explainRead(err error) error {
	err = s.explain(err)
	if err != os.ErrDeadlineExceeded {
		return err
	}
	s.mu.Lock()
	nudged := s.nudged
	s.mu.Unlock()
	if nudged && s.watch != nil && s.watch.Gone() {
		return netx.ErrWatchGone
	}
	return err
}

// Unprocessed tells, after a failure, whether the endpoint has promised that it did
// nothing with the request, which may then be sent again (RFC 9114 §4.1.1, §5.2).
func (s *Stream) Unprocessed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.late || s.unprocessed || s.str != nil && !s.received && s.c.unseen(uint64(s.str.StreamID()))
}

// Received tells whether anything of a response has arrived.
func (s *Stream) Received() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received
}

// Reusable tells whether the exchange has come to its end on both sides.
func (s *Stream) Reusable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sentAll && s.body.Done()
}

// Conn is nil: the connection is not the exchange's own.
func (s *Stream) Conn() *netx.Conn { return nil }

// SetWatch lets w be asked, about every 100 ms while the response is waited for,
// whether that still has a point. An Awaiter may nudge the stream to be asked at once.
func (s *Stream) SetWatch(w netx.Watcher) {
	s.watch = w
	if a, ok := w.(netx.Awaiter); ok {
		a.Awaiting(s)
	}
}

// Nudge implements netx.Nudger.
func (s *Stream) Nudge() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nudged = true
	if s.str != nil {
		_ = s.str.SetReadDeadline(time.Now())
	}
}

// arm sets the deadline of the next read; where somebody has nudged the stream
// meanwhile, the watch is asked instead, and what it says returned.
func (s *Stream) arm(by int64) (gone bool) {
	s.mu.Lock()
	nudged := s.nudged
	s.nudged = false
	_ = s.str.SetReadDeadline(netx.WallClock(by))
	s.mu.Unlock()
	return nudged && s.watch != nil && s.watch.Gone()
}

// Rebind tells where trailers go after the response was moved to resp.
func (s *Stream) Rebind(resp *httpmsg.Response) { s.dst = resp }

// Buffered tells whether ReadBody need not wait.
func (s *Stream) Buffered() bool { return s.r.Pending() || s.r.Ended() || s.body.Done() }

// Ended tells whether the whole response was read.
func (s *Stream) Ended() bool { return s.body.Done() }
