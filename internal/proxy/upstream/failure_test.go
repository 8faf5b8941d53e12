package upstream_test

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/wire/netx"
)

// hung is a server that accepts and never says anything.
func hung(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		var conns []net.Conn
		for {
			conn, err := ln.Accept()
			if err != nil {
				break
			}
			conns = append(conns, conn)
		}
		for _, conn := range conns {
			_ = conn.Close()
		}
	})
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	return ln.Addr().String()
}

// tlsServer answers with a status; handshakes that fail are not worth a log line.
func tlsServer(t *testing.T, status int) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func state(c *upstream.Cluster, i int) string { return c.Snapshot().Endpoints[i].State }

func kindOf(t *testing.T, err error) upstream.OutcomeKind {
	t.Helper()
	var ce *upstream.ConnectError
	if !errors.As(err, &ce) {
		t.Fatal("not a ConnectError:", err)
	}
	return ce.Kind
}

func TestTLSToEndpoints(t *testing.T) {
	server := tlsServer(t, 204)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	with := func(address string, u ir.UpstreamTLS, hostname string) *upstream.Endpoint {
		cfg := cluster(address)
		cfg.Protocol, cfg.TLS, cfg.Endpoints[0].Hostname = ir.HTTPS, &u, hostname
		cfg.ConnectTimeout = 500 * time.Millisecond
		_, e := one(t, cfg)
		return e
	}
	address := server.Listener.Addr().String()
	for name, e := range map[string]*upstream.Endpoint{
		"server name":             with(address, ir.UpstreamTLS{CA: ca, ServerName: "example.com"}, ""),
		"the endpoint's own":      with(address, ir.UpstreamTLS{CA: ca}, "example.com"),
		"subject alternative":     with(address, ir.UpstreamTLS{CA: ca, SANs: []ir.SAN{{DNS: "example.com"}}}, ""),
		"verification turned off": with(address, ir.UpstreamTLS{Insecure: true}, ""),
	} {
		conn, _, err := e.Connect(soon())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !conn.IsTLS() || conn.TLSState().Version != tls.VersionTLS13 {
			t.Errorf("%s: not TLS 1.3", name)
		}
		if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")); err != nil {
			t.Error(name, err)
		}
		conn.SetReadBy(soon())
		if r, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || r.StatusCode != 204 {
			t.Errorf("%s: %v", name, err)
		}
		e.Put(conn)
		if got, reused, _ := e.ConnectChecked(soon()); got != conn || !reused {
			t.Errorf("%s: a healthy TLS connection was not reused", name)
		}
		e.Drop(conn)
	}
	_, _, err := with(address, ir.UpstreamTLS{CA: ca, ServerName: "wrong.example"}, "").Connect(soon())
	if kindOf(t, err) != upstream.TLSFailure {
		t.Error("wrong name:", err)
	}
	_, _, err = with(newEcho(t).address, ir.UpstreamTLS{CA: ca, ServerName: "example.com"}, "").Connect(soon())
	if kindOf(t, err) != upstream.TLSFailure {
		t.Error("no TLS there:", err)
	}
	silent := hung(t)
	_, _, err = with(silent, ir.UpstreamTLS{CA: ca, ServerName: "example.com"}, "").Connect(soon())
	if kindOf(t, err) != upstream.TLSFailure || !netx.IsTimeout(err) {
		t.Error("handshake hangs until the connect timeout:", err)
	}
	_, _, err = with(silent, ir.UpstreamTLS{CA: ca, ServerName: "example.com"}, "").Connect(netx.After(50 * time.Millisecond))
	if kindOf(t, err) != upstream.Timeout {
		t.Error("handshake hangs until the caller's deadline:", err)
	}
}

