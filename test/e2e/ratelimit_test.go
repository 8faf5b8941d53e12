package e2e

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

func rateLimitDoc(name, kind, target, spec string) string {
	return strings.Replace(policyDoc(name, kind, target, spec), "kind: TrafficPolicy", "kind: RateLimitPolicy", 1)
}

// limited is a route with limits on it.
func limited(addr, limits string, more ...string) string {
	return documents(append([]string{edge("", addr), rateLimitDoc("api", "HTTPRoute", "app", "limits:\n"+strings.Trim(limits, "\n"))}, more...)...)
}

// saysOK answers "ok", with what the header X-Cost of the request says as its own,
// or as a trailer.
func saysOK(t *testing.T) string {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if c := r.Header.Get("X-Cost"); c != "" {
			w.Header().Set("X-Cost", c)
		}
		io.WriteString(w, "ok")
		if c := r.Header.Get("X-Late-Cost"); c != "" {
			w.(http.Flusher).Flush()
			w.Header().Set(http.TrailerPrefix+"X-Cost", c)
		}
	}).addr
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	g := serveYAML(t, limited(saysOK(t), `
- {name: per-client, key: [{type: ClientIP}], rate: 3/h, burst: 2}
- {name: monthly, key: [{type: Header, name: X-Tenant}], quota: {amount: 3, window: Month, timeZone: Europe/Berlin}, onMissingKey: Skip}
`))
	first, _ := g.get("/first")
	want(t, first, 200, "")
	if p, r := first.Header.Get("RateLimit-Policy"), first.Header.Get("RateLimit"); p != `"per-client";q=3;w=3600;gridway-burst=2` || r != `"per-client";r=1;t=1200` {
		t.Errorf("%s, %s", p, r)
	}
	second, _ := g.get("/second", header("X-Tenant", "a"))
	if p := second.Header.Get("RateLimit-Policy"); p != `"per-client";q=3;w=3600;gridway-burst=2, "monthly";q=3;w=2678400` {
		t.Error(p)
	}
	if r := second.Header.Get("RateLimit"); !strings.HasPrefix(r, `"per-client";r=0;t=12`) && !strings.HasPrefix(r, `"per-client";r=0;t=11`) || !strings.Contains(r, `, "monthly";r=2;t=`) {
		t.Error(r)
	}
	third, body := g.get("/third", header("X-Tenant", "a"))
	want(t, third, 429, "RateLimited")
	if s, err := strconv.Atoi(third.Header.Get("Retry-After")); err != nil || s < 1100 || s > 1200 {
		t.Errorf("Retry-After %s", third.Header.Get("Retry-After"))
	}
	if !strings.Contains(third.Header.Get("RateLimit"), `, "monthly";r=2;t=`) || !strings.Contains(body, `"reason":"RateLimited"`) {
		t.Errorf("a refused request was charged: %s, %s", third.Header.Get("RateLimit"), body)
	}
	g.logged(`"path":"/third"`, `"status":429`, `"reason":"RateLimited"`, `"policy":"default/api"`, `per-client`)
	for result, n := range map[string]float64{"allowed": 2, "limited": 1} {
		if got := g.metric("gridway_rate_limit_requests_total", `policy="default/api"`, `limit="per-client"`, `result="`+result+`"`); got != n {
			t.Errorf("%s: %v, want %v", result, got, n)
		}
	}
}

