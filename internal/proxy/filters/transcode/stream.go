package transcode

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// writer writes messages in one of the forms.
type writer struct {
	c     *call
	begun bool
	out   []byte
}

// message writes one.
func (w *writer) message(in []byte) error {
	body, _, err := w.c.schema.Response(w.c.match.Binding, &w.c.t.json, in)
	if err != nil {
		return err
	}
	if w.c.match.RawResponse() {
		w.out = append(w.out, body...)
		return nil
	}
	w.item(body)
	return nil
}

func (w *writer) item(body []byte) {
	switch w.c.form {
	case ndjson:
		w.out = append(append(w.out, body...), '\n')
	case events:
		w.out = append(append(append(w.out, "data: "...), body...), "\n\n"...)
	default:
		open := byte(',')
		if !w.begun {
			open = '['
		}
		w.out = append(append(w.out, open), body...)
	}
	w.begun = true
}

// end writes what follows the last message, first of all the error if there is one.
func (w *writer) end(status []byte) []byte {
	if w.c.match.RawResponse() {
		return w.out
	}
	if status != nil {
		if w.c.form == events {
			w.out = append(w.out, "event: error\n"...)
		}
		w.item(append(append([]byte(`{"error":`), status...), '}'))
	}
	if w.c.form == array {
		if !w.begun {
			w.out = append(w.out, '[')
		}
		w.out = append(w.out, ']')
	}
	return w.out
}

var (
	errCompressed = errors.New("transcode: a message is compressed, which was not asked for")
	errCut        = errors.New("transcode: the stream ends inside a message")
	errTooLong    = errors.New("transcode: a message is longer than is allowed")
	errFailed     = errors.New("transcode: the call failed when part of its answer was sent")
	errSchema     = errors.New("transcode: a message is not what the schema says")
)

// messages reads a stream of gRPC and gives what the client understands. Its
// memory is that of one message.
type messages struct {
	w      writer
	x      *filter.Exchange
	source io.Reader
	prefix [prefixSize]byte
	have   int    // of the prefix
	in     []byte // what was read of the message
	size   int    // that it will have
	rest   []byte
	over   bool
}

func (m *messages) Read(p []byte) (int, error) {
	for len(m.rest) == 0 {
		if m.over {
			return 0, io.EOF
		}
		m.w.out = m.w.out[:0]
		err := m.next()
		if err == nil && len(m.w.out) == 0 {
			continue
		}
		if err != nil {
			if !m.finish(err) {
				if err == io.EOF {
					err = errFailed
				}
				return 0, err
			}
			m.over = true
		}
		m.rest = m.w.out
	}
	n := copy(p, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

// next reads until a message is whole, or a read brings nothing more.
func (m *messages) next() error {
	for m.have < prefixSize {
		n, err := m.source.Read(m.prefix[m.have:])
		m.have += n
		if m.have == prefixSize {
			break
		}
		if err == io.EOF && m.have > 0 {
			return errCut
		}
		if err != nil {
			return err
		}
	}
	if m.in == nil {
		size := binary.BigEndian.Uint32(m.prefix[1:])
		switch {
		case m.prefix[0] != 0:
			return errCompressed
		case int64(size) > m.w.c.t.maxMessage:
			return errTooLong
		}
		m.size = int(size)
		m.in = make([]byte, 0, min(m.size, messagePiece)+1)
	}
	for len(m.in) < m.size {
		if len(m.in) == cap(m.in) {
			grown := make([]byte, len(m.in), min(2*cap(m.in), m.size))
			copy(grown, m.in)
			m.in = grown
		}
		n, err := m.source.Read(m.in[len(m.in):min(cap(m.in), m.size)])
		m.in = m.in[:len(m.in)+n]
		if len(m.in) == m.size {
			break
		}
		if err == io.EOF {
			return errCut
		}
		if err != nil {
			return err
		}
	}
	if m.w.message(m.in) != nil {
		return errSchema
	}
	m.have, m.in = 0, nil
	return nil
}

// messagePiece is what is taken for a message before its bytes have come.
const messagePiece = 32 << 10

// finish writes the end of the answer. It is false if there is nobody to tell.
func (m *messages) finish(err error) bool {
	x, c := m.x, m.w.c
	t := &x.Resp.Trailer
	if err != io.EOF {
		code, message := grpc.Unavailable, "the backend broke the response off"
		switch late, gone := x.Cause(err); {
		case gone, c.match.RawResponse(): // of which nothing tells the end
			return false
		case late:
			code, message = grpc.DeadlineExceeded, "the call took longer than it may"
		case errors.Is(err, errTooLong):
			code, message = grpc.ResourceExhausted, "a message of the backend is longer than is allowed"
		case errors.Is(err, errCompressed), errors.Is(err, errSchema), errors.Is(err, errCut):
			code, message = grpc.Internal, "the backend's answer is not what the schema says"
		}
		x.BrokenOff = err
		t.Reset()
		t.AddID(httpmsg.NameGRPCStatus, code.Text())
		t.AddID(httpmsg.NameGRPCMessage, grpc.AppendMessage(nil, message))
	}
	code, status := c.outcome(t)
	if code != grpc.OK && c.match.RawResponse() {
		return false
	}
	m.w.end(status)
	return true
}
