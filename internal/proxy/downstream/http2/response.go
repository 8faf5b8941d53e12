package http2

import (
	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Inform sends an interim response at once.
func (s *stream) Inform(resp *httpmsg.Response) error {
	l := &s.c.link
	l.Lock()
	defer l.Unlock()
	if err := s.note(l.H2.SendResponse(s.s, resp, false)); err != nil {
		return err
	}
	l.Flush(s.Writer)
	return nil
}

// WriteHead starts the response.
func (s *stream) WriteHead(resp *httpmsg.Response) error {
	l := &s.c.link
	l.Lock()
	defer l.Unlock()
	s.bare = resp.Body == httpmsg.BodyNone || s.x.Req.MethodID == httpmsg.MethodHead
	return s.note(l.H2.SendResponse(s.s, resp, s.bare))
}

// WriteBody sends a piece, waiting until all of it was taken.
func (s *stream) WriteBody(piece []byte) error {
	l := &s.c.link
	l.Lock()
	defer l.Unlock()
	if s.bare || len(piece) == 0 {
		return s.note(nil)
	}
	s.out = piece
	if s.push(); s.err != nil {
		return s.note(s.err)
	}
	for len(s.out) > 0 && !s.gone.Load() {
		l.Flush(s.Writer)
		if len(s.out) == 0 {
			break
		}
		l.Unlock()
		err := s.took.Wait(s.Writer, s.WriteBy)
		l.Lock()
		if err != nil && len(s.out) > 0 {
			s.out = nil
			return s.note(err)
		}
	}
	return s.note(s.err)
}

// push sends what may go of the piece that waits. The lock is held.
func (s *stream) push() {
	n, err := s.c.link.H2.SendData(s.s, s.out, false)
	s.out = s.out[n:]
	if err != nil {
		s.out, s.err = nil, err
	}
	if len(s.out) == 0 {
		s.took.Open()
	}
}

// Flush sends what waits.
func (s *stream) Flush() error {
	l := &s.c.link
	l.Lock()
	defer l.Unlock()
	l.Flush(s.Writer)
	return s.note(nil)
}

// End closes the response and flushes it.
func (s *stream) End(trailer *httpmsg.Header) error {
	l := &s.c.link
	l.Lock()
	defer l.Unlock()
	if !s.s.LocalEnd() && !s.gone.Load() {
		if err := s.note(l.H2.SendTrailer(s.s, trailer)); err != nil {
			return err
		}
	}
	// The stream's end is flushed by finish, with what else there is.
	return s.note(nil)
}

// Abort resets the stream.
func (s *stream) Abort() { s.Reset(uint32(h2.InternalError)) }

// Reset is Abort with an error code.
func (s *stream) Reset(code uint32) {
	l := &s.c.link
	l.Lock()
	defer l.Unlock()
	l.H2.Reset(s.s, h2.ErrCode(code))
	l.Flush(s.Writer)
}

// note prefers the client's reason for an error.
func (s *stream) note(err error) error {
	if s.gone.Load() {
		return errReset
	}
	return err
}