// TestRateLimitCountsExactly has many ask at once, over all versions of HTTP,
// while the configuration changes: nobody gets more than there is, nor less.
func TestRateLimitCountsExactly(t *testing.T) {
	t.Parallel()
	addr := saysOK(t)
	yaml := func(i int) string {
		return limited(addr, fmt.Sprintf(`
- name: per-tenant
  key: [{type: Header, name: X-Tenant}]
  rate: 60/h
- name: daily
  key: [{type: Header, name: X-Tenant}]
  quota: {amount: %d, window: Month}
- name: at-once
  concurrency: 1000
`, 1000+i), rateLimitDoc("other", "Gateway", "edge", fmt.Sprintf("limits: [{name: much, rate: %d/s}]", 100_000+i)))
	}
	g := serveYAML(t, yaml(0))
	http1, http2 := g.client, overHTTP2(t, nil)
	stop := make(chan struct{})
	changed := make(chan int)
	go func() {
		n := 1
		for ; ; n++ {
			select {
			case <-stop:
				changed <- n
				return
			default:
				g.apply(yaml(n))
			}
		}
	}()
	counts := [2]map[int]int{{}, {}}
	results := make(chan [2]int, 400)
	g.parallel(400, 16, func(i int) {
		client := http1
		if i%4 < 2 {
			client = http2
		}
		resp, err := client.Do(g.request("GET", "/", nil, header("X-Tenant", strconv.Itoa(i%2))))
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		results <- [2]int{i % 2, resp.StatusCode}
	})
	close(stop)
	changes := <-changed
	close(results)
	for r := range results {
		counts[r[0]][r[1]]++
	}
	for tenant := range counts {
		if counts[tenant][200] != 60 || counts[tenant][429] != 140 {
			t.Errorf("tenant %d after %d changes: %v, want 60 let through and 140 refused", tenant, changes, counts[tenant])
		}
	}
}

// TestRateLimitIsAllOrNothing: what one limit refuses is charged to no other.
func TestRateLimitIsAllOrNothing(t *testing.T) {
	t.Parallel()
	g := serveYAML(t, limited(saysOK(t), `
- {name: wide, rate: 10/h}
- {name: narrow, rate: 2/h, key: [{type: Path}]}
- {name: places, concurrency: 1}
- {name: dry, rate: 1/h, dryRun: true}
`))
	if got := g.tally(6, 1, "/a"); got["ok"] != 2 || got["429 RateLimited"] != 4 {
		t.Errorf("%v", got)
	}
	resp, _ := g.get("/b")
	want(t, resp, 200, "")
	if r := resp.Header.Get("RateLimit"); !strings.HasPrefix(r, `"wide";r=7;`) || !strings.Contains(r, `"places";r=0`) || strings.Contains(r, "dry") {
		t.Error(r)
	}
	if n := g.metric("gridway_rate_limit_requests_total", `limit="dry"`, `result="would_limit"`); n < 2 {
		t.Errorf("the dry run would have refused %v", n)
	}
}

func TestRateLimitKeys(t *testing.T) {
	t.Parallel()
	addr := saysOK(t)
	g := serveYAML(t, documents(
		edge("", addr),
		keyed("acme", "plan: gold", "first", keyA, "second", keyB), keyed("other", "plan: gold", "third", "other-key-0123456789abc"),
		authenticationDoc("keys", "Gateway", "edge", "mode: Optional\nanyOf: [{apiKey: {}}]"),
		rateLimitDoc("clients", "Gateway", "edge", `
limits:
- {name: attempts, key: [{type: ClientIP, ipv4PrefixLength: 8}], rate: 12/h, matches: [{path: {value: /guess}}]}
- {name: tenants, key: [{type: Header, name: X-Tenant}], rate: 1/h, onMissingKey: Deny, matches: [{path: {value: /tenant}}]}`),
		rateLimitDoc("api", "HTTPRoute", "app", `
limits:
- {name: consumers, key: [{type: Consumer}], rate: 3/h, matches: [{path: {value: /consumer}}]}
- {name: plans, key: [{type: Plan}], rate: 3/h, onMissingKey: Skip, matches: [{path: {value: /plan}}]}
- {name: credentials, key: [{type: Credential}, {type: Method}], rate: 1/h, matches: [{path: {value: /credential}}]}`),
	))
	key := func(k string) edit { return header("X-API-Key", k) }
	ok := func(what string, n int, path string, edits ...edit) {
		t.Helper()
		if got := g.tally(n+5, 1, path, edits...); got["ok"] != n {
			t.Errorf("%s: %v, want %d", what, got, n)
		}
	}
	ok("a consumer, by either credential", 3, "/consumer", key(keyA))
	if got := g.tally(2, 1, "/consumer", key(keyB)); got["429 RateLimited"] != 2 {
		t.Errorf("another credential of the same consumer: %v", got)
	}
	ok("another consumer", 3, "/consumer", key("other-key-0123456789abc"))
	ok("nobody: they share", 3, "/consumer")
	ok("a plan", 3, "/plan", key(keyA))
	if got := g.tally(1, 1, "/plan", key("other-key-0123456789abc")); got["429 RateLimited"] != 1 {
		t.Errorf("another consumer with the same plan: %v", got)
	}
	if got := g.tally(9, 1, "/plan"); got["ok"] != 9 {
		t.Errorf("without a plan the limit is passed over: %v", got)
	}
	ok("a credential", 1, "/credential", key(keyA))
	ok("another", 1, "/credential", key(keyB))
	ok("a tenant", 1, "/tenant", header("X-Tenant", "a"))
	ok("another", 1, "/tenant", header("x-tenant", "b"))
	resp, _ := g.get("/tenant")
	want(t, resp, 403, "RateLimitKeyMissing")
	// Who guesses credentials is counted before anybody knows that they are wrong.
	if got := g.tally(20, 1, "/guess", key("wrong-key-0123456789abc")); got["401 InvalidCredential"] != 12 || got["429 RateLimited"] != 8 {
		t.Errorf("guesses: %v", got)
	}
}

