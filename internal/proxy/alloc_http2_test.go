package proxy_test

import (
	"bufio"
	"encoding/binary"
	"runtime"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/hpack"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// The same from HTTP/2 to HTTP/1: see TestRequestPathAllocatesNothing.
func TestHTTP2RequestPathAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const ceiling = 0.05
	const reply = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
	h := start(t, []string{fixedPeer(t, 0, reply)}, func(*ir.Config) {})
	c := h.dial()
	c.SetDeadline(time.Now().Add(12 * patience))
	enc := hpack.NewEncoder()
	enc.SetTableSize(0) // each block stands for itself
	b := enc.Begin(h2.BeginHeaders(nil))
	b = enc.Method(b, []byte("GET"))
	b = enc.Scheme(b, "http")
	b = enc.Path(b, []byte("/a/path?with=query"))
	b = enc.Authority(b, []byte("example.com"))
	for name, value := range map[string]string{"user-agent": "test/1.0", "accept": "*/*", "x-custom": "1"} {
		b = enc.Field(b, &httpmsg.Field{Name: []byte(name), Value: []byte(value)})
	}
	request := h2.EndHeaders(b, 0, 1, true)
	begin := h2.AppendSettings([]byte(h2.Preface))
	begin = h2.AppendWindowUpdate(h2.AppendSettingsAck(begin), 0, 1<<30)
	if _, err := c.Write(begin); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReaderSize(c.Conn, 64<<10)
	id := uint32(1)
	one := func() {
		binary.BigEndian.PutUint32(request[5:], id)
		if _, err := c.Write(request); err != nil {
			t.Fatal(err)
		}
		for {
			head, err := r.Peek(h2.FrameHeaderLen)
			if err != nil {
				t.Fatal(err)
			}
			f := h2.ParseFrameHeader(head)
			if _, err := r.Discard(h2.FrameHeaderLen + int(f.Length)); err != nil {
				t.Fatal(err)
			}
			if f.Type == h2.FrameRSTStream || f.Type == h2.FrameGoAway {
				t.Fatalf("a frame of type %d", f.Type)
			}
			if f.StreamID == id && f.Flags.Has(h2.FlagEndStream) {
				break
			}
		}
		id += 2
	}
	for range 2000 {
		one()
	}
	const n = 5000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		one()
	}
	runtime.ReadMemStats(&after)
	got := float64(after.Mallocs-before.Mallocs) / n
	t.Logf("%.4f allocations per request", got)
	if got > ceiling {
		t.Errorf("%.3f allocations per request, want at most %v", got, ceiling)
	}
}
