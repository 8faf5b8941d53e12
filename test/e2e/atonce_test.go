package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/proxy/limit/redis/redistest"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

// atOnce is a limit of requests in progress that gateways count together.
func atOnce(most int, onError string) string {
	return fmt.Sprintf("- {name: at-once, key: [{type: Header, name: X-Tenant}], concurrency: %d, global: {storeRef: {name: shared}, timeout: 10s%s}}", most, onError)
}

// eachShared runs f with each kind of store that several gateways share: a document,
// and an option that gives a gateway what it needs.
func eachShared(t *testing.T, f func(t *testing.T, doc string, with func() option)) {
	statetest.Each(t, func(t *testing.T, place string) {
		f(t, leaseStore, func() option { return keeping(t, place) })
	})
	t.Run("Redis", func(t *testing.T) {
		t.Parallel()
		f(t, redisAt(redistest.Start(t).Addr), func() option { return func(*proxy.Options) {} })
	})
}

// TestConcurrencyOfThreeGateways: three gateways together have as many requests in
// progress as there may be, and one more when one ends.
func TestConcurrencyOfThreeGateways(t *testing.T) {
	t.Parallel()
	eachShared(t, func(t *testing.T, doc string, with func() option) {
		app := startGate(t)
		yaml := limited(app.addr, atOnce(7, ""), doc)
		gateways := make([]*gateway, 3)
		waits := make([]func() map[string]int, 3)
		for i := range gateways {
			gateways[i] = serveYAML(t, yaml, with())
		}
		for i, g := range gateways {
			waits[i] = g.background(10, header("X-Tenant", "a"))
		}
		limited := func() (n float64) {
			for _, g := range gateways {
				n += g.metric("gridway_rate_limit_requests_total", `result="limited"`)
			}
			return n
		}
		eventually(t, "seven are in progress, the rest is refused", func() bool { return limited() == 23 && app.arrived.Load() == 7 })
		resp, _ := gateways[2].get("/", header("X-Tenant", "a"))
		want(t, resp, 429, "RateLimited")
		if resp.Header.Get("Retry-After") != "1" || resp.Header.Get("RateLimit") != `"at-once";r=0` {
			t.Errorf("%v", resp.Header)
		}
		// A change of the configuration gives no places, but those that are more.
		gateways[0].apply(strings.Replace(yaml, "concurrency: 7", "concurrency: 8", 1))
		more := gateways[0].background(3, header("X-Tenant", "a"))
		eventually(t, "one more place", func() bool { return app.arrived.Load() == 8 && limited() == 23+1+2 })
		app.open()
		passed := more()["ok"]
		for _, wait := range waits {
			passed += wait()["ok"]
		}
		if passed != 8 || app.most.Load() != 8 {
			t.Errorf("%d have passed, %d were in progress", passed, app.most.Load())
		}
		// Places that nobody has are there for whoever comes.
		eventually(t, "all places are free", func() bool {
			resp, _ := gateways[1].get("/", header("X-Tenant", "a"))
			return resp.StatusCode == 200 && resp.Header.Get("RateLimit") == `"at-once";r=6`
		})
		for range 20 {
			resp, _ := gateways[1].get("/", header("X-Tenant", "a"))
			want(t, resp, 200, "")
		}
		if n := gateways[1].metric("gridway_rate_limit_fallbacks_total"); n != 0 {
			t.Errorf("%v fallbacks", n)
		}
	})
}

// TestConcurrencyWithOtherLimits: what another limit refuses has no place, whichever is
// asked first.
func TestConcurrencyWithOtherLimits(t *testing.T) {
	t.Parallel()
	eachShared(t, func(t *testing.T, doc string, with func() option) {
		g := serveYAML(t, limited(saysOK(t), atOnce(1, "")+`
- {name: few, key: [{type: Header, name: X-Few}], onMissingKey: Skip, quota: {amount: 1, window: Month}, global: {storeRef: {name: shared}, timeout: 10s}}
- {name: own, key: [{type: Header, name: X-Own}], onMissingKey: Skip, rate: 1/h}
`, doc), with())
		for _, by := range []string{"X-Few", "X-Own"} {
			if got := g.tally(5, 1, "/", header("X-Tenant", "a"), header(by, "x")); got["ok"] != 1 {
				t.Errorf("%s: %v", by, got)
			}
			resp, _ := g.get("/", header("X-Tenant", "a"))
			want(t, resp, 200, "")
		}
	})
}

