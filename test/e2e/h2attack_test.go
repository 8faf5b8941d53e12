package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/gridway/gridway/internal/wire/h2"
)

// rss is the process's resident memory in bytes.
func (p *process) rss() int64 {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// cpu is the processor time that the process has used.
func (p *process) cpu() time.Duration {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+2:]))
	ticks := 0
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			p.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// attack is what a hostile client does, and how it ends.
type attack struct {
	name string
	do   func(c *h2wire) // writes until it is cut off
	// The code and reason of the GOAWAY.
	code   h2.ErrCode
	reason string
}

const enough = 200_000 // frames, far more than is allowed

var attacks = []attack{
	{"rapid reset", func(c *h2wire) { // CVE-2023-44487
		for range enough {
			id, b := c.get("/slow")
			if _, err := c.Conn.Write(h2.AppendRSTStream(b, id, h2.Cancel)); err != nil {
				return
			}
		}
	}, h2.EnhanceYourCalm, "RapidReset"},
	{"made you reset", func(c *h2wire) { // CVE-2025-8671: errors of streams that provoke resets
		for range enough {
			id, b := c.get("/slow")
			if _, err := c.Conn.Write(h2.AppendWindowUpdate(b, id, 0)); err != nil {
				return
			}
		}
	}, h2.EnhanceYourCalm, "RapidReset"},
	{"more streams than allowed", func(c *h2wire) {
		for range enough {
			if _, b := c.get("/slow"); c.flood1(b) != nil {
				return
			}
		}
	}, h2.EnhanceYourCalm, "RapidReset"},
	{"PING", func(c *h2wire) { c.flood(h2.AppendPing(nil, [8]byte{1}, false), enough) }, h2.EnhanceYourCalm, "ControlFlood"},
	{"SETTINGS", func(c *h2wire) {
		c.flood(h2.AppendSettings(nil, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 5}), enough)
	}, h2.EnhanceYourCalm, "ControlFlood"},
	{"PRIORITY", func(c *h2wire) { c.flood(h2.AppendPriority(nil, 1, h2.PriorityParam{StreamDep: 3}), enough) }, h2.EnhanceYourCalm, "ControlFlood"},
	{"PRIORITY_UPDATE", func(c *h2wire) { c.flood(h2.AppendPriorityUpdate(nil, 7, "u=1"), enough) }, h2.EnhanceYourCalm, "ControlFlood"},
	{"WINDOW_UPDATE", func(c *h2wire) { c.flood(h2.AppendWindowUpdate(nil, 0, 1), enough) }, h2.EnhanceYourCalm, "ControlFlood"},
	{"unknown frames", func(c *h2wire) { c.flood(h2.AppendFrameHeader(nil, h2.FrameHeader{Type: 0x77}), enough) }, h2.EnhanceYourCalm, "ControlFlood"},
	{"empty DATA", func(c *h2wire) {
		id, b := c.request("POST", "/swallow", false)
		c.write(b)
		c.flood(h2.AppendData(nil, id, nil, false), enough)
	}, h2.EnhanceYourCalm, "ControlFlood"},
	{"padding alone", func(c *h2wire) {
		id, b := c.request("POST", "/swallow", false)
		c.write(b)
		c.flood(append(h2.AppendFrameHeader(nil, h2.FrameHeader{Length: 2, Type: h2.FrameData, Flags: h2.FlagPadded, StreamID: id}), 1, 0), enough)
	}, h2.EnhanceYourCalm, "ControlFlood"},
	{"CONTINUATION", func(c *h2wire) { // CVE-2024-27316
		id, b := c.get("/")
		b[4] &^= byte(h2.FlagEndHeaders)
		c.write(b)
		part := append(h2.AppendFrameHeader(nil, h2.FrameHeader{Length: 8, Type: h2.FrameContinuation, StreamID: id}), 0, 1, 'a', 1, 'b', 0x80|2, 0x80|2, 0x80|2)
		c.flood(part, enough)
	}, h2.EnhanceYourCalm, "HeaderBlockTooLarge"},
	{"empty CONTINUATION", func(c *h2wire) {
		id, b := c.get("/")
		b[4] &^= byte(h2.FlagEndHeaders)
		c.write(b)
		c.flood(h2.AppendFrameHeader(nil, h2.FrameHeader{Type: h2.FrameContinuation, StreamID: id}), enough)
	}, h2.EnhanceYourCalm, "HeaderBlockTooLarge"},
	{"HPACK bomb", func(c *h2wire) { // one long entry of the table, named by a byte each time
		c.head.Reset()
		c.enc.WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("b", 3900)})
		block := append(bytes.Clone(c.head.Bytes()), bytes.Repeat([]byte{0x80 | 62}, 12_000)...)
		b := h2.BeginHeaders(nil)
		c.write(h2.EndHeaders(append(b, block...), 0, 1, true))
	}, h2.EnhanceYourCalm, "HeaderBomb"},
	{"HPACK with a bad index", func(c *h2wire) {
		b := h2.BeginHeaders(nil)
		c.write(h2.EndHeaders(append(b, 0x80|70), 0, 1, true))
	}, h2.CompressionError, "InvalidHeaderBlock"},
	{"connection window overflow", func(c *h2wire) {
		c.flood(h2.AppendWindowUpdate(nil, 0, 1<<31-1), 64)
	}, h2.FlowControlError, "WindowOverflow"},
	{"settings overflow a window", func(c *h2wire) {
		id := c.ask("/slow")
		c.write(h2.AppendWindowUpdate(nil, id, 1<<31-1-65535))
		c.write(h2.AppendSettings(nil, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 1 << 20}))
	}, h2.FlowControlError, "InvalidWindowSetting"},
	{"rapid reset of what is answered at once", func(c *h2wire) { // a few at a time, which have ended before the next
		others := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		defer others.CloseIdleConnections()
		for range enough {
			var b []byte
			for range 8 {
				id, head := c.get("/moved")
				b = h2.AppendRSTStream(append(b, head...), id, h2.Cancel)
			}
			if c.flood1(b) != nil {
				return
			}
			if resp, err := others.Get("http://" + c.Conn.RemoteAddr().String() + "/moved"); err == nil {
				resp.Body.Close()
			}
		}
	}, h2.EnhanceYourCalm, "RapidReset"},
	{"long CONTINUATION", func(c *h2wire) { // too few frames to count
		id, b := c.get("/")
		b[4] &^= byte(h2.FlagEndHeaders)
		c.write(b)
		part := h2.AppendFrameHeader(nil, h2.FrameHeader{Length: 16 << 10, Type: h2.FrameContinuation, StreamID: id})
		c.flood(append(part, make([]byte, 16<<10)...), 10)
	}, h2.EnhanceYourCalm, "HeaderBlockTooLarge"},
	{"content of a stream that was reset", func(c *h2wire) {
		id, b := c.request("POST", "/swallow", false, "te", "gzip")
		c.write(b)
		c.flood(h2.AppendData(nil, id, []byte("x"), false), enough)
	}, h2.EnhanceYourCalm, "ControlFlood"},
	{"more content than the window", func(c *h2wire) { // of each stream
		piece := make([]byte, 16<<10)
		for range enough {
			id, b := c.request("POST", "/slow", false)
			for range 4 {
				b = h2.AppendData(b, id, piece, false)
			}
			if _, err := c.Conn.Write(h2.AppendData(b, id, []byte("x"), false)); err != nil {
				return
			}
		}
	}, h2.EnhanceYourCalm, "RapidReset"},
	{"frames that are too long", func(c *h2wire) {
		c.flood(h2.AppendFrameHeader(nil, h2.FrameHeader{Length: 0xffffff, Type: h2.FrameData, StreamID: 1}), 1)
	}, h2.FrameSizeError, "InvalidFrameSize"},
}

