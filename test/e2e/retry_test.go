package e2e

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// failing answers the first n requests with fail, later ones with "good".
func failing(t *testing.T, n int64, fail http.HandlerFunc) *server {
	t.Helper()
	var seen atomic.Int64
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if seen.Add(1) <= n {
			fail(w, r)
			return
		}
		io.Copy(w, r.Body)
		io.WriteString(w, "good")
	})
}

// cut breaks the connection without an answer.
func cut(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }

func TestRetryConditions(t *testing.T) {
	t.Parallel()
	status := func(code int) http.HandlerFunc { return status(code) }
	stall := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, c := range map[string]struct {
		policy string
		fail   http.HandlerFunc
		status int
		tries  int64
		reason string
	}{
		"reset":                       {`retryOn: [Reset]`, cut, 200, 2, ""},
		"reset is a default":          {`attempts: 1`, cut, 200, 2, ""},
		"reset not asked for":         {`retryOn: [ConnectFailure]`, cut, 502, 1, "UpstreamReset"},
		"timeout":                     {`retryOn: [Timeout]`, stall, 200, 2, ""},
		"timeout not asked for":       {`retryOn: [Reset]`, stall, 504, 1, "UpstreamTimeout"},
		"gateway error 502":           {`retryOn: [GatewayError]`, status(502), 200, 2, ""},
		"gateway error 504":           {`retryOn: [GatewayError]`, status(504), 200, 2, ""},
		"500 is no gateway error":     {`retryOn: [GatewayError]`, status(500), 500, 1, ""},
		"server error":                {`retryOn: [ServerError]`, status(500), 200, 2, ""},
		"server error 599":            {`retryOn: [ServerError]`, status(599), 200, 2, ""},
		"4xx is no server error":      {`retryOn: [ServerError]`, status(429), 429, 1, ""},
		"status":                      {`statuses: [429, 425]`, status(429), 200, 2, ""},
		"status not in the list":      {`statuses: [429]`, status(503), 503, 1, ""},
		"attempts 0":                  {`{attempts: 0, retryOn: [ServerError]}`, status(500), 500, 1, ""},
		"statuses beside the retryOn": {`{retryOn: [Reset], statuses: [418]}`, status(418), 200, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := failing(t, 1, c.fail)
			if !strings.HasPrefix(c.policy, "{") {
				c.policy = "{" + c.policy + "}"
			}
			perTry := "20s"
			if strings.HasPrefix(name, "timeout") {
				perTry = "1s"
			}
			g := serveYAML(t, edge("timeouts: {backendRequest: "+perTry+"}\nretry: "+c.policy, app.addr))
			resp, _ := g.get("/")
			want(t, resp, c.status, c.reason)
			if n := app.requests.Load(); n != c.tries {
				t.Errorf("%d tries, want %d", n, c.tries)
			}
			if got := g.metric("gridway_cluster_retries_total"); got != float64(c.tries-1) {
				t.Errorf("gridway_cluster_retries_total is %v, want %d", got, c.tries-1)
			}
		})
	}
}

func TestRetryConnectFailureGoesElsewhere(t *testing.T) {
	t.Parallel()
	good := named(t, "good")
	g := serveYAML(t, edge("retry: {attempts: 1}\nloadBalancer: {algorithm: RoundRobin}", refused(t), good.addr))
	for range 6 {
		resp, body := g.post("/", "sent once only, to the one that accepts")
		want(t, resp, 200, "")
		if body != "good" {
			t.Errorf("body %q", body)
		}
	}
	g.logged(`"attempts":2`)
}

func TestRetryAttemptsAreBounded(t *testing.T) {
	t.Parallel()
	app := failing(t, 1000, status(503))
	g := serveYAML(t, edge(`retry: {attempts: 3, retryOn: [GatewayError], backoff: {base: 1ms, max: 2ms}}`, app.addr))
	resp, body := g.get("/")
	want(t, resp, 503, "")
	if n := app.requests.Load(); n != 4 || body != "503" {
		t.Errorf("%d tries, body %q", n, body)
	}
}