func TestRateLimitCost(t *testing.T) {
	t.Parallel()
	g := serveYAML(t, limited(saysOK(t), `
- {name: tokens, rate: 100/h, cost: {request: 10, fromResponseHeader: X-Cost}}
`))
	for _, c := range []struct{ field, value, left string }{
		{"X-Cost", "30", "70"},      // 20 more than it was charged
		{"X-Cost", "2", "68"},       // 8 are given back
		{"X-Cost", "0", "68"},       // all of it
		{"X-Other", "", "58"},       // nothing is said: what was charged stays
		{"X-Cost", "many", "48"},    // nor anything that can be read
		{"X-Cost", "-5", "38"},      //
		{"X-Late-Cost", "13", "28"}, // the trailer comes too late for the header
		{"X-Cost", "60", "0"},       // of 25 that were left
	} {
		resp, _ := g.get("/", header(c.field, c.value))
		want(t, resp, 200, "")
		if got := resp.Header.Get("RateLimit"); !strings.HasPrefix(got, `"tokens";r=`+c.left+";") {
			t.Errorf("%s: %s: %s, want %s left", c.field, c.value, got, c.left)
		}
	}
	resp, _ := g.get("/")
	want(t, resp, 429, "RateLimited")
	// 35 are owed, and 10 are needed: 45 of 100 per hour.
	if s, _ := strconv.Atoi(resp.Header.Get("Retry-After")); s < 1500 || s > 1620 {
		t.Errorf("Retry-After %d", s)
	}
}

func TestRateLimitConcurrency(t *testing.T) {
	t.Parallel()
	app := startGate(t)
	g := serveYAML(t, limited(app.addr, `
- {name: at-once, key: [{type: Header, name: X-Tenant}], concurrency: 3}
`))
	wait := g.background(10, header("X-Tenant", "a"))
	eventually(t, "three are in progress, the rest is refused", func() bool {
		return app.arrived.Load() == 3 && g.metric("gridway_rate_limit_requests_total", `result="limited"`) == 7
	})
	// A change of the configuration gives no places.
	g.apply(limited(app.addr, `
- {name: at-once, key: [{type: Header, name: X-Tenant}], concurrency: 4}
`))
	more := g.background(3, header("X-Tenant", "a"))
	eventually(t, "one more place", func() bool {
		return app.arrived.Load() == 4 && g.metric("gridway_rate_limit_requests_total", `result="limited"`) == 9
	})
	app.open()
	if got := wait(); got["ok"] != 3 {
		t.Errorf("%v", got)
	}
	if got := more(); got["ok"] != 1 {
		t.Errorf("%v", got)
	}
	eventually(t, "all places are free", func() bool { return g.metric("gridway_rate_limit_keys") == 0 })
}

