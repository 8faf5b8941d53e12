package e2e

import (
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
