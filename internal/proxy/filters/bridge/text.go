package bridge

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"

	"github.com/gridway/gridway/internal/proxy/filter"
)

// textPiece is how much base64 is looked at a time; a multiple of four.
const textPiece = 4 << 10

var errText = fmt.Errorf("bridge: not base64: %w", filter.ErrMalformed)

// textReader decodes base64. Padding may stand wherever a sender has flushed
// what it had, so that each four characters stand for themselves.
type textReader struct {
	source io.Reader
	in     []byte // what was read and not decoded, in room
	out    []byte // what was decoded and not returned, in room2
	room   [textPiece]byte
	room2  [textPiece / 4 * 3]byte
	err    error
}

func newTextReader(source io.Reader) *textReader { return &textReader{source: source} }

func (t *textReader) Read(p []byte) (int, error) {
	for len(t.out) == 0 {
		if t.err != nil {
			return 0, t.err
		}
		n := copy(t.room[:], t.in)
		m, err := t.source.Read(t.room[n:])
		t.in = t.room[:n+m]
		if err == io.EOF && len(t.in)%4 != 0 {
			err = errText
		}
		t.err = err
		if m == 0 && err == nil {
			return 0, nil
		}
		t.decode()
	}
	n := copy(p, t.out)
	t.out = t.out[n:]
	return n, nil
}

// decode decodes all whole groups.
func (t *textReader) decode() {
	out := t.room2[:0]
	whole := t.in[:len(t.in)/4*4]
	if bytes.ContainsAny(whole, "\r\n") { // which the library passes over
		t.err, t.out = errText, out
		return
	}
	for len(whole) > 0 {
		// Up to and with the first group that has padding.
		end := len(whole)
		for i := 3; i < len(whole); i += 4 {
			if whole[i] == '=' {
				end = i + 1
				break
			}
		}
		n, err := base64.StdEncoding.Strict().Decode(out[len(out):cap(out)], whole[:end])
		out = out[:len(out)+n]
		if err != nil {
			t.err = errText
			break
		}
		t.in, whole = t.in[end:], whole[end:]
	}
	t.out = out
}

// textWriter encodes what source returns, each piece for itself, so that nothing
// waits for more.
type textWriter struct {
	source io.Reader
	in     [textPiece / 4 * 3]byte
	out    []byte
	room   [textPiece]byte
	err    error
}

func (t *textWriter) Read(p []byte) (int, error) {
	if len(t.out) == 0 {
		if t.err != nil {
			return 0, t.err
		}
		n, err := t.source.Read(t.in[:])
		t.out, t.err = appendText(t.room[:0], t.in[:n]), err
		if n == 0 {
			return 0, err
		}
	}
	n := copy(p, t.out)
	t.out = t.out[n:]
	return n, nil
}

func appendText(dst, src []byte) []byte { return base64.StdEncoding.AppendEncode(dst, src) }
