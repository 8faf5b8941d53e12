package http1

import (
	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/h1"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Send writes the request's head and the first piece of its body in one system
// call where they fit. end says that piece is all of the body; a short request
// that is whole is written by ReadHead.
func (s *Stream) Send(req *httpmsg.Request, piece []byte, end bool) error {
	s.method = req.MethodID
	s.chunked = req.Body == httpmsg.BodyChunked
	s.requestTrailer = nil
	if req.Trailer.Len() > 0 {
		s.requestTrailer = &req.Trailer
	}
	if s.out == nil {
		s.out = bufpool.Get(headBuffer)
	}
	head := h1.AppendRequest(s.out.B[:0], req)
	switch {
	case len(piece) == 0 && (!end || !s.chunked):
		return s.start(head, end)
	case len(head)+len(piece)+chunkOverhead <= cap(head):
		return s.start(s.appendPiece(head, piece, end), end)
	case s.chunked:
		if err := s.write(head, false); err != nil {
			return err
		}
		return s.SendBody(piece, end, s.requestTrailer)
	}
	if _, err := s.conn.Writev(head, piece); err != nil {
		return err
	}
	s.sentAll = end
	return nil
}

// SendBody writes a further piece of the body; end closes it, with a trailer if
// the body is chunked and there is one.
func (s *Stream) SendBody(piece []byte, end bool, trailer *httpmsg.Header) error {
	if !s.chunked {
		if len(piece) == 0 {
			s.sentAll = s.sentAll || end
			return nil
		}
		return s.write(piece, end)
	}
	if cap(s.out.B) < readBuffer && len(piece)+chunkOverhead > cap(s.out.B) {
		s.out.Release()
		s.out = bufpool.Get(readBuffer)
	}
	for room := cap(s.out.B) - chunkOverhead; len(piece) > room; piece = piece[room:] {
		if err := s.write(s.appendPiece(s.out.B[:0], piece[:room], false), false); err != nil {
			return err
		}
	}
	b := s.out.B[:0]
	if len(piece) > 0 {
		b = s.appendPiece(b, piece, false)
	}
	if end {
		b = h1.AppendLastChunk(b, trailer)
	}
	if len(b) == 0 {
		return nil
	}
	return s.write(b, end)
}

// appendPiece appends piece with the framing of the request's body.
func (s *Stream) appendPiece(dst, piece []byte, end bool) []byte {
	if !s.chunked {
		return append(dst, piece...)
	}
	if len(piece) > 0 {
		dst = h1.AppendChunkSize(dst, len(piece))
		dst = append(dst, piece...)
		dst = append(dst, '\r', '\n')
	}
	if end {
		dst = h1.AppendLastChunk(dst, s.requestTrailer)
	}
	return dst
}

func (s *Stream) start(b []byte, end bool) error {
	if end {
		s.unsent = b
		return nil
	}
	return s.write(b, false)
}

func (s *Stream) write(b []byte, end bool) error {
	if _, err := s.conn.Write(b); err != nil {
		return err
	}
	if end {
		s.sentAll = true
	}
	return nil
}
