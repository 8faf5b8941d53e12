package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/gridway/gridway/internal/wire/h2"
)

// hostility is what an endpoint does with the first request that it gets on a
// connection, and how that ends.
type hostility struct {
	name string
	// frames are sent for as long as the connection lasts, after the first ones.
	first, frames []byte
	// reason is that of the GOAWAY; with none the stream alone is reset.
	reason string
}

// fields is a header block of an encoder that is new.
func fields(of ...string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for i := 0; i < len(of); i += 2 {
		e.WriteField(hpack.HeaderField{Name: of[i], Value: of[i+1]})
	}
	return b.Bytes()
}

func headers(block []byte, flags h2.Flags) []byte {
	return append(h2.AppendFrameHeader(nil, h2.FrameHeader{Length: uint32(len(block)), Type: h2.FrameHeaders, Flags: flags, StreamID: 1}), block...)
}

var (
	okHead      = headers(fields(":status", "200"), h2.FlagEndHeaders)
	bombHead    = append(fields(":status", "200", "x", strings.Repeat("b", 3900)), bytes.Repeat([]byte{0x80 | 62}, 12_000)...)
	hostilities = []hostility{
		{"PING", okHead, h2.AppendPing(nil, [8]byte{1}, false), "ControlFlood"},
		{"PING answers", okHead, h2.AppendPing(nil, [8]byte{1}, true), "ControlFlood"},
		{"SETTINGS", okHead, h2.AppendSettings(nil, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 5}), "ControlFlood"},
		{"WINDOW_UPDATE", okHead, h2.AppendWindowUpdate(nil, 0, 1), "ControlFlood"},
		{"GOAWAY", okHead, h2.AppendGoAway(nil, 1, h2.NoError, ""), "ControlFlood"},
		{"unknown frames", okHead, h2.AppendFrameHeader(nil, h2.FrameHeader{Type: 0x77}), "ControlFlood"},
		{"empty DATA", okHead, h2.AppendData(nil, 1, nil, false), "ControlFlood"},
		{"padding alone", okHead, append(h2.AppendFrameHeader(nil, h2.FrameHeader{Length: 2, Type: h2.FrameData, Flags: h2.FlagPadded, StreamID: 1}), 1, 0), "ControlFlood"},
		{"heads of a stream that has ended", h2.AppendRSTStream(nil, 1, h2.InternalError), okHead, "ControlFlood"},
		{"resets of a stream that has ended", nil, h2.AppendRSTStream(nil, 1, h2.InternalError), "ControlFlood"},
		{"content of a stream that has ended", h2.AppendRSTStream(nil, 1, h2.InternalError), h2.AppendData(nil, 1, []byte("x"), false), "ControlFlood"},
		{"CONTINUATION", headers(nil, 0), append(h2.AppendFrameHeader(nil, h2.FrameHeader{Length: 5, Type: h2.FrameContinuation, StreamID: 1}), 0, 1, 'a', 1, 'b'), "HeaderBlockTooLarge"},
		{"empty CONTINUATION", headers(nil, 0), h2.AppendFrameHeader(nil, h2.FrameHeader{Type: h2.FrameContinuation, StreamID: 1}), "HeaderBlockTooLarge"},
		{"HPACK bomb", headers(bombHead, h2.FlagEndHeaders), nil, "HeaderBomb"},
		{"PUSH_PROMISE", okHead, append(h2.AppendFrameHeader(nil, h2.FrameHeader{Length: 4, Type: h2.FramePushPromise, Flags: h2.FlagEndHeaders, StreamID: 1}), 0, 0, 0, 2), "UnexpectedPush"},
		{"interim responses", nil, headers(fields(":status", "103"), h2.FlagEndHeaders), ""},
		{"more content than the window", okHead, h2.AppendData(nil, 1, make([]byte, 16<<10), false), ""},
	}
)

// play is an endpoint's side of one connection. It returns the reason of the
// GOAWAY, and whether the stream was reset.
func (h *hostility) play(nc net.Conn) (reason string, reset bool) {
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(4 * patience))
	if _, err := io.ReadFull(nc, make([]byte, len(h2.Preface))); err != nil {
		return err.Error(), false
	}
	next := func() (h2.FrameHeader, []byte, error) {
		var b [h2.FrameHeaderLen]byte
		if _, err := io.ReadFull(nc, b[:]); err != nil {
			return h2.FrameHeader{}, nil, err
		}
		f := h2.ParseFrameHeader(b[:])
		p := make([]byte, f.Length)
		_, err := io.ReadFull(nc, p)
		return f, p, err
	}
	nc.Write(h2.AppendSettingsAck(h2.AppendSettings(nil)))
	for {
		f, p, err := next()
		switch {
		case err != nil:
			return reason, reset
		case f.Type == h2.FrameHeaders:
			go func() {
				nc.Write(h.first)
				many := bytes.Repeat(h.frames, max(1, 32<<10/max(1, len(h.frames))))
				for range enough {
					if _, err := nc.Write(many); err != nil {
						return
					}
				}
			}()
		case f.Type == h2.FrameRSTStream:
			if reset = true; h.reason == "" {
				return reason, reset
			}
		case f.Type == h2.FrameGoAway:
			reason = string(p[8:])
		}
	}
}

// TestHTTP2HostileEndpoints has each of these endpoints behind one running proxy.
// The connection, or the stream, is ended for it, memory and CPU stay, and a
// neighbour that asks another endpoint is served meanwhile.
func TestHTTP2HostileEndpoints(t *testing.T) {
	t.Parallel()
	good, _ := h2Server(t, 100, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conns := make(chan net.Conn, 10)
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			conns <- nc
		}
	}()
	port := ownPort(t)
	p := start(t, documents(plainOn(port), ruleDoc(`
- matches: [{path: {value: /bad}}]
  timeouts: {request: 15s}
  backendRefs: [{group: gridway.dev, kind: Backend, name: bad}]
- backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
`), h2Backend("app", good), h2Backend("bad", ln.Addr().String())))
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	client := overHTTP2(t, nil)
	get := func(path string) (string, error) {
		resp, err := client.Get(url + path)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return string(b), err
	}
	if _, err := get("/"); err != nil {
		t.Fatal(err)
	}
	before := p.rss()
	for _, h := range hostilities {
		t.Run(h.name, func(t *testing.T) {
			used := p.cpu()
			asked := make(chan struct{})
			go func() { // what it gets, if anything, does not end well
				defer close(asked)
				if body, err := get("/bad"); err == nil && body == "" {
					t.Error("the answer looks whole")
				}
			}()
			over := make(chan struct{})
			go func() {
				defer close(over)
				for range 20 {
					if body, err := get("/"); body != "ok" || err != nil {
						t.Errorf("the neighbour: %q, %v", body, err)
					}
				}
			}()
			var played sync.WaitGroup
			for going := true; going; { // a request that got nothing is tried again
				select {
				case nc := <-conns:
					played.Go(func() {
						if reason, reset := h.play(nc); reason != h.reason || h.reason == "" && !reset {
							t.Errorf("ended with %q, reset %v; want %q", reason, reset, h.reason)
						}
					})
				case <-asked:
					going = false
				}
			}
			played.Wait()
			<-over
			if used = p.cpu() - used; used > 2*time.Second {
				t.Errorf("it has cost %v of CPU", used)
			}
		})
	}
	if after := p.rss(); after > before+48<<20 {
		t.Errorf("memory grew from %d to %d MiB", before>>20, after>>20)
	}
}
