package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/h2"
)

// A stream whose window is shut, and uploads that the upstream does not read, do
// not keep a neighbour on the same connection waiting, and cost what is bounded.
func TestHTTP2SlowStreamsStallNobody(t *testing.T) {
	t.Parallel()
	big := bytes.Repeat([]byte("x"), 1<<20)
	release := make(chan struct{})
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/big":
			w.Write(big)
		case "/unread":
			select {
			case <-release:
			case <-r.Context().Done():
			}
		case "/sum":
			n, _ := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n)
		default:
			io.WriteString(w, "ok")
		}
	})
	defer close(release)
	port := ownPort(t)
	p := start(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", app.addr)))
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	before := p.rss()

	// Responses that nobody takes, beside one that is taken.
	c := dialH2(t, addr, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 0})
	c.write(h2.AppendWindowUpdate(nil, 0, 1<<30))
	for range 50 {
		c.ask("/big")
	}
	id, b := c.get("/")
	c.write(h2.AppendWindowUpdate(b, id, 10))
	if f, body := c.response(id); f[":status"] != "200" || body != "ok" {
		t.Errorf("beside stalled responses: %v %q", f, body)
	}
	// A window that a setting has made negative opens again.
	id, b = c.get("/big")
	b = h2.AppendWindowUpdate(b, id, 5000)
	b = h2.AppendSettings(b, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 100})
	c.write(h2.AppendSettings(b, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 0}))
	c.write(h2.AppendWindowUpdate(nil, id, 1<<20))
	if _, body := c.response(id); len(body) != len(big) {
		t.Errorf("%d bytes came through a window that was negative", len(body))
	}

	// Uploads that nobody reads, as much as their windows allow and more than the
	// sockets of the upstream hold, beside one that is read.
	c = dialH2(t, addr, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 1 << 20})
	piece := make([]byte, 16<<10)
	for range 60 {
		id, b := c.request("POST", "/unread", false)
		for range 3 {
			b = h2.AppendData(b, id, piece, false)
		}
		c.write(b)
	}
	id, b = c.request("POST", "/sum", false)
	for range 3 {
		b = h2.AppendData(b, id, piece, false)
	}
	c.write(h2.AppendData(b, id, nil, true))
	if f, body := c.response(id); body != fmt.Sprint(3*len(piece)) {
		t.Errorf("beside stalled uploads: %v %q", f, body)
	}
	if after := p.rss(); after > before+48<<20 {
		t.Errorf("memory grew from %d to %d MiB", before>>20, after>>20)
	}

	// An upload is not slower for what is stalled.
	begun := time.Now()
	const size = 32 << 20
	resp, err := overHTTP2(t, nil).Post("http://"+addr+"/sum", "", bytes.NewReader(make([]byte, size)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, _ := io.ReadAll(resp.Body); string(got) != fmt.Sprint(size) || time.Since(begun) > 6*patience { // a second, on a machine of its own
		t.Errorf("%s of %d bytes in %v", got, size, time.Since(begun))
	}
}

// Uploads that an endpoint of HTTP/2 does not read, more of them than its window for
// a connection has room for: a neighbour's is taken all the same, and there are few
// connections.
func TestHTTP2StalledUploadsToHTTP2(t *testing.T) {
	t.Parallel()
	for name, window := range map[string]int{"small windows": 65535, "large windows": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var unread atomic.Int64
			release := make(chan struct{})
			endpoint, conns := h2ServerWith(t, &http.HTTP2Config{
				MaxConcurrentStreams: 1000, MaxReceiveBufferPerConnection: window, MaxReceiveBufferPerStream: window,
			}, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/unread" {
					unread.Add(1)
					select {
					case <-release:
					case <-r.Context().Done():
					}
					return
				}
				n, _ := io.Copy(io.Discard, r.Body)
				fmt.Fprint(w, n)
			})
			g := serveYAML(t, documents(plainOn(80), routeDoc("app", ""), h2Backend("app", endpoint)))
			c := dialH2(t, g.addr)
			for range 60 {
				id, b := c.request("POST", "/unread", false)
				for range 3 {
					b = h2.AppendData(b, id, make([]byte, 16<<10), false)
				}
				c.write(b)
			}
			eventually(t, "all have come", func() bool { return unread.Load() == 60 })
			client := overHTTP2(t, nil)
			const size = 300_000
			for range 5 {
				resp, err := client.Post("http://"+g.addr+"/sum", "", bytes.NewReader(make([]byte, size)))
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(resp.Body); string(got) != fmt.Sprint(size) || err != nil {
					t.Errorf("beside stalled uploads: %d %q, %v", resp.StatusCode, got, err)
				}
				resp.Body.Close()
			}
			if n := conns.Load(); n > 17 {
				t.Errorf("%d connections", n)
			}
			t.Logf("%d connections", conns.Load())
			close(release)
		})
	}
}

