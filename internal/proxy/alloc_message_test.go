package proxy_test

import (
	"bufio"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/hpack"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// The example of RFC 6455 §1.3: a key and the answer to it.
const (
	wsOpens    = "GET /chat HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	wsAccepted = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)

// Messages of eight bytes, to the endpoint and to the client.
var (
	wsThere = []byte("\x82\x88\x01\x02\x03\x04messages")
	wsBack  = []byte("\x82\x08messages")
)

// wsPeer accepts a WebSocket and answers each frame of wsThere with wsBack.
func wsPeer(t *testing.T, accept string) string {
	return servePeer(t, func(c net.Conn, r *bufio.Reader) {
		if !discardHead(r) {
			return
		}
		if _, err := c.Write([]byte(accept)); err != nil {
			return
		}
		for {
			if _, err := r.Discard(len(wsThere)); err != nil {
				return
			}
			if _, err := c.Write(wsBack); err != nil {
				return
			}
		}
	})
}

// A message of a WebSocket and its answer allocate nothing.
func TestWebSocketAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	h := start(t, []string{wsPeer(t, wsAccepted)})
	c := h.dial()
	c.SetDeadline(time.Now().Add(12 * patience))
	c.send(wsOpens)
	r := bufio.NewReaderSize(c.Conn, 4096)
	if !discardHead(r) {
		t.Fatal("no answer")
	}
	in := make([]byte, len(wsBack))
	bounded(t, mallocs(func() { exchanged(t, c.Conn, r, wsThere, in) }))
}

// grpcHead is the head of a call.
func grpcHead(id uint32) []byte {
	enc := hpack.NewEncoder()
	enc.SetTableSize(0)
	b := enc.Begin(h2.BeginHeaders(nil))
	b = enc.Method(b, []byte("POST"))
	b = enc.Scheme(b, "http")
	b = enc.Path(b, []byte("/shop.v1.Catalog/Get"))
	b = enc.Authority(b, []byte("example.com"))
	for _, f := range [][2]string{{"te", "trailers"}, {"content-type", "application/grpc"}, {"grpc-timeout", "60S"}} {
		b = enc.Field(b, &httpmsg.Field{Name: []byte(f[0]), Value: []byte(f[1])})
	}
	return h2.EndHeaders(b, 0, id, false)
}

// grpcReply is a head, and a trailer that ends the stream.
func grpcReply() (head, trailer []byte) {
	enc := hpack.NewEncoder()
	enc.SetTableSize(0)
	b := enc.Status(enc.Begin(h2.BeginHeaders(nil)), 200)
	b = enc.Field(b, &httpmsg.Field{Name: []byte("content-type"), Value: []byte("application/grpc")})
	head = h2.EndHeaders(b, 0, 1, false)
	b = enc.Begin(h2.BeginHeaders(nil))
	b = enc.Field(b, &httpmsg.Field{Name: []byte("grpc-status"), Value: []byte("0")})
	return head, h2.EndHeaders(b, 0, 1, true)
}

// grpcMessage is a DATA frame with a message of five bytes.
func grpcMessage(end bool) []byte {
	return h2.AppendData(nil, 1, []byte("\x00\x00\x00\x00\x05hello"), end)
}

// grpcPeer answers each call: with a message and a status when the client has ended
// its side, and each message before that with one.
func grpcPeer(t *testing.T) string {
	return servePeer(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := r.Discard(len(h2.Preface)); err != nil {
			return
		}
		if _, err := c.Write(wideOpening("")); err != nil {
			return
		}
		head, trailer := grpcReply()
		message := grpcMessage(false)
		whole := slices.Concat(head, message, trailer)
		begun := uint32(0) // the stream whose head was sent
		_ = frames(r, func(f h2.FrameHeader) bool {
			var err error
			switch {
			case f.Type == h2.FrameData && f.Flags.Has(h2.FlagEndStream):
				number(whole, f.StreamID)
				_, err = c.Write(whole)
			case f.Type == h2.FrameData && f.StreamID != begun:
				begun = f.StreamID
				number(head, begun)
				number(message, begun)
				if _, err = c.Write(head); err == nil {
					_, err = c.Write(message)
				}
			case f.Type == h2.FrameData:
				_, err = c.Write(message)
			}
			return err == nil
		})
	})
}

// wideOpening is opening with windows that streams do not use up, either.
func wideOpening(preface string) []byte {
	b := h2.AppendSettings([]byte(preface), h2.Setting{ID: h2.SettingInitialWindowSize, Value: 1 << 30})
	return h2.AppendWindowUpdate(h2.AppendSettingsAck(b), 0, 1<<30)
}

// A unary call of gRPC allocates nothing, and neither does a message of a stream
// with its answer.
func TestGRPCAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	dial := func(t *testing.T) (*client, *bufio.Reader) {
		c := start(t, []string{grpcPeer(t)}, func(cfg *ir.Config) { cfg.Clusters[0].HTTP2 = true }).dial()
		c.SetDeadline(time.Now().Add(12 * patience))
		if _, err := c.Write(wideOpening(h2.Preface)); err != nil {
			t.Fatal(err)
		}
		return c, bufio.NewReaderSize(c.Conn, 64<<10)
	}
	// until sends, and reads frames until one is as wanted.
	until := func(t *testing.T, c *client, r *bufio.Reader, out []byte, wanted func(h2.FrameHeader) bool) {
		if _, err := c.Write(out); err != nil {
			t.Fatal(err)
		}
		err := frames(r, func(f h2.FrameHeader) bool {
			if f.Type == h2.FrameRSTStream || f.Type == h2.FrameGoAway {
				t.Fatalf("a frame of type %d", f.Type)
			}
			return !wanted(f)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("unary", func(t *testing.T) {
		c, r := dial(t)
		request := slices.Concat(grpcHead(1), grpcMessage(true))
		id := uint32(1)
		bounded(t, mallocs(func() {
			number(request, id)
			until(t, c, r, request, func(f h2.FrameHeader) bool {
				return f.StreamID == id && f.Type == h2.FrameHeaders && f.Flags.Has(h2.FlagEndStream)
			})
			id += 2
		}))
	})
	t.Run("message of a stream", func(t *testing.T) {
		c, r := dial(t)
		if _, err := c.Write(grpcHead(1)); err != nil {
			t.Fatal(err)
		}
		message := grpcMessage(false)
		bounded(t, mallocs(func() {
			until(t, c, r, message, func(f h2.FrameHeader) bool { return f.Type == h2.FrameData && f.StreamID == 1 })
		}))
	})
}