func TestRateLimitBandwidth(t *testing.T) {
	t.Parallel()
	const size = 1_500_000
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/down" {
			_, _ = w.Write(make([]byte, size))
			return
		}
		fmt.Fprint(w, n)
	})
	limits := `
- {name: bytes, key: [{type: Header, name: X-Tenant}], bandwidth: {request: 1MB/s, response: 1MB/s}}
`
	g := serveYAML(t, limited(app.addr, limits))
	over3 := http3Edge(t, "http3: {}", routeDoc("app", ""), backendDoc("app", app.addr), rateLimitDoc("api", "HTTPRoute", "app", "limits:"+limits))
	buffered := serveYAML(t, documents(edge("buffer: {requestBytes: 2000000}", app.addr), rateLimitDoc("api", "HTTPRoute", "app", "limits:"+limits)))
	clients := map[string]*http.Client{"HTTP/1.1": g.client, "HTTP/2": overHTTP2(t, nil), "HTTP/3": overHTTP3(t, "a.example"), "buffered": buffered.client}
	for name, client := range clients {
		for _, path := range []string{"/up", "/down"} {
			t.Run(name+path, func(t *testing.T) {
				t.Parallel()
				to := g
				switch name {
				case "buffered":
					to = buffered
				case "HTTP/3":
					to = over3
				}
				// A second's worth passes at once, the rest in half a second.
				within(t, 450*time.Millisecond, 20*time.Second, func() {
					var body io.Reader
					if path == "/up" {
						body = bytes.NewReader(make([]byte, size))
					}
					req := to.request("POST", path, body, header("X-Tenant", name+path))
					if name == "HTTP/3" {
						req.URL.Scheme, req.Host = "https", "a.example"
					}
					resp, err := client.Do(req)
					if err != nil {
						t.Error(err)
						return
					}
					defer resp.Body.Close()
					got, err := io.ReadAll(resp.Body)
					if err != nil || path == "/down" && len(got) != size || path == "/up" && string(got) != strconv.Itoa(size) {
						t.Errorf("%d bytes, %.20q, %v", len(got), got, err)
					}
				})
			})
		}
	}
}

// TestRateLimitGRPC: calls end with RESOURCE_EXHAUSTED, and say when to try again.
func TestRateLimitGRPC(t *testing.T) {
	t.Parallel()
	app := serveProtocols(t, plainProtocols(), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", "0")
	})
	g := serveYAML(t, documents(gatewayDoc, backendDoc("app", app.addr)+"  protocol: h2c\n", `apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: calls}
spec:
  parentRefs: [{name: edge}]
  rules:
  - {backendRefs: [{group: gridway.dev, kind: Backend, name: app}]}
`, rateLimitDoc("api", "GRPCRoute", "calls", "limits: [{name: calls, rate: 1/m}, {name: monthly, quota: {amount: 5, window: Month}}]")))
	client := overHTTP2(t, nil)
	call := func() *http.Response {
		resp, err := client.Do(g.request("POST", shopMethod, bytes.NewReader(make([]byte, 5)), header("Content-Type", "application/grpc"), header("TE", "trailers")))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp
	}
	if resp := call(); resp.Header.Get("Grpc-Status") != "0" || !strings.HasPrefix(resp.Header.Get("RateLimit"), `"calls";r=0;t=60, "monthly";r=4;`) {
		t.Errorf("%v", resp.Header)
	}
	resp := call()
	if resp.StatusCode != 200 || resp.Header.Get("Grpc-Status") != "8" || resp.Header.Get("X-Gridway-Reason") != "RateLimited" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	if ms, err := strconv.Atoi(resp.Header.Get("Grpc-Retry-Pushback-Ms")); err != nil || ms < 30_000 || ms > 60_000 {
		t.Errorf("pushback %q", resp.Header.Get("Grpc-Retry-Pushback-Ms"))
	}
}