// Responses over one connection to an endpoint, more than its window had room for
// if it did not grow with them, that their clients do not take: a neighbour is
// served as ever, over the same connection, and memory is what the windows allow.
func TestHTTP2SlowDownloadsStallNobody(t *testing.T) {
	t.Parallel()
	big := bytes.Repeat([]byte("x"), 1<<20)
	app := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/big" {
			w.Write(big)
		}
		io.WriteString(w, "ok")
	}
	t.Run("HTTP2", func(t *testing.T) {
		endpoint, conns := h2Server(t, 1000, app)
		slowDownloadsStallNobody(t, h2Backend("app", endpoint), conns, 3, 100, 64<<10)
	})
	t.Run("HTTP3", func(t *testing.T) {
		endpoint, conns := h3ServerOf(t, 100, app)
		slowDownloadsStallNobody(t, h3Backend("app", "", endpoint), conns, 1, 90, 128<<10)
	})
}

// slowDownloadsStallNobody: window is what a response may have on its way.
func slowDownloadsStallNobody(t *testing.T, backend string, conns *atomic.Int64, clients, each, window int) {
	port := ownPort(t)
	p := start(t, documents(plainOn(port), routeDoc("app", ""), backend))
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	before := p.rss()
	for range clients {
		c := dialH2(t, addr, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 0})
		heads := 0
		for range each {
			c.ask("/big")
		}
		c.until("the heads of all", func(f frame) bool {
			if f.Type == h2.FrameHeaders {
				heads++
			}
			return heads == each
		})
	}
	client := overHTTP2(t, nil)
	for range 20 {
		resp, err := client.Get("http://" + addr + "/")
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); string(body) != "ok" || err != nil {
			t.Errorf("%q, %v", body, err)
		}
		resp.Body.Close()
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections to the endpoint", n)
	}
	if after := p.rss(); after > before+int64(clients*each*window)+48<<20 {
		t.Errorf("memory grew from %d to %d MiB", before>>20, after>>20)
	}
}

// Peers that read in small pieces open windows very often. That is no flood.
func TestHTTP2SmallReads(t *testing.T) {
	t.Parallel()
	const size = 24 << 20
	big := make([]byte, size)
	inBits := func(r io.Reader) (n int) {
		var b [1000]byte
		for {
			m, err := r.Read(b[:])
			n += m
			if err != nil {
				return n
			}
		}
	}
	endpoint, conns := h2Server(t, 100, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Got", fmt.Sprint(inBits(r.Body)))
		if r.Method == "GET" {
			w.Write(big)
		}
	})
	g := serveYAML(t, documents(plainOn(80), routeDoc("app", ""), h2Backend("app", endpoint)))
	client := overHTTP2(t, nil)
	resp, err := client.Get("http://" + g.addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	if n := inBits(resp.Body); n != size {
		t.Errorf("%d bytes down", n)
	}
	resp.Body.Close()
	resp, err = client.Post("http://"+g.addr+"/", "", bytes.NewReader(big))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := resp.Header.Get("X-Got"); got != fmt.Sprint(size) {
		t.Errorf("%s bytes up", got)
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections to the endpoint", n)
	}
}

// What is urgent overtakes what is not (RFC 9218), by header and by frame. What has not come
// from the endpoint yet cannot, so that on a busy machine it takes more than one go.
func TestHTTP2Priorities(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 200_000)
	app := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, big) })
	g := serveYAML(t, documents(plainOn(80), routeDoc("app", ""), backendDoc("app", app.addr)))
	var order []string
	for range 5 {
		order = endsByPriority(t, g, len(big))
		if slices.Equal(order, []string{"urgent", "late", "normal", "slow"}) {
			return
		}
	}
	t.Errorf("the responses end in the order %v", order)
}

