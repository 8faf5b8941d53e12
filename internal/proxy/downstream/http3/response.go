package http3

import (
	"errors"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/h3"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// errReset: the client has given the stream up, or the connection is over.
var errReset = errors.New("http3: the client has reset the stream")

// errEnded: something was to be sent behind the response's end.
var errEnded = errors.New("http3: the response has ended")

// Inform sends an interim response at once.
func (s *stream) Inform(resp *httpmsg.Response) error {
	s.room(headSize(&resp.Header))
	s.head(func(b []byte) []byte { return h3.AppendResponse(b, resp) })
	return s.Flush()
}

// WriteHead starts the response.
func (s *stream) WriteHead(resp *httpmsg.Response) error {
	if s.closed.Load() || s.begun {
		return errEnded
	}
	s.begun = true
	s.bare = resp.Body == httpmsg.BodyNone || s.x.Req.MethodID == httpmsg.MethodHead
	s.room(headSize(&resp.Header))
	s.head(func(b []byte) []byte { return h3.AppendResponse(b, resp) })
	if s.reset() {
		return errReset
	}
	return nil
}

func headSize(h *httpmsg.Header) int {
	size := 256
	for i := range h.Len() {
		f := h.At(i)
		size += len(f.Name) + len(f.Value) + 8
	}
	return size
}

// head appends a HEADERS frame to what waits.
func (s *stream) head(fields func([]byte) []byte) {
	start := len(s.pending)
	s.pending = h3.EndHeaders(fields(h3.BeginHeaders(s.pending)), start)
}

// room readies the buffer for that much more.
func (s *stream) room(size int) {
	if s.out == nil {
		s.out = bufpool.Get(max(size, bufpool.Small))
		s.pending = s.out.B[:0]
	}
}

// smallPiece is what waits for more rather than be written by itself.
const smallPiece = 2 << 10

// WriteBody sends a piece; what is short waits for Flush, or for more.
func (s *stream) WriteBody(piece []byte) error {
	if s.bare || len(piece) == 0 {
		return nil
	}
	s.room(bufpool.Small)
	s.pending = h3.AppendFrameHeader(s.pending, h3.FrameData, len(piece))
	if len(piece) <= smallPiece && len(s.pending)+len(piece) <= cap(s.pending) {
		s.pending = append(s.pending, piece...)
		return nil
	}
	if err := s.Flush(); err != nil {
		return err
	}
	return s.write(piece)
}

// Flush sends what waits.
func (s *stream) Flush() error {
	if len(s.pending) == 0 {
		return nil
	}
	b := s.pending
	s.pending = s.out.B[:0]
	return s.write(b)
}

// mostWrite is how much the client has to take within its time for one.
const mostWrite = 16 << 10

func (s *stream) write(b []byte) error {
	for len(b) > 0 {
		if d := s.lst.IR.Client.BodyIdleTimeout; d > 0 {
			_ = s.str.SetWriteDeadline(time.Now().Add(d))
		}
		n, err := s.str.Write(b[:min(len(b), mostWrite)])
		b = b[n:]
		if err != nil {
			if s.reset() {
				return errReset
			}
			return err
		}
	}
	return nil
}

// End closes the response and flushes it.
func (s *stream) End(trailer *httpmsg.Header) error {
	if s.closed.Load() {
		return errEnded
	}
	if trailer != nil && trailer.Len() > 0 && !s.bare {
		s.room(headSize(trailer))
		s.head(func(b []byte) []byte { return h3.AppendTrailer(b, trailer) })
	}
	if err := s.Flush(); err != nil {
		return err
	}
	if s.reset() {
		return errReset
	}
	s.deafen()
	s.closed.Store(true)
	return s.str.Close()
}

// Abort resets the stream.
func (s *stream) Abort() { s.abort(h3.InternalError) }

func (s *stream) abort(code h3.Code) {
	s.deafen()
	s.closed.Store(true)
	s.str.CancelWrite(quic.StreamErrorCode(code))
	s.str.CancelRead(quic.StreamErrorCode(code))
	if !s.aborted.Swap(true) {
		s.lst.Metrics.HTTP3Reset(uint64(code), true)
	}
}