// flood1 writes b, unless the connection has ended.
func (w *h2wire) flood1(b []byte) error {
	_, err := w.Conn.Write(b)
	return err
}

// TestHTTP2Attacks attacks one running proxy in each way. The attacker is cut off
// with the code for it, the metrics say so, memory stays, and a neighbour on a
// connection of its own is served meanwhile.
func TestHTTP2Attacks(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			hold(r, time.Second)
		case "/swallow":
			io.Copy(io.Discard, r.Body)
		}
		io.WriteString(w, "ok")
	})
	port := ownPort(t)
	p := start(t, documents(plainOn(port), ruleDoc(`
- matches: [{path: {value: /moved}}]
  filters: [{type: RequestRedirect, requestRedirect: {hostname: b.example}}]
- backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
`), backendDoc("app", app.addr)))
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	client := overHTTP2(t, nil)
	get := func() error {
		resp, err := client.Get("http://" + addr + "/")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err == nil && string(b) != "ok" {
			err = fmt.Errorf("%d %q", resp.StatusCode, b)
		}
		return err
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	before := p.rss()
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			ends := p.metric("gridway_listener_http2_goaways_total", `reason="`+a.reason+`"`)
			used := p.cpu()
			c := dialH2(t, addr)
			over := make(chan struct{})
			go func() { // the neighbour; at the end of the test too
				defer close(over)
				for range 20 {
					if err := get(); err != nil {
						t.Errorf("the neighbour: %v", err)
					}
				}
			}()
			gaveUp := make(chan struct{})
			go func() { defer close(gaveUp); a.do(c) }()
			defer func() { // an attack that goes on after its test would end the process
				c.Close()
				<-gaveUp
				<-over
			}()
			c.isCutOff(a.code, a.reason)
			<-over
			<-gaveUp
			eventually(t, "the metrics count the attack", func() bool {
				return p.metric("gridway_listener_http2_goaways_total", `reason="`+a.reason+`"`) == ends+1
			})
			eventually(t, "no stream is left of it", func() bool { return p.metric("gridway_listener_http2_streams") == 0 })
			if used = p.cpu() - used; used > 2*time.Second {
				t.Errorf("the attack has cost %v of CPU", used)
			}
		})
	}
	if n := client.Transport; n == nil || p.metric("gridway_listener_http2_connections_accepted_total") != float64(len(attacks)+1) {
		t.Error("the neighbour has lost its connection")
	}
	if after := p.rss(); after > before+64<<20 {
		t.Errorf("memory grew from %d to %d MiB", before>>20, after>>20)
	}
}