func TestBadTLSSettingsKeepTheOldCluster(t *testing.T) {
	set := newSet(t, cluster("127.0.0.1:1"))
	old := set.Cluster("Backend/default/test")
	bad := cluster("127.0.0.1:1")
	bad.Hash, bad.TLS = 2, &ir.UpstreamTLS{CA: []byte("rubbish")}
	other := cluster("127.0.0.1:2")
	other.Name = "Backend/default/other"
	if err := set.Apply([]*ir.Cluster{bad, other}); err == nil {
		t.Error("accepted")
	}
	if set.Cluster(bad.Name) != old || set.Cluster(other.Name) == nil {
		t.Error("one bad cluster must leave the old one in place and the others alone")
	}
}

func TestConsecutiveFailuresEject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := upstream.New(upstream.Options{})
		defer s.Close()
		cfg := cluster("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3")
		cfg.Outlier = &ir.Outlier{ConsecutiveGateway: 3, Interval: time.Second, BaseEjection: 10 * time.Second, MaxEjection: time.Minute, MaxPercent: 50}
		if err := s.Apply([]*ir.Cluster{cfg}); err != nil {
			t.Fatal(err)
		}
		c := s.Cluster(cfg.Name)
		bad := "127.0.0.1:2"
		serve := func(n int, fail bool) map[string]int {
			counts := map[string]int{}
			for range n {
				e, err := c.Pick(&upstream.Query{})
				if err != nil {
					t.Fatal(err)
				}
				counts[e.Address()]++
				o := upstream.Outcome{Status: 200, Latency: time.Millisecond}
				if fail && e.Address() == bad {
					o = upstream.Outcome{Kind: upstream.ConnectFailure}
				}
				c.Done(e, o)
			}
			return counts
		}
		if got := serve(300, true); got[bad] != 3 {
			t.Error("tries of the endpoint that fails:", got[bad])
		}
		if st := state(c, 1); st != "ejected" {
			t.Error(st)
		}
		synctest.Wait() // the keeper has arranged the others evenly
		if got := serve(300, true); got["127.0.0.1:1"] != 150 || got[bad] != 0 {
			t.Error(got)
		}
		time.Sleep(9 * time.Second)
		if st := state(c, 1); st != "ejected" {
			t.Error("returned too early:", st)
		}
		time.Sleep(time.Second + 110*time.Millisecond)
		if got := serve(300, false); got[bad] != 100 {
			t.Error("after its ejection:", got)
		}
		if n := c.Snapshot().Endpoints[1].Ejections; n != 1 {
			t.Error("ejections", n)
		}
	})
}

func TestReturnedEndpointStartsSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := upstream.New(upstream.Options{})
		defer s.Close()
		cfg := cluster("127.0.0.1:1", "127.0.0.1:2")
		cfg.Balance.SlowStart = 20 * time.Second
		cfg.Outlier = &ir.Outlier{Consecutive5xx: 1, Interval: time.Second, BaseEjection: 10 * time.Second, MaxPercent: 50}
		if err := s.Apply([]*ir.Cluster{cfg}); err != nil {
			t.Fatal(err)
		}
		c := s.Cluster(cfg.Name)
		share := func() float64 {
			n := 0
			for range 2000 {
				e, _ := c.Pick(&upstream.Query{})
				if e.Address() == "127.0.0.1:1" {
					n++
				}
				c.Done(e, upstream.Outcome{Status: 200})
			}
			return float64(n) / 2000
		}
		if got := share(); got != 0.5 {
			t.Error("a new cluster starts at full weight:", got)
		}
		e, _ := c.Pick(&upstream.Query{})
		for e.Address() != "127.0.0.1:1" {
			e, _ = c.Pick(&upstream.Query{})
		}
		c.Done(e, upstream.Outcome{Status: 500})
		synctest.Wait()
		if got := share(); got != 0 {
			t.Error("ejected:", got)
		}
		time.Sleep(10*time.Second + 110*time.Millisecond)
		for _, want := range []float64{0.1 / 1.1, 0.5 / 1.5, 0.5} {
			if got := share(); got < want-0.04 || got > want+0.04 {
				t.Errorf("share %.3f, want %.3f", got, want)
			}
			time.Sleep(10 * time.Second)
		}
		// A new endpoint does so too.
		s.Update(ir.EndpointUpdate{Cluster: cfg.Name, Endpoints: []ir.Endpoint{{Address: "127.0.0.1:3", Weight: 1}, {Address: "127.0.0.1:1", Weight: 1}}})
		if got := share(); got < 0.85 {
			t.Error("share of the old endpoint beside a new one:", got)
		}
		time.Sleep(21 * time.Second)
		if got := share(); got < 0.49 || got > 0.51 {
			t.Error("share of the old endpoint in the end:", got)
		}
	})
}

func TestFailureRateOpensTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := upstream.New(upstream.Options{})
		defer s.Close()
		cfg := cluster("127.0.0.1:1")
		cfg.Breaker = &ir.Breaker{Failure: &ir.FailureRate{Percent: 50, MinRequests: 10, Window: 10 * time.Second, OpenFor: 5 * time.Second, HalfOpen: 2}}
		if err := s.Apply([]*ir.Cluster{cfg}); err != nil {
			t.Fatal(err)
		}
		c := s.Cluster(cfg.Name)
		run := func(o upstream.Outcome) error {
			if err := c.Begin(0); err != nil {
				return err
			}
			defer c.End()
			e, _ := c.Pick(&upstream.Query{})
			c.Done(e, o)
			return nil
		}
		cancelled := upstream.Outcome{Kind: upstream.Cancelled}
		fine, bad := upstream.Outcome{Status: 404}, upstream.Outcome{Status: 503}
		for range 100 {
			_ = run(cancelled) // says nothing
		}
		for range 9 {
			_ = run(bad)
		}
		if c.Snapshot().Breaker != "closed" {
			t.Error("open after nine failures")
		}
		_ = run(bad)
		if err := run(fine); !errors.Is(err, upstream.ErrBreakerOpen) || c.Snapshot().Requests != 0 {
			t.Error("not open after ten:", err)
		}
		time.Sleep(5*time.Second + time.Millisecond)
		if run(fine) != nil || c.Snapshot().Breaker != "half-open" || run(fine) != nil || c.Snapshot().Breaker != "closed" {
			t.Error("two good probes should close it:", c.Snapshot().Breaker)
		}
	})
}

func TestRetryBudgetOfACluster(t *testing.T) {
	cfg := cluster("127.0.0.1:1")
	cfg.RetryBudget = &ir.RetryBudget{Percent: 25, Window: time.Minute}
	c := newSet(t, cfg).Cluster(cfg.Name)
	for range 40 {
		_ = c.Begin(0)
		c.End()
	}
	n := 0
	for c.AllowRetry() {
		n++
		c.RetryDone()
	}
	if n != 10 || c.Snapshot().Retries != 0 {
		t.Error(n, "retries for 40 requests at 25 %")
	}
}

// checked is a cluster with fast health checks.
func checked(h ir.Health, addresses ...string) *ir.Cluster {
	cfg := cluster(addresses...)
	h.Interval, h.Timeout = 10*time.Millisecond, time.Second
	h.HealthyThreshold, h.UnhealthyThreshold = 2, 3
	cfg.Health = &h
	return cfg
}

