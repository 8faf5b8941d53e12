package http2

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/proxy/link"
	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// maxInterims is how many interim responses wait to be asked for. Those that come
// beyond that are left out.
const maxInterims = 8

// ResetError is a stream that the endpoint has ended.
type ResetError struct{ Code h2.ErrCode }

func (e *ResetError) Error() string {
	return fmt.Sprintf("http2: the endpoint has reset the stream: %s", e.Code)
}

// errCut: this side has given the stream up.
var errCut = errors.New("http2: the stream was given up")

// Stream is one exchange on a connection to an endpoint. One task may send the
// request while another receives the response.
type Stream struct {
	c     *Conn
	s     *h2.Stream // nil before Send
	watch netx.Watcher
	netx.Ends

	// The link's lock guards what follows.

	// What was received.
	resp        httpmsg.Response // what has come and was not asked for yet
	hasHead     bool
	interims    []httpmsg.Response // those before it
	in          link.Inbox
	inEnd       bool
	inErr       error
	received    bool
	unprocessed bool
	trailer     httpmsg.Header
	arena       httpmsg.Arena
	arrived     loop.Gate
	nudged      atomic.Bool
	dst         *httpmsg.Response // where trailers go
	interrupted bool              // the ReadBody that waits is to return

	// What is sent.
	out     []byte
	outEnd  bool // the request ends with it
	outErr  error
	sentAll bool
	took    loop.Gate
}

// streams keeps those that are not in use.
var streams = sync.Pool{New: func() any { return new(Stream) }}

// Open makes a stream of the connection for task t. The connection's owner has
// counted it. End gives it back.
func (c *Conn) Open(t *loop.Task) *Stream {
	s := streams.Get().(*Stream)
	s.c = c
	s.arrived.Init(c.Home())
	s.took.Init(c.Home())
	s.Bind(t)
	return s
}

// Link is the connection that the stream is on.
func (s *Stream) Link() *Conn { return s.c }

// End gives the stream back. What was not received of the response, or not
// sent of the request, is cancelled. Nobody may use the stream any more.
func (s *Stream) End() {
	c := s.c
	l := &c.link
	l.Lock()
	if s.s != nil {
		c.open--
		c.last = loop.Now()
		l.H2.Release(s.s)
		l.Flush(s.Reader)
	}
	s.in.Clear()
	l.Unlock()
	s.reset()
	streams.Put(s)
}

func (s *Stream) reset() {
	s.arrived.Rest()
	s.took.Rest()
	s.nudged.Store(false)
	s.resp.Reset()
	s.interims = s.interims[:0]
	s.trailer.Reset()
	s.arena.Reset()
	s.c, s.s, s.watch, s.Ends, s.dst = nil, nil, nil, netx.Ends{}, nil
	s.hasHead, s.inEnd, s.received, s.unprocessed, s.sentAll = false, false, false, false, false
	s.inErr, s.outErr, s.out, s.outEnd = nil, nil, nil, false
	s.interrupted = false
}

// Cut ends the stream at once: who sends or receives gets an error.
func (s *Stream) Cut() {
	l := &s.c.link
	l.Lock()
	if s.s != nil {
		l.H2.Reset(s.s, h2.Cancel)
	}
	s.fail(errCut)
	l.Flush(nil) // the caller may be anybody
	l.Unlock()
}

// fail ends both directions. The lock is held.
func (s *Stream) fail(err error) {
	if !s.inEnd && s.inErr == nil {
		s.inErr = err
	}
	if s.outErr == nil {
		s.outErr = err
	}
	s.out = nil
	s.arrived.Open()
	s.took.Open()
}

// event notes what the endpoint has sent. The lock is held.
func (s *Stream) event(ev *h2.Event) {
	s.received = true
	switch ev.Kind {
	case h2.EventResponse:
		s.hasHead = true
	case h2.EventInterim:
		if n := len(s.interims); n < maxInterims {
			s.interims = slices.Grow(s.interims, 1)[:n+1]
			s.resp, s.interims[n] = s.interims[n], s.resp
		}
	case h2.EventData:
		s.in.Put(ev.Data)
	case h2.EventTrailer:
		for i := range ev.Trailer.Len() {
			f := ev.Trailer.At(i)
			s.trailer.AddField(s.arena.Copy(f.Name), s.arena.Copy(f.Value), f.ID)
		}
	case h2.EventReset:
		var err error = &ResetError{ev.Code}
		if ev.Err != nil {
			err = ev.Err
		}
		if ev.Unprocessed || ev.Code == h2.RefusedStream {
			s.unprocessed = !s.hasHead
		}
		s.fail(err)
		return
	}
	s.inEnd = s.inEnd || ev.End
	s.arrived.Open()
}

