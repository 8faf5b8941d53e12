package load

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const wrkGood = `Running 1s test @ http://127.0.0.1:8080/1k
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.20ms  300.00us   9.99ms   91.00%
    Req/Sec    52.10k     1.20k   54.00k    80.00%
  52345 requests in 1.01s, 61.20MB read
Requests/sec:  51826.73
Transfer/sec:     60.59MB
`

func TestParseWrk(t *testing.T) {
	for name, c := range map[string]struct {
		out                string
		requests, failures int64
		took               time.Duration
	}{
		"good":   {wrkGood, 52345, 0, 1010 * time.Millisecond},
		"errors": {wrkGood + "  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 5\n", 52340, 15, 1010 * time.Millisecond},
		"minute": {"  7 requests in 1.00m, 1.00MB read\n", 7, 0, time.Minute},
	} {
		r, err := parseWrk(c.out)
		if err != nil || r.Requests != c.requests || r.Errors != c.failures || r.Took != c.took {
			t.Errorf("%s: got %d, %d, %v, %v", name, r.Requests, r.Errors, r.Took, err)
		}
		if (r.First != nil) != (c.failures > 0) {
			t.Errorf("%s: first failure %v", name, r.First)
		}
	}
	if _, err := parseWrk("unable to connect to 127.0.0.1:1 Connection refused\n"); err == nil {
		t.Error("a report without a result was taken")
	}
}

func TestAppendHead(t *testing.T) {
	for want, target := range map[string]Target{
		"GET /1k HTTP/1.1\r\nHost: a:1\r\n\r\n":                                                             {Addr: "a:1", Path: "/1k"},
		"GET /r2/x HTTP/1.1\r\nHost: a:1\r\nA: b\r\nConnection: close\r\n\r\n":                              {Addr: "a:1", Routes: 5, Close: true, Headers: []string{"A: b"}},
		"GET /1k HTTP/1.1\r\nHost: a:1\r\nX-API-Key: bench-key-of-caller-00000002-in-32-more-bytes\r\n\r\n": {Addr: "a:1", Path: "/1k", Callers: 5},
		"POST /upload HTTP/1.1\r\nHost: a:1\r\nContent-Length: 65536\r\n\r\n":                               {Addr: "a:1", Path: "/upload", Upload: 65536},
		"POST /1k HTTP/1.1\r\nHost: a:1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n":     {Addr: "a:1", Path: "/1k", JSON: "{}"},
	} {
		if got := target.appendHead(nil, 7); string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func server(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func TestClosedCountsEveryRequest(t *testing.T) {
	var seen, bytes atomic.Int64
	addr := server(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		bytes.Add(n)
		seen.Add(1)
		fmt.Fprint(w, "ok")
	})
	r, err := Closed(t.Context(), Target{Addr: addr, Path: "/", Upload: 100_000}, 4, 50*time.Millisecond)
	if err != nil || r.Errors != 0 || r.Requests == 0 || r.Requests != seen.Load() || bytes.Load() != 100_000*r.Requests {
		t.Errorf("got %d requests, %d errors (%v), server saw %d with %d bytes, %v", r.Requests, r.Errors, r.First, seen.Load(), bytes.Load(), err)
	}
}

func TestStatusIsAnError(t *testing.T) {
	addr := server(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	r, err := Open(t.Context(), Target{Addr: addr, Path: "/"}, 2, 1000, 20*time.Millisecond)
	if err != nil || r.Errors != 20 || r.Requests != 0 || r.First == nil || !strings.Contains(r.First.Error(), "502") {
		t.Errorf("got %d requests, %d errors, first %v, %v", r.Requests, r.Errors, r.First, err)
	}
}

// A server that stalls once holds up all requests that were due meanwhile, and
// the histogram must show that.
func TestOpenCountsFromWhenDue(t *testing.T) {
	const stall = 200 * time.Millisecond
	var once sync.Once
	addr := server(t, func(w http.ResponseWriter, _ *http.Request) {
		once.Do(func() {
			timer := time.NewTimer(stall)
			<-timer.C
		})
		fmt.Fprint(w, "ok")
	})
	r, err := Open(t.Context(), Target{Addr: addr, Path: "/"}, 1, 500, 400*time.Millisecond)
	if err != nil || r.Requests != 200 || r.Errors != 0 {
		t.Fatalf("got %d requests, %d errors, %v, %v", r.Requests, r.Errors, r.First, err)
	}
	// 100 of 200 requests were due during the stall; a quarter waited longer than half of it.
	if got := r.Latency.Quantile(0.8); got < stall/2 {
		t.Errorf("p80 %v hides the stall of %v", got, stall)
	}
}

func TestHeaderAndPark(t *testing.T) {
	addr := server(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Rev", "7"); fmt.Fprint(w, "ok") })
	c := NewClient(Target{Addr: addr, Path: "/"})
	defer c.Close()
	if got, err := c.Header(t.Context(), "x-rev"); got != "7" || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	c.Park()
	if err := c.Again(t.Context()); err != nil {
		t.Error(err)
	}
	c.Close()
	if err := c.Again(t.Context()); err == nil {
		t.Error("a request was made on a connection that is closed")
	}
}

func TestPacerIsPrecise(t *testing.T) {
	p, err := newPacer()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for range 20 {
		due := time.Now().Add(300 * time.Microsecond)
		if err := p.Until(due); err != nil {
			t.Fatal(err)
		}
		if early := time.Until(due); early > 0 {
			t.Fatalf("woke %v early", early)
		}
	}
}

func TestConnectFailure(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if _, err := Closed(context.Background(), Target{Addr: ln.Addr().String()}, 1, time.Second); err == nil {
		t.Error("no error without a server")
	}
}