func TestHTTPHealthChecks(t *testing.T) {
	var status atomic.Int32
	status.Store(200)
	var seen atomic.Pointer[http.Request]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r)
		w.WriteHeader(103)
		w.WriteHeader(int(status.Load()))
		_, _ = w.Write(make([]byte, 20000))
	}))
	defer server.Close()
	dead := newEcho(t)
	_ = dead.listener.Close()
	silent := hung(t)
	cfg := checked(ir.Health{HTTP: &ir.HTTPHealth{
		Path: "/healthz", Host: "check.example", Statuses: []ir.StatusRange{{From: 200, To: 299}, {From: 418, To: 418}},
		Headers: []ir.Header{{Name: "X-Check", Value: "yes"}},
	}}, server.Listener.Addr().String(), dead.address, silent, newEcho(t).address)
	c := newSet(t, cfg).Cluster(cfg.Name)
	eventually(t, "verdicts: answers, refused, hung, no HTTP", func() bool {
		return state(c, 0) == "healthy" && c.Snapshot().Endpoints[0].Checked && state(c, 1) == "unhealthy" && state(c, 2) == "unhealthy" && state(c, 3) == "unhealthy"
	})
	if r := seen.Load(); r.URL.Path != "/healthz" || r.Host != "check.example" || r.Header.Get("X-Check") != "yes" || r.Method != "GET" {
		t.Errorf("%+v", r)
	}
	for range 50 {
		if e := pick(t, c, upstream.Query{}); e.Address() != server.Listener.Addr().String() {
			t.Fatal("an unhealthy endpoint was picked")
		}
	}
	status.Store(503)
	eventually(t, "unhealthy", func() bool { return state(c, 0) == "unhealthy" })
	if _, err := c.Pick(&upstream.Query{}); !errors.Is(err, upstream.ErrNoHealthyEndpoint) {
		t.Error(err)
	}
	status.Store(418)
	eventually(t, "healthy again", func() bool { return state(c, 0) == "healthy" })
	eventually(t, "in use again", func() bool { _, err := c.Pick(&upstream.Query{}); return err == nil })
}

func TestTCPHealthChecks(t *testing.T) {
	s := newEcho(t)
	other := newEcho(t)
	cfg := checked(ir.Health{}, s.address)
	c := newSet(t, cfg).Cluster(cfg.Name)
	e := pick(t, c, upstream.Query{}) // in use before the first check
	eventually(t, "checked", func() bool { return c.Snapshot().Endpoints[0].Checked })
	conn, _ := connect(t, e)
	e.Put(conn)
	_ = s.listener.Close()
	eventually(t, "unhealthy", func() bool { return state(c, 0) == "unhealthy" })
	if snap := c.Snapshot(); snap.Idle != 0 {
		t.Error("connections to an endpoint that failed are kept")
	}
	// Another port is checked: where the other server listens.
	cfg2 := checked(ir.Health{Port: addrPort(other.address).Port()}, s.address)
	cfg2.Name = "Backend/default/port"
	c2 := newSet(t, cfg2).Cluster(cfg2.Name)
	eventually(t, "checked at the other port", func() bool { return c2.Snapshot().Endpoints[0].Checked && other.accepted() > 0 })
	if state(c2, 0) != "healthy" {
		t.Error(state(c2, 0))
	}
}

func TestHealthChecksOverTLS(t *testing.T) {
	server := tlsServer(t, 200)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, want := range map[string]string{"example.com": "healthy", "wrong.example": "unhealthy"} {
		cfg := checked(ir.Health{HTTP: &ir.HTTPHealth{Path: "/"}}, server.Listener.Addr().String())
		cfg.Protocol, cfg.TLS = ir.HTTPS, &ir.UpstreamTLS{CA: ca, ServerName: name}
		c := newSet(t, cfg).Cluster(cfg.Name)
		eventually(t, "checked", func() bool { return c.Snapshot().Endpoints[0].Checked })
		if got := state(c, 0); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// Close does not wait for an endpoint that hangs.
func TestCloseEndsChecksInProgress(t *testing.T) {
	cfg := cluster(hung(t))
	cfg.Health = &ir.Health{HTTP: &ir.HTTPHealth{Path: "/"}, Interval: time.Millisecond, Timeout: time.Hour}
	cfg.ConnectTimeout = time.Hour
	s := upstream.New(upstream.Options{})
	if err := s.Apply([]*ir.Cluster{cfg}); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { s.Close(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("Close waits")
	}
}
