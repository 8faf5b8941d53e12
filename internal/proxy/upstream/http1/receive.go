package http1

import (
	"errors"
	"io"

	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/h1"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/netx"
)

// ReadHead reads the next head, interim (1xx) or final, into resp. The head's
// slices are valid until the second ReadBody, or the next ReadHead.
func (s *Stream) ReadHead(resp *httpmsg.Response) error {
	if s.r == s.w {
		if err := s.readHeadBytes(); err != nil {
			return err
		}
	}
	n, err := h1.ParseResponseHead(s.in.B[s.r:s.w], resp, s.method, &s.lim)
	if n == 0 && err == nil {
		if err = s.awaitHead(); err == nil {
			n, err = h1.ParseResponseHead(s.in.B[s.r:s.w], resp, s.method, &s.lim)
		}
	}
	if err != nil {
		return err
	}
	s.r += n
	if resp.Status >= 200 || resp.Status == 101 {
		s.kind, s.left, s.keep = resp.Body, resp.Length, resp.KeepAlive
		s.trailer = &resp.Trailer
		s.chunks.Reset()
		s.complete = s.kind == httpmsg.BodyNone || s.kind == httpmsg.BodyLength && s.left == 0
	}
	return nil
}

// awaitHead reads until the head is complete, or as long as one may be.
func (s *Stream) awaitHead() error {
	s.scan.Reset()
	for s.scan.HeadEnd(s.in.B[s.r:s.w]) < 0 {
		if s.w-s.r >= s.lim.HeaderBytes {
			return ErrResponseHeadTooLarge
		}
		if err := s.readHeadBytes(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stream) readHeadBytes() error {
	if s.in == nil {
		return s.await()
	}
	s.makeRoom()
	for {
		n, err := s.conn.Read(s.in.B[s.w:])
		if n > 0 {
			s.w += n
			return nil
		}
		if err == io.EOF {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
}

// await waits for the first bytes, without a buffer: an upstream may take its
// time. A request that waits to be written is written first.
func (s *Stream) await() (err error) {
	if s.unsent == nil {
		s.in, s.w, err = s.conn.ReadIdle(readBuffer)
	} else {
		request, from := s.unsent, s.out
		s.unsent, s.out, s.sentAll = nil, nil, true
		s.in, s.w, err = s.conn.Ask(request, from, readBuffer)
		if err != nil {
			err = s.answerAnyway(err)
		}
	}
	s.received = err == nil
	return err
}

// answerAnyway looks for the answer of a server that refuses a request early
// and closes, so that the rest of it cannot be written.
func (s *Stream) answerAnyway(err error) error {
	var w *netx.WriteError
	if !errors.As(err, &w) {
		return err
	}
	s.sentAll = false
	if netx.IsTimeout(err) {
		return err
	}
	var readErr error
	if s.in, s.w, readErr = s.conn.ReadIdle(readBuffer); readErr == nil || netx.IsTimeout(readErr) {
		return readErr
	}
	return err
}

// makeRoom lets the next read append at least one byte behind what is buffered.
func (s *Stream) makeRoom() {
	if s.r == s.w {
		s.r, s.w = 0, 0
		return
	}
	if s.w < len(s.in.B) {
		return
	}
	if s.r > 0 {
		s.w = copy(s.in.B, s.in.B[s.r:s.w])
		s.r = 0
		return
	}
	big := bufpool.Get(min(2*len(s.in.B), max(s.lim.HeaderBytes, largeBuffer)))
	s.w = copy(big.B, s.in.B[:s.w])
	s.in.Release()
	s.in = big
}

// Buffered tells whether ReadBody can return something without a system call.
func (s *Stream) Buffered() bool { return s.r < s.w }

// ReadBody returns the next piece of the response's body, valid until the next
// call, and io.EOF with or after the last one. A body cut short ends with
// io.ErrUnexpectedEOF.
func (s *Stream) ReadBody() ([]byte, error) {
	switch {
	case s.complete:
		return nil, io.EOF
	case s.kind == httpmsg.BodyChunked:
		return s.readChunked()
	}
	if s.r == s.w {
		if err := s.fill(); err != nil {
			if err == io.EOF && s.kind == httpmsg.BodyUntilClose {
				s.complete, s.keep = true, false
				return nil, io.EOF
			}
			return nil, unexpected(err)
		}
	}
	piece := s.in.B[s.r:s.w]
	if s.kind == httpmsg.BodyLength {
		if int64(len(piece)) > s.left {
			piece = piece[:s.left]
		}
		s.left -= int64(len(piece))
		s.complete = s.left == 0
	}
	s.r += len(piece)
	if s.complete {
		return piece, io.EOF
	}
	return piece, nil
}

func (s *Stream) readChunked() ([]byte, error) {
	for {
		if s.r < s.w {
			data, n, done, err := s.chunks.Next(s.in.B[s.r:s.w], s.trailer)
			s.r += n
			if err != nil {
				return nil, err
			}
			if done {
				s.complete = true
				return data, io.EOF
			}
			if len(data) > 0 {
				return data, nil
			}
			if n > 0 {
				continue
			}
		}
		s.makeRoom()
		if err := s.readMore(); err != nil {
			return nil, unexpected(err)
		}
	}
}

// fill reads into an empty buffer, a larger one when much is to come.
func (s *Stream) fill() error {
	s.r, s.w = 0, 0
	if s.left > readBuffer && len(s.in.B) < largeBuffer {
		s.in.Release()
		s.in = bufpool.Get(largeBuffer)
	}
	return s.readMore()
}

func (s *Stream) readMore() error {
	for {
		n, err := s.conn.Read(s.in.B[s.w:])
		s.w += n
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Splice moves up to max bytes of a body of known length to dst without passing
// them through this process, where both ends allow. It does nothing and returns
// zero while bytes are buffered, for other kinds of body, and near the end.
func (s *Stream) Splice(dst *netx.Conn, max int64) (int64, error) {
	if s.kind != httpmsg.BodyLength || s.r != s.w || s.left == 0 {
		return 0, nil
	}
	n, err := s.conn.SpliceSome(dst, min(s.left, max))
	s.left -= n
	s.complete = s.left == 0
	return n, unexpected(err)
}

// Ended tells whether the whole response was read.
func (s *Stream) Ended() bool { return s.complete }

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Rest returns what was read behind the head of a 101 response.
func (s *Stream) Rest() []byte {
	if s.in == nil {
		return nil
	}
	b := s.in.B[s.r:s.w]
	s.r = s.w
	return b
}

// Rebind tells where trailers go after the response was moved to resp.
func (s *Stream) Rebind(resp *httpmsg.Response) { s.trailer = &resp.Trailer }