func TestRetryMethods(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, policy string
		tries          int64
	}{
		{"GET", "", 2},
		{"HEAD", "", 2},
		{"PUT", "", 2},
		{"DELETE", "", 2},
		{"OPTIONS", "", 2},
		{"POST", "", 1},
		{"PATCH", "", 1},
		{"POST", ", methods: [POST]", 2},
		{"GET", ", methods: [POST]", 1},
	} {
		t.Run(c.method+c.policy, func(t *testing.T) {
			t.Parallel()
			app := failing(t, 1, status(503))
			g := serveYAML(t, edge("retry: {retryOn: [ServerError]"+c.policy+"}", app.addr))
			resp, _, err := g.do(g.request(c.method, "/", nil))
			if err != nil {
				t.Fatal(err)
			}
			if n := app.requests.Load(); n != c.tries || (resp.StatusCode == 200) != (c.tries == 2) {
				t.Errorf("%d tries, status %d", n, resp.StatusCode)
			}
		})
	}
}

// The wait grows, has jitter, and stays below its bound.
func TestRetryBackoffIsBounded(t *testing.T) {
	t.Parallel()
	app := failing(t, 1000, status(503))
	g := serveYAML(t, edge(`retry: {attempts: 8, retryOn: [GatewayError], backoff: {base: 20ms, max: 40ms}}`, app.addr))
	within(t, 10*time.Millisecond, 8*40*time.Millisecond+time.Second, func() { g.get("/") })
	if n := app.requests.Load(); n != 9 {
		t.Errorf("%d tries", n)
	}
}

// The back-off of an HTTPRoute is the least wait before a further try.
func TestRetryBackoffOfRouteIsALeastWait(t *testing.T) {
	t.Parallel()
	app := failing(t, 2, status(503))
	g := serveYAML(t, strings.Replace(edge("timeouts: {request: 10s}", app.addr), "  - backendRefs:", "  - retry: {attempts: 2, codes: [503], backoff: 150ms}\n    backendRefs:", 1))
	within(t, 300*time.Millisecond, 5*time.Second, func() {
		resp, _ := g.get("/")
		want(t, resp, 200, "")
	})
	if n := app.requests.Load(); n != 3 {
		t.Errorf("%d tries", n)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	busy := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(503)
	}
	t.Run("is waited for", func(t *testing.T) {
		t.Parallel()
		app := failing(t, 1, busy)
		g := serveYAML(t, edge(`retry: {retryOn: [ServerError], retryAfter: 2s}`, app.addr))
		within(t, 990*time.Millisecond, 3*time.Second, func() {
			resp, _ := g.get("/")
			want(t, resp, 200, "")
		})
	})
	t.Run("as a date", func(t *testing.T) {
		t.Parallel()
		var until time.Time
		app := failing(t, 1, func(w http.ResponseWriter, _ *http.Request) {
			until = time.Now().Add(2 * time.Second).Truncate(time.Second)
			w.Header().Set("Retry-After", until.UTC().Format(http.TimeFormat))
			w.WriteHeader(503)
		})
		g := serveYAML(t, edge(`retry: {retryOn: [ServerError], retryAfter: 3s}`, app.addr))
		resp, _ := g.get("/")
		want(t, resp, 200, "")
		if now := time.Now(); now.Before(until) {
			t.Errorf("tried again %v too early", until.Sub(now))
		}
	})
	t.Run("has its jitter on top", func(t *testing.T) {
		t.Parallel()
		app := failing(t, 8, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(503)
		})
		g := serveYAML(t, edge(`retry: {attempts: 8, retryOn: [ServerError], retryAfter: 1s, backoff: {base: 200ms, max: 200ms}}`, app.addr))
		within(t, 100*time.Millisecond, 8*200*time.Millisecond+patience, func() { // eight draws from 0 to 200 ms
			resp, _ := g.get("/")
			want(t, resp, 200, "")
		})
	})
	t.Run("too long ends the retries", func(t *testing.T) {
		t.Parallel()
		app := failing(t, 1, busy)
		g := serveYAML(t, edge(`retry: {retryOn: [ServerError], retryAfter: 500ms}`, app.addr))
		within(t, 0, 500*time.Millisecond, func() {
			resp, _ := g.get("/")
			want(t, resp, 503, "")
			if resp.Header.Get("Retry-After") != "1" {
				t.Error("the endpoint's own answer should have come through")
			}
		})
	})
	t.Run("is ignored by default", func(t *testing.T) {
		t.Parallel()
		app := failing(t, 1, busy)
		g := serveYAML(t, edge(`retry: {retryOn: [ServerError]}`, app.addr))
		within(t, 0, 800*time.Millisecond, func() {
			resp, _ := g.get("/")
			want(t, resp, 200, "")
		})
	})
	t.Run("beyond the request's timeout", func(t *testing.T) {
		t.Parallel()
		app := failing(t, 1, busy)
		g := serveYAML(t, edge("timeouts: {request: 300ms}\nretry: {retryOn: [ServerError], retryAfter: 5s}", app.addr))
		within(t, 0, 250*time.Millisecond, func() {
			resp, _ := g.get("/")
			want(t, resp, 503, "") // waiting would end in a 504 that says less
		})
	})
}

