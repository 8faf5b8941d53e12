package e2e

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/h2"
)

// over is a policy of clients.
func clientPolicyDoc(fields string) string {
	return "apiVersion: gridway.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {name: clients}\n" +
		"spec:\n  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]\n  client: {" + fields + "}\n"
}

// Each of these ends a connection, or a stream, at its time and not later.
func TestHTTP2Timeouts(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 300_000)
	app := serve(t, func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(big)) })
	g := serveYAML(t, documents(plainOn(80), routeDoc("app", ""), backendDoc("app", app.addr),
		clientPolicyDoc("timeouts: {idle: 400ms, bodyIdle: 300ms, header: 300ms, request: 2s}")))

	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		c := dialH2(t, g.addr, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 1 << 20})
		c.write(h2.AppendWindowUpdate(nil, 0, 1<<20))
		if _, body := c.response(c.ask("/")); len(body) != len(big) {
			t.Fatalf("%d bytes", len(body))
		}
		begun := time.Now()
		c.until("GOAWAY", func(f frame) bool { return f.Type == h2.FrameGoAway })
		if took := time.Since(begun); took < 300*time.Millisecond || took > 2*time.Second {
			t.Errorf("GOAWAY after %v", took)
		}
		p := c.until("PING", func(f frame) bool { return f.Type == h2.FramePing })
		c.write(h2.AppendPing(nil, [8]byte(p.payload), true))
		c.isCutOff(h2.NoError, "")
	})
	t.Run("silent", func(t *testing.T) {
		t.Parallel()
		c := dialH2(t, g.addr)
		c.until("GOAWAY", func(f frame) bool { return f.Type == h2.FrameGoAway })
	})
	t.Run("window never opens", func(t *testing.T) {
		t.Parallel()
		c := dialH2(t, g.addr, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 1000})
		begun := time.Now()
		c.isReset(c.ask("/"), h2.Cancel)
		if took := time.Since(begun); took < 300*time.Millisecond || took > 3500*time.Millisecond {
			t.Errorf("reset after %v", took)
		}
	})
	t.Run("headers never end", func(t *testing.T) {
		t.Parallel()
		c := dialH2(t, g.addr)
		_, b := c.get("/")
		b[4] &^= byte(h2.FlagEndHeaders)
		c.write(b)
		c.isCutOff(h2.EnhanceYourCalm, "HeaderTimeout")
	})
	t.Run("body never comes", func(t *testing.T) {
		t.Parallel()
		c := dialH2(t, g.addr, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 1 << 20})
		id, b := c.request("POST", "/", false)
		c.write(b)
		if f, _ := c.response(id); f[":status"] != "408" || f["x-gridway-reason"] != "RequestTimeout" {
			t.Errorf("answered with %v", f)
		}
		c.isReset(id, h2.NoError)
	})
}

// A client that never acknowledges SETTINGS, and one that goes on to send requests
// after it was told which was the last that is taken.
func TestHTTP2ClientsThatDoNotListen(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(release) })
	g := serveYAML(t, documents(plainOn(80), routeDoc("app", ""), backendDoc("app", app.addr), clientPolicyDoc("limits: {requestsPerConnection: 1}")))
	t.Run("settings", func(t *testing.T) {
		t.Parallel()
		nc, err := net.Dial("tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		c := rawH2(t, nc)
		nc.SetDeadline(time.Now().Add(8 * patience))
		c.write(h2.AppendSettings([]byte(h2.Preface)))
		c.isCutOff(h2.SettingsTimeout, "SettingsTimeout")
	})
	t.Run("the window", func(t *testing.T) {
		t.Parallel()
		c := dialH2(t, g.addr)
		id, b := c.request("POST", "/", false)
		for range 4 {
			b = h2.AppendData(b, id, make([]byte, 16<<10), false)
		}
		c.write(h2.AppendData(b, id, []byte("x"), false))
		f := c.until("reset", func(f frame) bool { return f.Type == h2.FrameRSTStream && f.StreamID == id })
		if f.code() != h2.FlowControlError {
			t.Errorf("reset with %s", f.code())
		}
	})
	t.Run("the last request", func(t *testing.T) {
		t.Parallel()
		c := dialH2(t, g.addr)
		before := app.requests.Load()
		c.ask("/")
		eventually(t, "the request is taken", func() bool { return app.requests.Load() > before })
		ping := c.until("PING", func(f frame) bool { return f.Type == h2.FramePing })
		c.write(h2.AppendPing(nil, [8]byte(ping.payload), true))
		go func() {
			for range enough {
				if _, b := c.get("/"); c.flood1(b) != nil {
					return
				}
			}
		}()
		reasons := []string{}
		c.until("the end", func(f frame) bool {
			if f.Type == h2.FrameGoAway {
				reasons = append(reasons, string(f.payload[8:]))
			}
			return f.Type == h2.FrameGoAway && f.code() == h2.EnhanceYourCalm
		})
		if n := app.requests.Load(); n > 2 || // one is of another connection
			reasons[len(reasons)-1] != "ControlFlood" {
			t.Errorf("%d requests were taken; the connection ended with %q", n, reasons)
		}
	})
}