// TestRateLimitByClaim: tokens' claims tell who is counted together, what a request
// costs, and whom a limit is for.
func TestRateLimitByClaim(t *testing.T) {
	t.Parallel()
	s := newIssuer(t)
	g := serveYAML(t, limited(saysOK(t), `
- {name: tenant, key: [{type: Claim, claim: /tenant/id}], rate: 10/h, cost: {expression: 'request.method == "POST" ? 5 : 1'}, when: '!("free" in caller.scopes)'}
- {name: subject, key: [{type: Expression, expression: 'caller.subject + " of " + caller.claims.tenant.id'}], quota: {amount: 3, window: Month}, onMissingKey: Deny}
`, s.policy("")))
	token := func(sub, tenant, scope string) edit {
		return bearer(s.token(map[string]any{"sub": sub, "tenant": map[string]any{"id": tenant}, "scope": scope}))
	}
	ada, bob, eve := token("ada", "blue", ""), token("bob", "blue", ""), token("eve", "blue", "free")
	post := func(r *http.Request) { r.Method = "POST" }
	for i, c := range []struct {
		edits  []edit
		status int
		reason string
		limits string
	}{
		{[]edit{ada}, 200, "", `"tenant";r=9;`},
		{[]edit{bob, post}, 200, "", `"tenant";r=4;`},
		{[]edit{bob, post}, 429, "RateLimited", `"tenant";r=4;`},
		{[]edit{ada}, 200, "", `"tenant";r=3;`},
		{[]edit{eve, post}, 200, "", `"subject";r=2;`},
		{[]edit{ada}, 200, "", `"tenant";r=2;`},
		{[]edit{ada}, 429, "QuotaExceeded", `"tenant";r=2;`},
		{[]edit{token("ada", "red", "")}, 200, "", `"tenant";r=9;`},
		{[]edit{bearer(s.token(nil))}, 403, "RateLimitKeyMissing", ``},
	} {
		resp, _ := g.get("/", c.edits...)
		want(t, resp, c.status, c.reason)
		if got := resp.Header.Get("RateLimit"); !strings.HasPrefix(got, c.limits) {
			t.Errorf("request %d: %s, want %s", i, got, c.limits)
		}
	}
}

// TestRateLimitCostTooHigh: who asks for more than a limit ever has is not told to come back.
func TestRateLimitCostTooHigh(t *testing.T) {
	t.Parallel()
	g := serveYAML(t, limited(saysOK(t), `
- {name: bytes, rate: 1000/h, cost: {expression: request.size}}
`))
	for size, status := range map[int]int{600: 200, 1001: 429} {
		resp, _ := g.get("/", func(r *http.Request) {
			r.Method, r.ContentLength, r.Body = "POST", int64(size), io.NopCloser(strings.NewReader(strings.Repeat("x", size)))
		})
		want(t, resp, status, map[int]string{429: "RateLimitCost"}[status])
		if got := resp.Header.Get("Retry-After"); got != "" {
			t.Errorf("%d bytes: Retry-After %s", size, got)
		}
	}
}

// TestBandwidthLeavesWebSockets: what is neither a request's body nor a response's
// passes as it comes.
func TestBandwidthLeavesWebSockets(t *testing.T) {
	t.Parallel()
	for _, down := range wsClients {
		t.Run(down, func(t *testing.T) {
			t.Parallel()
			g := serveYAML(t, documents(wsConfig(t, down, "http", serveWS(t, nil).addr, ""),
				rateLimitDoc("api", "HTTPRoute", "app", "limits: [{name: bytes, bandwidth: {request: 1KB/s, response: 1KB/s}}]")))
			s, err := g.openWS(down, "/")
			if err != nil {
				t.Fatal(err)
			}
			message := bytes.Repeat([]byte("x"), 100_000) // which would take minutes
			if err := s.say(ws.OpBinary, message); err != nil {
				t.Fatal(err)
			}
			if _, p, err := s.hear(); err != nil || !bytes.Equal(p, message) {
				t.Errorf("%d bytes came back, %v", len(p), err)
			}
			s.reset()
		})
	}
}

// TestQuotasThatAreNotKept: a gateway without a state store says, once, that quotas end
// with its process.
func TestQuotasThatAreNotKept(t *testing.T) {
	t.Parallel()
	said := &lockedBuffer{}
	logged := func(o *proxy.Options) { o.Log = slog.New(slog.NewTextHandler(said, nil)) }
	app := saysOK(t)
	quota := limited(app, "- {name: monthly, quota: {amount: 5, window: Month}}")
	g := serveYAML(t, limited(app, "- {name: hourly, rate: 10/h}"), logged)
	if strings.Contains(said.String(), "--state") {
		t.Errorf("there is no quota: %s", said)
	}
	for range 2 {
		g.apply(quota)
		g.apply(strings.Replace(quota, "amount: 5", "amount: 6", 1))
	}
	if n := strings.Count(said.String(), "limit=default/api/monthly"); n != 1 {
		t.Errorf("said %d times: %s", n, said)
	}
	said = &lockedBuffer{}
	serveYAML(t, quota, logged, keeping(t, statetest.SQLite(t)))
	if strings.Contains(said.String(), "--state") {
		t.Errorf("there is a state store: %s", said)
	}
}