// bodySum answers with the length and the hash of the body, after n failures
// in which the body was read to its end.
func bodySum(t *testing.T, n int64) *server {
	var seen atomic.Int64
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		size, err := io.Copy(h, r.Body)
		if err != nil || seen.Add(1) <= n {
			w.WriteHeader(503)
			return
		}
		fmt.Fprintf(w, "%d %x", size, h.Sum(nil))
	})
}

func TestRetryReplaysBodies(t *testing.T) {
	t.Parallel()
	const limit = 100_000
	for _, size := range []int{1, 5000, 50_000, limit, limit + 1, 500_000} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d chunked %v", size, chunked), func(t *testing.T) {
				t.Parallel()
				app := bodySum(t, 2)
				g := serveYAML(t, edge(fmt.Sprintf(
					`retry: {attempts: 2, retryOn: [ServerError], maxReplayBytes: %d, backoff: {base: 1ms}}`, limit), app.addr))
				content := strings.Repeat("0123456789abcdef", size/16+1)[:size]
				var body io.Reader = strings.NewReader(content)
				if chunked {
					body = io.MultiReader(body) // hides the length
				}
				resp, got, err := g.do(g.request("PUT", "/", body))
				if err != nil {
					t.Fatal(err)
				}
				if size > limit {
					if resp.StatusCode != 503 || app.requests.Load() != 1 {
						t.Errorf("%d after %d tries; a body over the bound cannot be sent again", resp.StatusCode, app.requests.Load())
					}
					return
				}
				if sum := fmt.Sprintf("%d %x", size, sha256.Sum256([]byte(content))); got != sum {
					t.Errorf("%d %q, want %q", resp.StatusCode, got, sum)
				}
			})
		}
	}
}

// The bound holds to the byte, also for a body that comes in one packet with
// its head.
func TestReplayBoundIsExact(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		bound, size int
		buffer      string
		tries       int64
	}{
		{10, 10, "", 2},
		{10, 11, "", 1},
		{0, 1, "", 1},
		{0, 0, "", 2},
		{10, 11, "\nbuffer: {requestBytes: 1000}", 2}, // read whole whatever happens
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d of %d chunked %v%s", c.size, c.bound, chunked, c.buffer), func(t *testing.T) {
				t.Parallel()
				app := bodySum(t, 1)
				g := serveYAML(t, edge(fmt.Sprintf("retry: {retryOn: [ServerError], maxReplayBytes: %d}%s", c.bound, c.buffer), app.addr))
				w := g.dial()
				body := strings.Repeat("x", c.size)
				if chunked && c.size > 0 {
					body = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", c.size, body)
					w.send("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
				} else {
					w.send(fmt.Sprintf("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", c.size, body))
				}
				resp, _ := w.mustRespond("PUT")
				if n := app.requests.Load(); n != c.tries || (resp.StatusCode == 200) != (c.tries == 2) {
					t.Errorf("%d after %d tries, want %d", resp.StatusCode, n, c.tries)
				}
			})
		}
	}
	t.Run("nothing was sent yet", func(t *testing.T) {
		t.Parallel()
		good := bodySum(t, 0)
		g := serveYAML(t, edge("retry: {maxReplayBytes: 0}\nloadBalancer: {algorithm: RoundRobin}", refused(t), good.addr))
		for range 4 {
			resp, _ := g.post("/", "sent once only")
			want(t, resp, 200, "")
		}
	})
}

