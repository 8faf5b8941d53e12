package e2e

import (
	"bytes"
	"crypto/tls"
	bin "encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/gridway/gridway/internal/wire/h2"
)

// h2wire is a raw HTTP/2 connection whose client does what no library would.
// Header blocks are those of golang.org/x/net, so that coder and decoder are not
// of one hand.
type h2wire struct {
	*wire
	enc  *hpack.Encoder
	dec  *hpack.Decoder
	head bytes.Buffer
	next uint32
}

type frame struct {
	h2.FrameHeader
	payload []byte
	fields  map[string]string // of HEADERS
}

// code is that of RST_STREAM or GOAWAY.
func (f frame) code() h2.ErrCode {
	switch f.Type {
	case h2.FrameRSTStream:
		return h2.ErrCode(bin.BigEndian.Uint32(f.payload))
	case h2.FrameGoAway:
		return h2.ErrCode(bin.BigEndian.Uint32(f.payload[4:]))
	}
	return 0
}

func (f frame) String() string {
	return fmt.Sprintf("%d flags=%#x stream=%d %d bytes %v", f.Type, f.Flags, f.StreamID, len(f.payload), f.fields)
}

// rawH2 wraps a connection that has said nothing yet.
func rawH2(t *testing.T, c net.Conn) *h2wire {
	w := &h2wire{wire: newWire(t, c), next: 1}
	w.reset()
	return w
}

// dialH2 begins HTTP/2 with prior knowledge.
func dialH2(t *testing.T, addr string, settings ...h2.Setting) *h2wire {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	w := rawH2(t, c)
	w.begin(settings...)
	return w
}

// dialH2TLS begins HTTP/2 by ALPN.
func dialH2TLS(t *testing.T, addr string, config *tls.Config, settings ...h2.Setting) *h2wire {
	t.Helper()
	config = config.Clone()
	config.NextProtos = []string{"h2"}
	c, err := tls.Dial("tcp", addr, config)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Fatalf("the server chose %q", got)
	}
	w := rawH2(t, c)
	w.begin(settings...)
	return w
}

// begin sends the preface and acknowledges the server's.
func (w *h2wire) begin(settings ...h2.Setting) {
	w.t.Helper()
	b := h2.AppendSettings([]byte(h2.Preface), settings...)
	w.write(h2.AppendSettingsAck(b))
}

func (w *h2wire) write(b []byte) {
	w.t.Helper()
	if _, err := w.Conn.Write(b); err != nil {
		w.t.Fatal(err)
	}
}

// get is the head of a GET, as frames of the next stream.
func (w *h2wire) get(path string, more ...string) (id uint32, b []byte) {
	return w.request("GET", path, true, more...)
}

// request is a request's head as frames; more are names and values.
func (w *h2wire) request(method, path string, end bool, more ...string) (id uint32, b []byte) {
	return w.headers(end, append([]string{":method", method, ":scheme", "http", ":path", path, ":authority", "a.example"}, more...)...)
}

// headers are the frames of a block with just these fields.
func (w *h2wire) headers(end bool, fields ...string) (id uint32, b []byte) {
	id = w.next
	w.next += 2
	return id, w.block(id, end, fields...)
}

func (w *h2wire) block(id uint32, end bool, fields ...string) []byte {
	w.head.Reset()
	for i := 0; i < len(fields); i += 2 {
		w.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	b := h2.BeginHeaders(nil)
	return h2.EndHeaders(append(b, w.head.Bytes()...), 0, id, end)
}

// ask sends a GET and returns its stream.
func (w *h2wire) ask(path string, more ...string) uint32 {
	w.t.Helper()
	id, b := w.get(path, more...)
	w.write(b)
	return id
}

// read returns the next frame.
func (w *h2wire) read() (frame, error) {
	var head [h2.FrameHeaderLen]byte
	if _, err := io.ReadFull(w.r, head[:]); err != nil {
		return frame{}, err
	}
	f := frame{FrameHeader: h2.ParseFrameHeader(head[:])}
	f.payload = make([]byte, f.Length)
	if _, err := io.ReadFull(w.r, f.payload); err != nil {
		return frame{}, err
	}
	if f.Type == h2.FrameHeaders {
		list, err := w.dec.DecodeFull(f.payload)
		if err != nil {
			return frame{}, err
		}
		f.fields = map[string]string{}
		for _, h := range list {
			f.fields[h.Name] = h.Value
		}
	}
	return f, nil
}

// until reads frames up to one that f accepts.
func (w *h2wire) until(what string, f func(frame) bool) frame {
	w.t.Helper()
	var seen []frame
	for {
		got, err := w.read()
		if err != nil {
			w.t.Fatalf("no %s: %v; before it came %v", what, err, seen[max(0, len(seen)-20):])
		}
		if f(got) {
			return got
		}
		got.payload = got.payload[:min(len(got.payload), 16)]
		seen = append(seen, got)
	}
}

// response reads the whole response on a stream, acknowledging what comes.
func (w *h2wire) response(id uint32) (fields map[string]string, body string) {
	w.t.Helper()
	var b bytes.Buffer
	w.until(fmt.Sprintf("end of stream %d", id), func(f frame) bool {
		if f.Type == h2.FrameGoAway && f.code() != h2.NoError {
			w.t.Fatalf("GOAWAY %s %q", f.code(), f.payload[8:])
		}
		if f.StreamID != id {
			return false
		}
		switch f.Type {
		case h2.FrameHeaders:
			if fields == nil || fields[":status"][0] == '1' {
				fields = f.fields
			}
		case h2.FrameData:
			b.Write(f.payload)
		case h2.FrameRSTStream:
			w.t.Fatalf("stream %d was reset: %s", id, f.code())
		default:
			return false
		}
		return f.Flags.Has(h2.FlagEndStream)
	})
	return fields, b.String()
}

// isCutOff reads up to the GOAWAY that ends the connection, and to its end.
func (w *h2wire) isCutOff(code h2.ErrCode, reason string) {
	w.t.Helper()
	f := w.until("GOAWAY", func(f frame) bool { return f.Type == h2.FrameGoAway })
	if f.code() != code || string(f.payload[8:]) != reason {
		w.t.Errorf("GOAWAY with %s %q, not %s %q", f.code(), f.payload[8:], code, reason)
	}
	if rest, err := io.Copy(io.Discard, w.r); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		w.t.Errorf("the connection is still open after GOAWAY (%d bytes): %v", rest, err)
	}
}

// isReset waits for the stream's RST_STREAM.
func (w *h2wire) isReset(id uint32, code h2.ErrCode) {
	w.t.Helper()
	f := w.until(fmt.Sprintf("RST_STREAM of %d", id), func(f frame) bool {
		return f.Type == h2.FrameRSTStream && f.StreamID == id || f.Type == h2.FrameGoAway
	})
	if f.Type != h2.FrameRSTStream || f.code() != code {
		w.t.Errorf("stream %d ended with %v %s, not %s", id, f, f.code(), code)
	}
}

// flood writes b again and again until the connection ends, or so often.
func (w *h2wire) flood(b []byte, times int) (written int) {
	const batch = 64
	many := slices.Repeat([][]byte{b}, batch)
	all := bytes.Join(many, nil)
	for written < times {
		w.Conn.SetWriteDeadline(time.Now().Add(patience))
		if _, err := w.Conn.Write(all); err != nil {
			return written
		}
		written += batch
	}
	return written
}
