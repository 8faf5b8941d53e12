package proxy_test

import (
	"bufio"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// fixedPeer answers each request with the same bytes and
// allocates nothing on the way.
func fixedPeer(t *testing.T, skip int, reply string) string {
	out := []byte(reply)
	return servePeer(t, func(c net.Conn, r *bufio.Reader) {
		for {
			if !discardHead(r) {
				return
			}
			if _, err := r.Discard(skip); err != nil {
				return
			}
			if _, err := c.Write(out); err != nil {
				return
			}
		}
	})
}

// servePeer serves each connection until serve returns.
func servePeer(t *testing.T, serve func(net.Conn, *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c, bufio.NewReaderSize(c, 64<<10))
			}()
		}
	}()
	return l.Addr().String()
}

// discardHead reads to the blank line.
func discardHead(r *bufio.Reader) bool {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return false
		}
		if len(line) == 2 {
			return true
		}
	}
}

// allocsPerRequest counts every allocation in the process while a client and an
// upstream that make none exchange n requests through the proxy.
func allocsPerRequest(t *testing.T, h *harness, request string, replyBody int) float64 {
	t.Helper()
	c := h.dial()
	c.SetDeadline(time.Now().Add(12 * patience))
	in := []byte(request)
	r := bufio.NewReaderSize(c.Conn, 16<<10)
	one := func() {
		if _, err := c.Write(in); err != nil {
			t.Fatal(err)
		}
		if !discardHead(r) {
			t.Fatal("no response")
		}
		if _, err := r.Discard(replyBody); err != nil {
			t.Fatal(err)
		}
	}
	return mallocs(one)
}

// mallocs is how many allocations the process makes for one more request.
func mallocs(one func()) float64 { return mallocsOf(5000, one) }

// mallocsOf is mallocs of that many requests.
func mallocsOf(n int, one func()) float64 {
	for range n * 2 / 5 {
		one()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		one()
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(n)
}

// bounded judges a number of allocations per request: none. What is left is for
// collections that empty the pools and for timers of the runtime.
func bounded(t *testing.T, got float64) {
	t.Helper()
	const ceiling = 0.05
	t.Logf("%.4f allocations per request", got)
	if got > ceiling {
		t.Errorf("%.3f allocations per request, want at most %v", got, ceiling)
	}
}

// The whole request path, from socket to socket, allocates nothing.
func TestRequestPathAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const reply = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
	const get = "GET /a/path?with=query HTTP/1.1\r\nHost: example.com\r\nUser-Agent: test/1.0\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nX-Custom: 1\r\n\r\n"
	for _, tc := range []struct {
		name    string
		request string
		body    int
		change  func(*ir.Config)
	}{
		{"plain GET", get, 0, func(*ir.Config) {}},
		{"small POST", "POST /a HTTP/1.1\r\nHost: example.com\r\nContent-Length: 4\r\n\r\nbody", 4, func(*ir.Config) {}},
		{"everything on", get, 0, func(cfg *ir.Config) {
			p := clientPolicy(cfg)
			p.XForwarded, p.Forwarded, p.Via, p.RequestIDHeader = true, true, "edge", "X-Request-Id"
			p.HeaderTimeout, p.IdleTimeout, p.RequestTimeout, p.BodyIdleTimeout = time.Minute, time.Minute, time.Minute, time.Minute
			p.MaxConnections = 100
			policy := &cfg.Routes[0].Rules[0].Policy
			policy.Timeouts = ir.Timeouts{Request: time.Minute, PerTry: time.Minute, Idle: time.Minute}
			policy.Retry = &ir.Retry{Attempts: 2, Statuses: []int{503}, ConnectFailure: true, Reset: true, Timeout: true, MaxReplayBytes: 1 << 16}
			cfg.Clusters[0].Breaker = &ir.Breaker{MaxConnections: 100, MaxPending: 100, MaxRequests: 100}
		}},
		// A rate, a quota and a place among those in progress, and the client is told.
		{"rate limits", get, 0, func(cfg *ir.Config) {
			limit := func(name string) *ir.RateLimit {
				return &ir.RateLimit{
					Policy: "default/api", Name: name, State: name, Cost: 1, MaxKeys: 1000,
					Key:          []ir.KeyPart{{Type: ir.KeyClientIP, IPv4Bits: 32, IPv6Bits: 64}, {Type: ir.KeyHeader, Name: "X-Custom"}},
					OnMissingKey: ir.MissingKeyShare, Headers: ir.RateLimitHeadersAlways,
				}
			}
			rate, quota, places := limit("rate"), limit("quota"), limit("places")
			rate.Rate = &ir.Rate{Units: 1e6, Period: time.Second, Burst: 1e9}
			quota.Quota = &ir.Quota{Amount: 1e9, Window: ir.QuotaMonth, TimeZone: "UTC"}
			places.Concurrency = 10
			cfg.RateLimits = []*ir.RateLimit{rate, quota, places}
			cfg.Routes[0].Rules[0].Policy.RateLimits = cfg.RateLimits
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := start(t, []string{fixedPeer(t, tc.body, reply)}, tc.change)
			bounded(t, allocsPerRequest(t, h, tc.request, 5))
		})
	}
}