// Unprocessed tells, after a failure, whether the endpoint has promised that it
// did nothing with the request, which may then be sent again (RFC 9113 §8.7).
func (s *Stream) Unprocessed() bool {
	s.c.link.Lock()
	defer s.c.link.Unlock()
	return s.unprocessed
}

// Received tells whether anything of a response has arrived.
func (s *Stream) Received() bool {
	s.c.link.Lock()
	defer s.c.link.Unlock()
	return s.received
}

// Reusable tells whether the exchange has come to its end on both sides.
func (s *Stream) Reusable() bool {
	s.c.link.Lock()
	defer s.c.link.Unlock()
	return s.inEnd && s.sentAll && s.in.Empty()
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

// Nudge lets who waits for the response ask its watcher. It may come late, when
// the stream is another exchange's, which then asks for nothing.
func (s *Stream) Nudge() {
	s.nudged.Store(true)
	s.arrived.Open()
}

// Rebind tells where trailers go after the response was moved to resp.
func (s *Stream) Rebind(resp *httpmsg.Response) { s.dst = resp }

// watchEvery is the time between two questions to a Watcher.
const watchEvery = int64(100 * time.Millisecond)

// await waits for something to arrive. The lock is not held while it waits.
func (s *Stream) await() error {
	by := s.ReadBy
	if s.watch != nil {
		if look := loop.Now() + watchEvery; by == 0 || look < by {
			by = look
		}
	}
	s.c.link.Unlock()
	err := s.arrived.Wait(s.Reader, by)
	gone := (err != nil || s.nudged.Swap(false)) && s.watch != nil && s.watch.Gone()
	s.c.link.Lock()
	switch {
	case err == nil && !gone:
		return nil
	case err != nil && s.ReadBy != 0 && loop.Now() >= s.ReadBy:
		return os.ErrDeadlineExceeded
	case gone:
		return netx.ErrWatchGone
	}
	return nil
}

// ReadHead waits for the next head, interim (1xx) or final, and moves it to
// resp. It is valid until End.
func (s *Stream) ReadHead(resp *httpmsg.Response) error {
	s.c.link.Lock()
	defer s.c.link.Unlock()
	for {
		switch {
		case len(s.interims) > 0:
			last := len(s.interims) - 1
			first := s.interims[0]
			copy(s.interims, s.interims[1:])
			s.interims[last], *resp = *resp, first
			s.interims = s.interims[:last]
			return nil
		case s.hasHead:
			s.hasHead = false
			*resp, s.resp = s.resp, *resp
			s.dst = resp
			return nil
		case s.inErr != nil:
			return s.inErr
		}
		if err := s.await(); err != nil {
			return err
		}
	}
}

// Buffered tells whether ReadBody need not wait.
func (s *Stream) Buffered() bool {
	s.c.link.Lock()
	defer s.c.link.Unlock()
	return !s.in.Empty() || s.inEnd
}

// Ended tells whether the whole response was read.
func (s *Stream) Ended() bool {
	s.c.link.Lock()
	defer s.c.link.Unlock()
	return s.inEnd && s.in.Empty()
}

// ReadBody returns the next piece of the response's body, valid until the next
// call, and io.EOF with or after the last one.
func (s *Stream) ReadBody() ([]byte, error) {
	l := &s.c.link
	l.Lock()
	defer l.Unlock()
	if n := s.in.Taken(); n > 0 {
		l.H2.Consume(s.s, n)
		s.in.Give()
		l.Flush(s.Reader)
	}
	for {
		switch {
		case !s.in.Empty():
			piece := s.in.Take()
			if s.inEnd && s.in.Empty() {
				return piece, s.endBody()
			}
			return piece, nil
		case s.inEnd:
			return nil, s.endBody()
		case s.inErr != nil:
			return nil, unexpected(s.inErr)
		case s.interrupted:
			s.interrupted = false
			return nil, netx.ErrInterrupted
		}
		if err := s.await(); err != nil {
			return nil, err
		}
	}
}

func (s *Stream) endBody() error {
	for i := range s.trailer.Len() {
		f := s.trailer.At(i)
		s.dst.Trailer.AddField(f.Name, f.Value, f.ID)
	}
	s.trailer.Reset()
	return io.EOF
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
