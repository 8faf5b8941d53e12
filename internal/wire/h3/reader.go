package h3

import (
	"errors"
	"io"

	"github.com/gridway/gridway/internal/wire/bufpool"
)

// Reader reads the frames of one stream. It takes a buffer from the pool when
// there is something to read, and gives it back when Release is called.
type Reader struct {
	src io.Reader
	buf *bufpool.Buf
	// b is what was read and not used.
	b []byte
	// left is what is missing of the present frame's payload.
	left uint64
	// unwanted: that is to be passed over.
	unwanted bool
	// idle counts what has come that carries nothing, since something did.
	idle int
	err  error
}

const (
	// readSize is how much is read at a time.
	readSize = 4 << 10
	// maxIdle bounds frames that carry nothing: empty ones, and unknown ones, which
	// count a further time for each KiB.
	maxIdle = 256
	// maxPriority is longer than any priority that is meant.
	maxPriority = 256
)

// Reset readies the reader for a stream.
func (r *Reader) Reset(src io.Reader) {
	r.Release()
	*r = Reader{src: src}
}

// Release gives the buffer back. What was returned from it may not be used any more.
func (r *Reader) Release() {
	if r.buf != nil {
		r.buf.Release()
		r.buf, r.b = nil, nil
	}
}

// Pending tells whether something was read that was not used yet.
func (r *Reader) Pending() bool { return len(r.b) > 0 }

// Ended tells whether the stream is known to end with what was read.
func (r *Reader) Ended() bool { return r.err == io.EOF }

// Await waits until there is something to read; ended says that there will be
// nothing.
func (r *Reader) Await() (ended bool, err error) {
	if len(r.b) > 0 {
		return false, nil
	}
	if err = r.fill(); err == io.EOF {
		return true, nil
	}
	return false, err
}

// fill reads more behind b.
func (r *Reader) fill() error {
	if r.err != nil {
		return r.err
	}
	if r.buf == nil {
		r.buf = bufpool.Get(readSize)
		r.b = r.buf.B[:0]
	}
	if len(r.b) == 0 {
		r.b = r.buf.B[:0]
	} else if cap(r.b) == len(r.b) {
		r.b = r.buf.B[:copy(r.buf.B, r.b)]
	}
	n, err := r.src.Read(r.b[len(r.b):cap(r.b)])
	r.b = r.b[:len(r.b)+n]
	if err == io.EOF { // others, such as a deadline, may pass
		r.err = err
	}
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// Varint reads an integer. At the end of the stream it is io.EOF before its first
// byte, and io.ErrUnexpectedEOF later.
func (r *Reader) Varint() (uint64, error) {
	for {
		if v, n := ReadVarint(r.b); n > 0 {
			r.b = r.b[n:]
			return v, nil
		}
		if err := r.fill(); err != nil {
			if err == io.EOF && len(r.b) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
}

// Next goes to the next frame that has a meaning, passing over unknown ones and
// over what was left of the present one. At the end of the stream between two
// frames it is io.EOF.
func (r *Reader) Next() (t FrameType, length uint64, err error) {
	for {
		if err := r.skip(); err != nil {
			return 0, 0, err
		}
		t, length, err := r.header()
		if err == io.EOF {
			return 0, 0, io.EOF
		}
		if err != nil {
			return 0, 0, cutOff(err)
		}
		r.left, r.unwanted = length, !t.known() && t != FramePriorityUpdate
		switch {
		case t == FramePriorityUpdate && length <= maxPriority:
		case length == 0 || !t.known():
			if r.idle += 1 + int(min(length>>10, maxIdle)); r.idle > maxIdle {
				return 0, 0, errFlood
			}
		default:
			r.idle = 0
		}
		if t.known() || t == FramePriorityUpdate {
			return t, length, nil
		}
	}
}

// header reads the beginning of a frame: all of it or nothing, so that it is still
// there after a deadline.
func (r *Reader) header() (FrameType, uint64, error) {
	for {
		if t, n := ReadVarint(r.b); n > 0 {
			if length, m := ReadVarint(r.b[n:]); m > 0 {
				r.b = r.b[n+m:]
				return FrameType(t), length, nil
			}
		}
		if err := r.fill(); err != nil {
			if err == io.EOF && len(r.b) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return 0, 0, err
		}
	}
}

// skip passes over the rest of the payload.
func (r *Reader) skip() error {
	for r.left > 0 {
		if len(r.b) == 0 {
			if err := r.fill(); err != nil {
				return cutOff(err)
			}
		}
		n := min(r.left, uint64(len(r.b)))
		r.b = r.b[n:]
		r.left -= n
	}
	return nil
}

// Left is what is missing of the present frame's payload.
func (r *Reader) Left() uint64 {
	if r.unwanted {
		return 0
	}
	return r.left
}

// Drop passes over the rest of the present frame's payload.
func (r *Reader) Drop() { r.unwanted = true }

// Piece returns the next piece of the present frame's payload, which is not at its
// end. It is valid until the next call. Long payloads are read to into, if that is
// longer than what the reader has for itself.
func (r *Reader) Piece(into []byte) ([]byte, error) {
	if len(r.b) == 0 {
		if r.err != nil {
			return nil, cutOff(r.err)
		}
		if len(into) > readSize && r.left > readSize {
			n, err := r.src.Read(into[:min(uint64(len(into)), r.left)])
			r.left -= uint64(n)
			if err == io.EOF {
				r.err = err
			}
			if n == 0 {
				return nil, cutOff(err)
			}
			return into[:n], nil
		}
		if err := r.fill(); err != nil {
			return nil, cutOff(err)
		}
	}
	n := min(r.left, uint64(len(r.b)))
	piece := r.b[:n:n]
	r.b = r.b[n:]
	r.left -= n
	return piece, nil
}

// Payload returns all of the present frame's payload, which the caller has bounded.
// What does not fit the reader's buffer is in dst, as long as it has room.
func (r *Reader) Payload(dst []byte) ([]byte, error) {
	n := int(r.left)
	if n <= readSize {
		for len(r.b) < n {
			if len(r.b) > 0 && cap(r.b) < n { // to the front
				r.b = r.buf.B[:copy(r.buf.B, r.b)]
			}
			if err := r.fill(); err != nil {
				return nil, cutOff(err)
			}
		}
		p := r.b[:n:n]
		r.b, r.left = r.b[n:], 0
		return p, nil
	}
	dst = dst[:0]
	for r.left > 0 {
		piece, err := r.Piece(nil)
		if err != nil {
			return nil, err
		}
		dst = append(dst, piece...)
	}
	return dst, nil
}

// cutOff says what the end of a stream means in the middle of a frame (RFC 9114 §7.1).
func cutOff(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errFrameSize
	}
	return err
}