// Under total failure the budget keeps the load upstream near the load downstream.
func TestRetryBudgetStopsAStorm(t *testing.T) {
	t.Parallel()
	app := failing(t, 1<<40, status(503))
	g := serveYAML(t, edge(`
retry:
  attempts: 5
  retryOn: [ServerError]
  backoff: {base: 1ms, max: 1ms}
  budget: {percent: 20, minPerSecond: 0}
`, app.addr))
	const n = 2000
	g.tally(n, 32, "/")
	tries := app.requests.Load()
	if ratio := float64(tries) / n; ratio >= 1.3 || ratio < 1.1 {
		t.Errorf("%d tries for %d requests: ×%.2f, want about ×1.2", tries, n, ratio)
	}
	if g.metric("gridway_cluster_retries_denied_total") == 0 {
		t.Error("no metric of the retries denied")
	}
	g.logged(`RetryLimit`)
}

func TestMaxRetriesAtOnce(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var again atomic.Int64
	var seen sync.Map
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, retry := seen.LoadOrStore(r.Header.Get("X-Request-Id"), true); retry {
			again.Add(1)
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		w.WriteHeader(503)
	})
	g := serveYAML(t, edge(`
retry: {attempts: 1, retryOn: [ServerError], backoff: {base: 50ms, max: 50ms}}
circuitBreaker: {maxRetries: 2}
`, app.addr))
	done := make(chan struct{})
	go func() { defer close(done); g.tally(16, 16, "/") }()
	eventually(t, "14 of 16 retries are refused", func() bool {
		return g.metric("gridway_cluster_retries_denied_total") == 14
	})
	close(release)
	<-done
	if n := again.Load(); n != 2 {
		t.Errorf("%d retries, want 2", n)
	}
	if n := g.metric("gridway_cluster_breaker_rejections_total", `limit="retries"`); n != 14 {
		t.Errorf("%v were counted as refused by that limit", n)
	}
}

// What a client sees after a body was cut off must not look like the whole.
func TestNoRetryOnceTheResponseHasBegun(t *testing.T) {
	t.Parallel()
	app := startPeer(t, func(c *peerConn) {
		c.head()
		c.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it")
		c.reset()
	})
	g := serveYAML(t, edge(`retry: {attempts: 3}`, app.addr))
	_, body, err := g.do(g.request("GET", "/", nil))
	if err == nil {
		t.Fatalf("a cut response looks complete: %q", body)
	}
	if n := app.heads.Load(); n != 1 {
		t.Errorf("%d tries", n)
	}
	g.logged(`UpstreamReset`)
}

// The client's own wish to go away ends the tries.
func TestNoRetryForAClientThatHasGone(t *testing.T) {
	t.Parallel()
	app := startPeer(t, hangs)
	g := serveYAML(t, edge("timeouts: {backendRequest: 2s}\nretry: {attempts: 10, retryOn: [Timeout, Reset]}", app.addr))
	c := g.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	eventually(t, "the request reaches the endpoint", func() bool { return app.conns.Load() == 1 })
	c.Close()
	g.logged(`ClientGone`)
	if n := app.conns.Load(); n != 1 {
		t.Errorf("%d tries", n)
	}
}
