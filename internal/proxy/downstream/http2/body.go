package http2

import (
	"io"

	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// Whole returns the body if all of it has come, in one piece.
func (s *stream) Whole() ([]byte, bool, error) {
	s.c.link.Lock()
	defer s.c.link.Unlock()
	switch {
	case s.inErr != nil, !s.inEnd, s.in.Pieces() > 1, s.trailer.Len() > 0:
		return nil, false, nil
	}
	body := s.in.Take()
	s.c.link.H2.Consume(s.s, len(body))
	return body, true, nil
}

// BindBody says who calls ReadBody.
func (s *stream) BindBody(t *loop.Task) { s.BindRead(t) }

// BeginBody has nothing to prepare: what comes is kept for whoever reads it.
func (s *stream) BeginBody() {}

// ReadBody returns the next piece. What it has returned before lets the client
// send as much again.
func (s *stream) ReadBody() ([]byte, error) {
	l := &s.c.link
	l.Lock()
	defer l.Unlock()
	if n := s.in.Taken(); n > 0 {
		l.H2.Consume(s.s, n)
		s.in.Give()
		l.Flush(s.Reader)
	}
	since := int64(0)
	for {
		switch {
		case s.inErr != nil:
			return nil, s.inErr
		case !s.in.Empty():
			piece := s.in.Take()
			if s.inEnd && s.in.Empty() {
				return piece, s.endBody()
			}
			return piece, nil
		case s.inEnd:
			return nil, s.endBody()
		case s.stopped:
			return nil, netx.ErrWatchGone
		case s.interrupted:
			s.interrupted = false
			return nil, netx.ErrInterrupted
		}
		if since == 0 {
			since = loop.Now()
		}
		by := s.readBy(since)
		l.Unlock()
		err := s.arrived.Wait(s.Reader, by)
		l.Lock()
		if err != nil && !s.tunnelled {
			if later := s.readBy(since); later == 0 || later > loop.Now() {
				continue
			}
		}
		if err != nil && s.tunnelled {
			if s.in.Empty() && !s.inEnd && s.inErr == nil {
				return nil, err
			}
			continue
		}
		if err != nil && s.in.Empty() && !s.inEnd && s.inErr == nil {
			s.inErr = err
		}
	}
}

// endBody hands the trailer over, at the end of the body.
func (s *stream) endBody() error {
	for i := range s.trailer.Len() {
		f := s.trailer.At(i)
		s.x.Req.Trailer.AddField(f.Name, f.Value, f.ID)
	}
	s.trailer.Reset()
	return io.EOF
}

// readBy is until when the next piece may be waited for, since a time.
func (s *stream) readBy(since int64) int64 {
	if s.tunnelled {
		return s.ReadBy
	}
	by := s.bodyBy
	if t := s.x.BodyBy(since); t != 0 && (by == 0 || t < by) {
		by = t
	}
	return by
}

// StopBody makes a ReadBody that waits return, for good.
func (s *stream) StopBody() {
	s.c.link.Lock()
	s.stopped = true
	s.arrived.Open()
	s.c.link.Unlock()
}
