package http3

import (
	"io"
	"time"

	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/h3"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// Whole returns the body if all of it has come, in one piece.
func (s *stream) Whole() ([]byte, bool, error) {
	body, ok, err := s.body.Whole(&s.r)
	s.ended = s.ended || ok
	return body, ok, err
}

// BindBody has nothing to do: who reads the body is always a goroutine.
func (s *stream) BindBody(*loop.Task) {}

// BeginBody has nothing to prepare: what comes is kept for whoever reads it.
func (s *stream) BeginBody() {}

// ReadBody returns the next piece.
func (s *stream) ReadBody() ([]byte, error) {
	since := netx.Monotonic()
	for {
		piece, err := s.nextPiece(since)
		if err == nil || err == io.EOF || !netx.IsTimeout(err) {
			return piece, err
		}
		if by := s.readBy(since); !by.IsZero() && !time.Now().Before(by) {
			return piece, err
		}
	}
}

func (s *stream) nextPiece(since int64) ([]byte, error) {
	if err := s.awaitUntil(s.readBy(since)); err != nil {
		return nil, err
	}
	if s.into == nil && s.r.Left() > bufpool.Small {
		s.into = bufpool.Get(bufpool.Medium)
	}
	var into []byte
	if s.into != nil {
		into = s.into.B
	}
	piece, err := s.body.Next(&s.r, into, &s.x.Req.Trailer, &s.arena)
	switch {
	case err == nil:
	case err == io.EOF:
		s.ended = true
	case s.wasStopped():
		return nil, netx.ErrWatchGone
	default:
		if bad, ok := h3.AsError(err); ok && bad.Conn {
			s.c.fail(bad)
		}
	}
	return piece, err
}

// readBy is until when the next piece may be waited for, since a time.
func (s *stream) readBy(since int64) time.Time {
	by := s.bodyBy
	if at := s.x.BodyBy(since); at != 0 {
		if t := time.Now().Add(time.Duration(at - netx.Monotonic())); by.IsZero() || t.Before(by) {
			by = t
		}
	}
	return by
}

// awaitUntil sets the deadline of a read, unless reads are to return at once.
func (s *stream) awaitUntil(by time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return netx.ErrWatchGone
	}
	return s.str.SetReadDeadline(by)
}

func (s *stream) wasStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

// StopBody makes a ReadBody that waits return, for good.
func (s *stream) StopBody() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	_ = s.str.SetReadDeadline(time.Now())
}
