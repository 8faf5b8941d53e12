package http2

import (
	"os"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Send opens the stream with the request's head and the first piece of its
// body. end says that piece is all of it.
func (s *Stream) Send(req *httpmsg.Request, piece []byte, end bool) error {
	l := &s.c.link
	l.Lock()
	defer l.Unlock()
	if l.Over() {
		s.unprocessed = true
		s.fail(errCut)
		return errCut
	}
	if len(req.Upgrade) > 0 && !httpmsg.EqualFold(req.Upgrade, "websocket") {
		// HTTP/2 knows no other, and a server may ignore what it is offered (RFC 9110 §7.8).
		offered := req.Upgrade
		req.Upgrade = nil
		defer func() { req.Upgrade = offered }()
	}
	if len(req.Upgrade) > 0 { // a tunnel goes on after the head
		if err := s.awaitConsent(); err != nil {
			s.fail(err)
			return err
		}
		end = false
	}
	trailer := end && req.Trailer.Len() > 0
	whole := end && len(piece) == 0 && !trailer
	hs, err := l.H2.Open(req, whole, &s.resp, &s.arena)
	if err != nil {
		s.unprocessed = true // nothing was sent
		s.fail(err)
		return err
	}
	hs.User = s
	s.s = hs
	s.c.open++
	s.c.begun++
	if limit := s.c.opts.Requests; limit > 0 && s.c.begun >= limit {
		l.H2.Leave()
	}
	if whole {
		s.sentAll = true
		l.Flush(s.Writer)
		return nil
	}
	if len(piece) == 0 && !end {
		l.Flush(s.Writer)
		return nil
	}
	if trailer {
		return s.send(piece, true, &req.Trailer)
	}
	return s.send(piece, end, nil)
}

// SendBody sends a further piece of the body, waiting until all of it was
// taken; end closes it, with a trailer if there is one.
func (s *Stream) SendBody(piece []byte, end bool, trailer *httpmsg.Header) error {
	s.c.link.Lock()
	defer s.c.link.Unlock()
	if len(piece) == 0 && !end {
		return nil
	}
	return s.send(piece, end, trailer)
}

// send is SendBody with the lock held.
func (s *Stream) send(piece []byte, end bool, trailer *httpmsg.Header) error {
	l := &s.c.link
	s.out, s.outEnd = piece, end && trailer == nil
	if len(piece) > 0 || s.outEnd {
		s.push()
	}
	if err := s.drain(); err != nil {
		return err
	}
	if end && trailer != nil {
		if err := l.H2.SendTrailer(s.s, trailer); err != nil {
			return err
		}
	}
	s.sentAll = end
	l.Flush(s.Writer)
	return nil
}

// drain waits until the piece was taken.
func (s *Stream) drain() error {
	l := &s.c.link
	for len(s.out) > 0 && s.outErr == nil {
		l.Flush(s.Writer)
		if len(s.out) == 0 {
			break
		}
		l.Unlock()
		err := s.took.Wait(s.Writer, s.WriteBy)
		l.Lock()
		if err != nil && len(s.out) > 0 {
			// What is left is not sent, nor an end that would make the rest look whole.
			s.out, s.outErr = nil, os.ErrDeadlineExceeded
			return s.outErr
		}
	}
	return s.outErr
}

// push sends what may go of the piece that waits. The lock is held.
func (s *Stream) push() {
	if s.s == nil || s.outErr != nil {
		s.out = nil
		return
	}
	n, err := s.c.link.H2.SendData(s.s, s.out, s.outEnd)
	s.out = s.out[n:]
	if err != nil {
		s.out, s.outErr = nil, err
	}
	if len(s.out) == 0 {
		s.took.Open()
	}
}