// TestConcurrencyOfKilledGateway: the places of a gateway that is killed come back, and
// not before ten seconds; one that is stopped gives them back.
func TestConcurrencyOfKilledGateway(t *testing.T) {
	t.Parallel()
	app, server := startGate(t), redistest.Start(t)
	doc := redisAt(server.Addr)
	port := ownPort(t)
	p := start(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", app.addr),
		rateLimitDoc("api", "HTTPRoute", "app", "limits:\n"+atOnce(3, "")), doc))
	done := make(chan error, 2)
	for range 2 {
		go func() {
			req, err := http.NewRequest("GET", fmt.Sprintf("http://127.0.0.1:%d/", port), nil)
			if err != nil {
				done <- err
				return
			}
			req.Header.Set("X-Tenant", "a")
			resp, err := http.DefaultClient.Do(req)
			if err == nil {
				resp.Body.Close()
			}
			done <- nil
		}()
	}
	eventually(t, "two are in progress", func() bool { return app.arrived.Load() == 2 })
	g := serveYAML(t, limited(app.addr, atOnce(3, ""), doc))
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.done
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	waits := []func() map[string]int{g.background(3, header("X-Tenant", "a"))}
	eventually(t, "one more has a place", func() bool {
		return app.arrived.Load() == 3 && g.metric("gridway_rate_limit_requests_total", `result="limited"`) == 2
	})
	killed, tick := time.Now(), time.NewTicker(100*time.Millisecond)
	defer tick.Stop()
	for app.arrived.Load() < 5 {
		if <-tick.C; time.Since(killed) > 30*time.Second {
			t.Fatal("the places of the killed gateway do not come back")
		}
		waits = append(waits, g.background(1, header("X-Tenant", "a")))
	}
	if took := time.Since(killed); took < 5*time.Second {
		t.Errorf("the places came back after %s: a gateway that was only slow would have lost them", took)
	}
	app.open()
	for _, wait := range waits {
		wait()
	}
	if n := app.most.Load(); n != 3 {
		t.Errorf("%d were in progress, there are three places", n)
	}
}

// TestConcurrencyWithoutStore: Redis is killed, and comes back with nothing; it learns
// what is in progress, of requests too that were let in meanwhile.
func TestConcurrencyWithoutStore(t *testing.T) {
	t.Parallel()
	app, server := startGate(t), redistest.Start(t)
	doc := redisAt(server.Addr)
	local := serveYAML(t, limited(app.addr, atOnce(6, ""), doc)) // which is Local by default
	deny := serveYAML(t, limited(app.addr, atOnce(6, ", onError: Deny"), doc))
	allow := serveYAML(t, limited(app.addr, atOnce(6, ", onError: Allow"), doc))
	tenant := header("X-Tenant", "a")
	waits := []func() map[string]int{local.background(1, tenant), deny.background(1, tenant)}
	eventually(t, "two are in progress", func() bool { return app.arrived.Load() == 2 })
	server.Kill()
	resp, _ := deny.get("/", tenant)
	want(t, resp, 503, "RateLimitUnavailable")
	waits = append(waits, allow.background(1, tenant), local.background(6, tenant))
	eventually(t, "everybody passes one, and the other goes on by itself up to its six", func() bool {
		return app.arrived.Load() == 2+1+5 && local.metric("gridway_rate_limit_requests_total", `result="limited"`) == 1
	})
	server.Run()
	total := func() int { // of what gateways say to have
		n := 0
		for _, key := range strings.Fields(strings.Trim(server.Do("KEYS", "gridway:default/api/at-once*"), "[]")) {
			for _, holder := range strings.Split(valueIn(server, key), ";") {
				var name string
				var places int
				if _, err := fmt.Sscan(holder, &name, &places); err == nil {
					n += places
				}
			}
		}
		return n
	}
	eventually(t, "Redis knows of eight", func() bool { return total() == 8 })
	for _, g := range []*gateway{local, deny, allow} {
		resp, _ := g.get("/", tenant)
		want(t, resp, 429, "RateLimited")
	}
	app.open()
	passed := 0
	for _, wait := range waits {
		passed += wait()["ok"]
	}
	if passed != 8 {
		t.Errorf("%d have passed", passed)
	}
	eventually(t, "Redis knows of none", func() bool { return total() == 0 })
}

