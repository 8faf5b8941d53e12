package http3

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/h3"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// watchEvery is the time between two questions to a Watcher.
const watchEvery = int64(100 * time.Millisecond)

// await waits until there is something to read, or the end.
func (s *Stream) await() error {
	for !s.r.Pending() && !s.r.Ended() {
		by := s.ReadBy
		if look := loop.Now() + watchEvery; s.watch != nil && (by == 0 || look < by) {
			by = look
		}
		s.Reader.Detach()
		if s.arm(by) {
			return netx.ErrWatchGone
		}
		_, err := s.r.Await()
		switch {
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return s.explain(err)
		case s.ReadBy != 0 && loop.Now() >= s.ReadBy:
			return os.ErrDeadlineExceeded
		case s.watch != nil && s.watch.Gone():
			return netx.ErrWatchGone
		}
	}
	s.mu.Lock()
	s.received = true
	s.mu.Unlock()
	return nil
}

// ReadHead waits for the next head, interim (1xx) or final. It is valid until End.
func (s *Stream) ReadHead(resp *httpmsg.Response) error {
	if s.str == nil {
		return errCut
	}
	if err := s.await(); err != nil {
		return err
	}
	s.Reader.Detach()
	if s.arm(s.ReadBy) {
		return netx.ErrWatchGone
	}
	length, err := h3.Head(&s.r)
	if err == io.EOF {
		err = h3.Incomplete()
	}
	if err != nil {
		return s.explainRead(err)
	}
	if length > uint64(s.c.lim.HeaderBytes) {
		return h3.TooLarge(new(httpmsg.Request))
	}
	buf := bufpool.Get(int(length))
	defer buf.Release()
	block, err := s.r.Payload(buf.B)
	if err != nil {
		return s.explainRead(err)
	}
	if bad := h3.DecodeResponse(block, &s.c.lim, s.method, resp, &s.arena); bad != nil {
		return s.explain(bad)
	}
	if resp.Status < 200 {
		if s.interim++; s.interim > h3.MaxInterim {
			return h3.TooManyInterim()
		}
		return nil
	}
	s.dst = resp
	length64 := resp.Length
	switch {
	case resp.Body == httpmsg.BodyNone:
		length64 = 0
	case resp.Body == httpmsg.BodyChunked && s.r.Ended() && !s.r.Pending():
		resp.Body, resp.Length = httpmsg.BodyLength, 0
	}
	s.body.Begin(length64, &s.c.lim)
	return nil
}

// ReadBody returns the next piece of the response's body, valid until the next
// call, and io.EOF with or after the last one.
func (s *Stream) ReadBody() ([]byte, error) {
	if s.body.Done() {
		return nil, io.EOF
	}
	if err := s.await(); err != nil {
		return nil, err
	}
	if s.into == nil && s.r.Left() > bufpool.Small {
		s.into = bufpool.Get(bufpool.Medium)
	}
	var into []byte
	if s.into != nil {
		into = s.into.B
	}
	s.Reader.Detach()
	if s.arm(s.ReadBy) {
		return nil, netx.ErrWatchGone
	}
	piece, err := s.body.Next(&s.r, into, &s.dst.Trailer, &s.arena)
	if err != nil && err != io.EOF {
		err = s.explainRead(err)
	}
	return piece, err
}
