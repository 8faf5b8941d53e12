package proxy_test

import (
	"bufio"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/hpack"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// request2 is a GET over HTTP/2 that stands for itself, and response2 an answer
// of five bytes; the number of the stream is to be put in (see number).
var (
	request2 = func() []byte {
		enc := hpack.NewEncoder()
		enc.SetTableSize(0)
		b := enc.Begin(h2.BeginHeaders(nil))
		b = enc.Method(b, []byte("GET"))
		b = enc.Scheme(b, "http")
		b = enc.Path(b, []byte("/a/path?with=query"))
		b = enc.Authority(b, []byte("example.com"))
		for name, value := range map[string]string{"user-agent": "test/1.0", "accept": "*/*", "x-custom": "1"} {
			b = enc.Field(b, &httpmsg.Field{Name: []byte(name), Value: []byte(value)})
		}
		return h2.EndHeaders(b, 0, 1, true)
	}()
	response2 = func() []byte {
		enc := hpack.NewEncoder()
		enc.SetTableSize(0)
		b := enc.Status(enc.Begin(h2.BeginHeaders(nil)), 200)
		for name, value := range map[string]string{"server": "x", "content-type": "text/plain", "content-length": "5"} {
			b = enc.Field(b, &httpmsg.Field{Name: []byte(name), Value: []byte(value)})
		}
		b = h2.EndHeaders(b, 0, 1, false)
		b = h2.AppendFrameHeader(b, h2.FrameHeader{Length: 5, Type: h2.FrameData, Flags: h2.FlagEndStream, StreamID: 1})
		return append(b, "hello"...)
	}()
)

// number puts the number of a stream into each of the frames.
func number(frames []byte, id uint32) {
	for len(frames) > 0 {
		binary.BigEndian.PutUint32(frames[5:], id)
		frames = frames[h2.FrameHeaderLen+int(h2.ParseFrameHeader(frames).Length):]
	}
}

// frames calls f for each frame until that returns false. It fails with the
// reader.
func frames(r *bufio.Reader, f func(h2.FrameHeader) bool) error {
	for {
		head, err := r.Peek(h2.FrameHeaderLen)
		if err != nil {
			return err
		}
		h := h2.ParseFrameHeader(head)
		if _, err := r.Discard(h2.FrameHeaderLen + int(h.Length)); err != nil {
			return err
		}
		if !f(h) {
			return nil
		}
	}
}

// opening is what both sides begin with: settings, their acknowledgement, and a
// window that is never used up.
func opening(preface string) []byte {
	return h2.AppendWindowUpdate(h2.AppendSettingsAck(h2.AppendSettings([]byte(preface))), 0, 1<<30)
}

// fixedPeer2 is fixedPeer for HTTP/2.
func fixedPeer2(t *testing.T) string {
	return servePeer(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := r.Discard(len(h2.Preface)); err != nil {
			return
		}
		if _, err := c.Write(opening("")); err != nil {
			return
		}
		reply := append([]byte(nil), response2...)
		_ = frames(r, func(f h2.FrameHeader) bool {
			if !f.Flags.Has(h2.FlagEndStream) || f.Type != h2.FrameHeaders {
				return true
			}
			number(reply, f.StreamID)
			_, err := c.Write(reply)
			return err == nil
		})
	})
}

// allocsPerRequest2 is allocsPerRequest for HTTP/2.
func allocsPerRequest2(t *testing.T, h *harness) float64 {
	t.Helper()
	c := h.dial()
	c.SetDeadline(time.Now().Add(12 * patience))
	if _, err := c.Write(opening(h2.Preface)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReaderSize(c.Conn, 64<<10)
	request := append([]byte(nil), request2...)
	id := uint32(1)
	one := func() {
		number(request, id)
		if _, err := c.Write(request); err != nil {
			t.Fatal(err)
		}
		err := frames(r, func(f h2.FrameHeader) bool {
			if f.Type == h2.FrameRSTStream || f.Type == h2.FrameGoAway {
				t.Fatalf("a frame of type %d", f.Type)
			}
			return f.StreamID != id || !f.Flags.Has(h2.FlagEndStream)
		})
		if err != nil {
			t.Fatal(err)
		}
		id += 2
	}
	return mallocs(one)
}

// The same with HTTP/2 on either side and on both: see
// TestRequestPathAllocatesNothing.
func TestHTTP2RequestPathAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const reply = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
	const get = "GET /a/path?with=query HTTP/1.1\r\nHost: example.com\r\nUser-Agent: test/1.0\r\nAccept: */*\r\nX-Custom: 1\r\n\r\n"
	http2 := func(cfg *ir.Config) { cfg.Clusters[0].HTTP2 = true }
	t.Run("from HTTP/2 to HTTP/1.1", func(t *testing.T) {
		bounded(t, allocsPerRequest2(t, start(t, []string{fixedPeer(t, 0, reply)}, func(*ir.Config) {})))
	})
	t.Run("from HTTP/1.1 to HTTP/2", func(t *testing.T) {
		bounded(t, allocsPerRequest(t, start(t, []string{fixedPeer2(t)}, http2), get, 5))
	})
	t.Run("from HTTP/2 to HTTP/2", func(t *testing.T) {
		bounded(t, allocsPerRequest2(t, start(t, []string{fixedPeer2(t)}, http2)))
	})
}
