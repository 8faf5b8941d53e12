package h3

import (
	"errors"
	"io"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Body reads a message's content and what follows it, after the head was taken
// from its Reader.
type Body struct {
	// Left is what is missing of the announced length; negative if none was
	// announced.
	Left int64
	// Limits are those of the trailer section.
	Limits *Limits
	done   bool
	tunnel bool
}

// Begin readies the body for a message with that length, or -1.
func (b *Body) Begin(length int64, lim *Limits) { *b = Body{Left: length, Limits: lim} }

// Connect says that the message's content is a tunnel, in which there is nothing
// but DATA (RFC 9114 §4.4). What Next has not returned when its source fails for
// a deadline is still there then.
func (b *Body) Connect() { b.Left, b.tunnel = -1, true }

// Done tells whether the message has ended.
func (b *Body) Done() bool { return b.done }

// Whole returns the content if all of it has come and is in one piece, with no
// trailer behind it. It is valid until the reader is released.
func (b *Body) Whole(r *Reader) (content []byte, ok bool, err error) {
	if b.done {
		return nil, true, nil
	}
	if !r.Ended() || r.Left() > 0 {
		return nil, false, nil
	}
	t, n := ReadVarint(r.b)
	length, m := ReadVarint(r.b[n:])
	if n == 0 || m == 0 || FrameType(t) != FrameData || length != uint64(len(r.b)-n-m) {
		return nil, false, nil
	}
	if b.Left >= 0 && uint64(b.Left) != length {
		return nil, false, errLengthMismatch
	}
	content, r.b = r.b[n+m:], nil
	b.done = true
	return content, true, nil
}

// Next returns the next piece, valid until the next call, and io.EOF after the
// last one; the trailer's fields are in trailer then, their bytes in the arena.
func (b *Body) Next(r *Reader, into []byte, trailer *httpmsg.Header, arena *httpmsg.Arena) ([]byte, error) {
	for {
		if b.done {
			return nil, io.EOF
		}
		if r.Left() > 0 {
			return b.piece(r, into)
		}
		t, length, err := r.Next()
		switch {
		case err == io.EOF:
			return nil, b.end()
		case err != nil:
			return nil, err
		case t == FrameData:
		case t == FrameHeaders && !b.tunnel:
			if err := b.trailer(r, length, trailer, arena); err != nil {
				return nil, err
			}
		case t == FramePriorityUpdate:
			r.Drop() // it is for the control stream, and here a frame of no known meaning
		default:
			return nil, errUnexpected
		}
	}
}

func (b *Body) piece(r *Reader, into []byte) ([]byte, error) {
	piece, err := r.Piece(into)
	if err != nil {
		return nil, err
	}
	if b.Left >= 0 {
		if int64(len(piece)) > b.Left {
			return nil, errLengthMismatch
		}
		b.Left -= int64(len(piece))
	}
	return piece, nil
}

func (b *Body) end() error {
	if b.Left > 0 {
		return errLengthMismatch
	}
	b.done = true
	return io.EOF
}

// trailer reads the trailer section, and that nothing follows it.
func (b *Body) trailer(r *Reader, length uint64, h *httpmsg.Header, arena *httpmsg.Arena) error {
	if length > uint64(b.Limits.HeaderBytes) {
		return errTrailer
	}
	block, err := r.Payload(nil)
	if err != nil {
		return err
	}
	if bad := DecodeTrailer(block, b.Limits, h, arena); bad != nil {
		return bad
	}
	for {
		switch t, _, err := r.Next(); {
		case err == io.EOF:
			if err := b.end(); err != io.EOF {
				return err
			}
			return nil
		case err != nil:
			return err
		case t != FramePriorityUpdate:
			return errUnexpected
		}
	}
}

// Head goes to the HEADERS frame that a message begins with, and returns its
// length. At the end of the stream it is io.EOF.
func Head(r *Reader) (length uint64, err error) {
	for {
		t, length, err := r.Next()
		switch {
		case err != nil:
			return 0, err
		case t == FrameHeaders:
			return length, nil
		case t != FramePriorityUpdate:
			return 0, errUnexpected
		}
	}
}

// ClosedControl is the error of a control stream that was reset.
func ClosedControl() *Error { return errClosedControl }

// Incomplete is the error of a stream that ends before its message does.
func Incomplete() *Error { return errIncomplete }

// AsError finds what the peer has done wrong.
func AsError(err error) (*Error, bool) {
	var e *Error
	return e, errors.As(err, &e)
}