// endsByPriority asks for four responses of size bytes on a connection of its own, and says
// in which order they have ended.
func endsByPriority(t *testing.T, g *gateway, size int) (order []string) {
	t.Helper()
	c := dialH2(t, g.addr, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 1 << 20})
	defer c.Close()
	slow := c.ask("/", "priority", "u=6")
	normal := c.ask("/")
	urgent := c.ask("/", "priority", "u=0")
	late := c.ask("/", "priority", "u=7")
	names := map[uint32]string{slow: "slow", normal: "normal", urgent: "urgent", late: "late"}
	heads := 0
	got := map[uint32]int{}
	count := func(f frame) {
		if f.Type == h2.FrameData {
			got[f.StreamID] += len(f.payload)
		}
	}
	// The connection's window is used up by whoever was first.
	c.until("all heads and the whole window", func(f frame) bool {
		if f.Type == h2.FrameHeaders {
			heads++
		}
		count(f)
		return heads == 4 && got[slow]+got[normal]+got[urgent]+got[late] == 65535
	})
	eventually(t, "the responses wait", func() bool { return g.metric("gridway_listener_http2_streams") == 4 })
	c.write(h2.AppendPriorityUpdate(nil, late, "u=1"))
	c.write(h2.AppendWindowUpdate(nil, 0, 1<<20))
	c.until("the end of all", func(f frame) bool {
		count(f)
		if f.Flags.Has(h2.FlagEndStream) && f.Type == h2.FrameData {
			order = append(order, names[f.StreamID])
		}
		return len(order) == 4
	})
	for id, n := range got {
		if n != size {
			t.Errorf("%s: %d bytes", names[id], n)
		}
	}
	return order
}

// What is urgent does not wait behind what the kernel has been given for a client
// that is slow: that is little.
func TestHTTP2UrgentBehindTheKernel(t *testing.T) {
	t.Parallel()
	const size = 32 << 20
	var written atomic.Int64
	answered := make(chan struct{})
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/urgent" {
			io.WriteString(w, "ok")
			_ = http.NewResponseController(w).Flush()
			close(answered)
			return
		}
		piece := make([]byte, 64<<10)
		for n := 0; n < size; n += len(piece) {
			if _, err := w.Write(piece); err != nil {
				return
			}
			written.Add(int64(len(piece)))
		}
	})
	g := serveYAML(t, documents(plainOn(80), routeDoc("app", ""), backendDoc("app", app.addr)))
	nc, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.(*net.TCPConn).SetReadBuffer(32 << 10); err != nil {
		t.Fatal(err)
	}
	c := rawH2(t, nc)
	c.begin(h2.Setting{ID: h2.SettingInitialWindowSize, Value: 1 << 30})
	c.write(h2.AppendWindowUpdate(nil, 0, 1<<30))
	c.ask("/", "priority", "u=7")
	eventually(t, "much is on its way", func() bool { return written.Load() >= 2<<20 })
	urgent := c.ask("/urgent", "priority", "u=0")
	// Nothing is read until the upstream has answered: what comes meanwhile would say how
	// busy the machine is, not what waits for what.
	<-answered
	before := 0
	c.until("the urgent response", func(f frame) bool {
		if f.Type == h2.FrameData && f.StreamID != urgent {
			before += len(f.payload)
		}
		return f.StreamID == urgent && f.Flags.Has(h2.FlagEndStream)
	})
	if before > 1<<20 {
		t.Errorf("%d bytes came before it", before)
	}
}

// A client that cancels a request, or goes, ends the upstream's at once.
func TestHTTP2CancelReachesTheUpstream(t *testing.T) {
	t.Parallel()
	begun, ended := make(chan struct{}), make(chan time.Time)
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			begun <- struct{}{}
			<-r.Context().Done()
			ended <- time.Now()
		}
		io.WriteString(w, "ok")
	})
	g := serveYAML(t, documents(plainOn(80), routeDoc("app", ""), backendDoc("app", app.addr)))
	c := dialH2(t, g.addr)
	fastest := time.Hour
	for range 5 {
		c.response(c.ask("/")) // so that the next one finds a connection
		id := c.ask("/wait")
		<-begun
		at := time.Now()
		c.write(h2.AppendRSTStream(nil, id, h2.Cancel))
		fastest = min(fastest, (<-ended).Sub(at))
	}
	if fastest > 50*time.Millisecond {
		t.Errorf("it took %v at best", fastest)
	}
	c.ask("/wait")
	<-begun
	c.Close()
	<-ended
	g.logged(`"path":"/wait"`, `"protocol":"HTTP/2"`, "ClientGone")
	eventually(t, "nothing is open", func() bool {
		return g.metric("gridway_listener_http2_streams") == 0 && g.metric("gridway_listener_http2_connections") == 0
	})
	if n := g.metric("gridway_listener_http2_resets_total", `by="client"`, `code="cancel"`); n != 5 {
		t.Errorf("%v resets were counted", n)
	}
}