// TestConcurrencyOfStreams: WebSockets and streams of every version of HTTP have a place
// until they end, which is renewed as long as they last.
func TestConcurrencyOfStreams(t *testing.T) {
	t.Parallel()
	for _, down := range wsClients {
		t.Run("WebSocket over "+down, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			s := serveWS(t, nil)
			yaml := documents(wsConfig(t, down, "http", s.addr, ""), redisAt(server.Addr),
				rateLimitDoc("api", "HTTPRoute", "app", "limits: [{name: at-once, concurrency: 1, global: {storeRef: {name: shared}, timeout: 10s, onError: Deny}}]"))
			g, other := serveYAML(t, yaml), serveYAML(t, yaml)
			socket, err := g.openWS(down, "/")
			if err != nil {
				t.Fatal(err)
			}
			renewed(t, server)
			if _, err := other.openWS(down, "/"); err == nil || !strings.Contains(err.Error(), "429") {
				t.Errorf("a second one: %v", err)
			}
			socket.reset()
			eventually(t, "the place is free", func() bool {
				again, err := other.openWS(down, "/")
				if err == nil {
					again.reset()
				}
				return err == nil
			})
		})
	}
	t.Run("gRPC", func(t *testing.T) {
		t.Parallel()
		server := redistest.Start(t)
		app := serveProtocols(t, plainProtocols(), func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.(http.Flusher).Flush()
			_, _ = io.Copy(w, r.Body)
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		})
		g := serveYAML(t, documents(gatewayDoc, backendDoc("app", app.addr)+"  protocol: h2c\n", redisAt(server.Addr), `apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: calls}
spec:
  parentRefs: [{name: edge}]
  rules:
  - {backendRefs: [{group: gridway.dev, kind: Backend, name: app}]}
`, rateLimitDoc("api", "GRPCRoute", "calls", "limits: [{name: at-once, concurrency: 1, global: {storeRef: {name: shared}, timeout: 10s, onError: Deny}}]")))
		client := overHTTP2(t, nil)
		call := func(body io.Reader) *http.Response {
			resp, err := client.Do(g.request("POST", shopMethod, body, header("Content-Type", "application/grpc"), header("TE", "trailers")))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { resp.Body.Close() })
			return resp
		}
		r, w := io.Pipe()
		stream := call(r)
		renewed(t, server)
		if resp := call(bytes.NewReader(make([]byte, 5))); resp.Header.Get("Grpc-Status") != "8" || resp.Header.Get("X-Gridway-Reason") != "RateLimited" {
			t.Errorf("a second call: %v", resp.Header)
		}
		w.Close()
		if _, err := io.Copy(io.Discard, stream.Body); err != nil || stream.Trailer.Get("Grpc-Status") != "0" {
			t.Errorf("%v %v", err, stream.Trailer)
		}
		eventually(t, "the place is free", func() bool {
			resp := call(bytes.NewReader(make([]byte, 5)))
			_, _ = io.Copy(io.Discard, resp.Body)
			return resp.Trailer.Get("Grpc-Status") == "0"
		})
	})
}

// renewed waits until the places of a key are said to be in use again.
func renewed(t *testing.T, server *redistest.Server) {
	t.Helper()
	key := ""
	eventually(t, "Redis knows of a place", func() bool {
		key = strings.Trim(server.Do("KEYS", "gridway:default/api/at-once*"), "[]")
		return key != ""
	})
	was := valueIn(server, key)
	eventually(t, "it is said again", func() bool { now := valueIn(server, key); return now != was && now != "" })
}

// valueIn is what a key has, or nothing.
func valueIn(server *redistest.Server, key string) string {
	return server.Do("EVAL", "return redis.call('GET', KEYS[1]) or ''", "1", key)
}
