package transcode

import (
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
	frames frames
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

// next reads a message and writes it.
func (m *messages) next() error {
	message, _, err := m.frames.next()
	if err != nil {
		return err
	}
	if m.w.message(message) != nil {
		return errSchema
	}
	return nil
}

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
