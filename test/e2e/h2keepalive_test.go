package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/h2"
)

// freezing is a relay to an endpoint that can stop to carry anything, without a
// word to either side, as a network does that has lost a host.
type freezing struct {
	addr   string
	conns  atomic.Int64
	frozen atomic.Int64 // connections up to this number are
}

func freeze(t *testing.T, to string) *freezing {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &freezing{addr: ln.Addr().String()}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			n := f.conns.Add(1)
			up, err := net.Dial("tcp", to)
			if err != nil {
				c.Close()
				continue
			}
			t.Cleanup(func() { c.Close(); up.Close() })
			move := func(dst, src net.Conn) {
				var b [4 << 10]byte
				for {
					m, err := src.Read(b[:])
					if f.frozen.Load() >= n { // what comes is lost, and so is its end
						if err != nil {
							return
						}
						continue
					}
					if m > 0 {
						dst.Write(b[:m])
					}
					if err != nil {
						dst.Close()
						return
					}
				}
			}
			go move(up, c)
			go move(c, up)
		}
	}()
	return f
}

// An endpoint that has vanished is noticed: by PING where that is asked for, and
// otherwise once a request has timed out. Others do not wait for theirs.
func TestHTTP2EndpointVanishes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy string
		status int // of the request that meets it
	}{
		"keep-alive": {"connectionPool: {http2KeepAlive: 300ms}", 502},
		"timeout":    {"timeouts: {request: 500ms}", 504},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			endpoint, _ := h2Server(t, 100, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
			f := freeze(t, endpoint)
			g := serveYAML(t, documents(plainOn(80), routeDoc("app", ""), h2Backend("app", f.addr), policyDoc("app", "Backend", "app", "retry: {attempts: 0}"), policyDoc("route", "HTTPRoute", "app", c.policy)))
			if _, body := g.get("/"); body != "ok" {
				t.Fatalf("%q", body)
			}
			f.frozen.Store(1)
			if resp, _ := g.post("/", "x"); resp.StatusCode != c.status {
				t.Errorf("the first request is answered %d", resp.StatusCode)
			}
			again := false
			for begun := time.Now(); !again && time.Since(begun) < 6*patience; { // five seconds are allowed for an answer
				resp, body := g.get("/")
				again = resp.StatusCode == 200 && body == "ok"
			}
			if !again {
				t.Error("no other connection was made")
			}
			if n := f.conns.Load(); n != 2 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// A client that has vanished, in the middle of a request, is noticed by PING. One
// that is silent and there is not cut off.
func TestHTTP2ClientVanishes(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 2)
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		ended <- struct{}{}
	})
	g := serveYAML(t, documents(plainOn(80), routeDoc("app", ""), backendDoc("app", app.addr), clientPolicyDoc("timeouts: {http2KeepAlive: 1s}")))
	there := dialH2(t, g.addr)
	there.ask("/")
	for range 3 {
		p := there.until("PING", func(f frame) bool { return f.Type == h2.FramePing })
		there.write(h2.AppendPing(nil, [8]byte(p.payload), true))
	}
	select {
	case <-ended:
		t.Error("the request of a client that answers has ended")
	default:
	}
	begun := time.Now()
	there.until("GOAWAY", func(f frame) bool { return f.Type == h2.FrameGoAway })
	if took := time.Since(begun); took < 1500*time.Millisecond {
		t.Errorf("cut off after %v", took)
	}
	select {
	case <-ended:
	case <-time.After(onBusy):
		t.Error("the endpoint still works for a client that has gone")
	}
	eventually(t, "it is counted", func() bool {
		return g.metric("gridway_listener_http2_goaways_total", `reason="PingTimeout"`) == 1
	})
	idle := dialH2(t, g.addr) // without requests nobody is asked
	idle.Conn.SetReadDeadline(time.Now().Add(time.Second))
	for {
		f, err := idle.read()
		if err != nil {
			break
		}
		if f.Type == h2.FramePing || f.Type == h2.FrameGoAway {
			t.Errorf("a connection without requests got %v", f)
		}
	}
}

// What maxRequests says of connections holds for those that are shared.
func TestSharedConnectionsCarrySoManyRequests(t *testing.T) {
	t.Parallel()
	endpoint, conns := h2Server(t, 100, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	g := serveYAML(t, documents(plainOn(80), routeDoc("app", ""), h2Backend("app", endpoint),
		policyDoc("app", "Backend", "app", "connectionPool: {maxRequests: 10}")))
	g.parallel(200, 16, func(i int) {
		resp, err := g.client.Post("http://"+g.addr+"/", "", bytes.NewReader(fmt.Append(nil, i)))
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		if b, err := io.ReadAll(resp.Body); string(b) != fmt.Sprint(i) || err != nil {
			t.Errorf("%d: %d %q %v", i, resp.StatusCode, b, err)
		}
	})
	if n := conns.Load(); n < 20 || n > 40 {
		t.Errorf("%d connections for 200 requests, 10 on each", n)
	}
}
