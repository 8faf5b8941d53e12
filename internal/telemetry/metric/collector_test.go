package metric_test

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/wire/grpc"
)

var update = flag.Bool("update", false, "write golden files and generated documentation")

// clock is a time that tests move.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time          { return c.now }
func (c *clock) advance(d time.Duration) { c.now = c.now.Add(d) }
func newClock() *clock                   { return &clock{time.Unix(1_700_000_000, 0)} }

// populated has had every kind of event once.
func populated(c *clock) *metric.Registry {
	r := metric.New(metric.Options{
		Decisions:   []string{"allowed"},
		Faults:      []string{"", "expired", "unknown"},
		PolicyKinds: []string{"", "RateLimitPolicy"}, Questions: []string{"introspection"}, Answers: []string{"ok", "timeout"},
		Reasons: []string{"", "BadRequest", "UpstreamReset"}, Now: c.Now,
		Build: metric.Build{Version: "v1.2.3", Commit: "abc", GoVersion: "go1.26"},
	})
	route := r.Route("HTTPRoute/default/shop/rules/2")
	route.Observe(200, 90*time.Microsecond, 10, 1000, 0)
	route.Observe(299, 100*time.Microsecond, 0, 0, 0) // not registered
	route.Observe(503, 70*time.Second, 0, 50, 1<<2)
	route.Observe(0, time.Second, 0, 0, 1<<2)
	sockets := route.WebSocket()
	for range 5 {
		sockets.Opened()
	}
	sockets.Passed(metric.Client, 2, 100)
	sockets.Passed(metric.Endpoint, 3, 2000)
	sockets.Passed(metric.Endpoint, 0, 1)
	sockets.Closed(metric.Client, 1000)
	sockets.Closed(metric.Gridway, 1001)
	sockets.Closed(metric.Endpoint, 4999)
	sockets.Closed(metric.Endpoint, 17) // not a code
	cl := r.Cluster("Backend/default/shop")
	cl.Observe(200, time.Millisecond, 1, 2, 0)
	cl.Observe(0, time.Millisecond, 1, 2, 1<<2)
	cl.Retry()
	cl.RetryDenied()
	cl.Hedge()
	cl.HedgeWon()
	cl.PoolHit()
	cl.PoolMiss()
	cl.PoolStale()
	cl.Connected(200 * time.Microsecond)
	cl.ConnectFailed(metric.ConnectRefused)
	cl.ConnectFailed(metric.ConnectTimeout)
	cl.ConnectFailed(metric.ConnectTLS)
	for l := metric.BreakerRequests; l <= metric.BreakerFailureRate; l++ {
		cl.BreakerRejected(l)
	}
	cl.Ejected(metric.EjectConsecutive5xx)
	cl.Ejected(metric.EjectConsecutiveGatewayErrors)
	cl.Ejected(metric.EjectSuccessRate)
	cl.Returned()
	cl.HealthChecked(true)
	cl.HealthChecked(false)
	cl.HealthChanged(true)
	cl.HealthChanged(false)
	cl.BreakerChanged(metric.BreakerOpen)
	cl.BreakerChanged(metric.BreakerHalfOpen)
	cl.BreakerChanged(metric.BreakerClosed)
	cl.EndpointsUpdated()
	r.SetClusterGauges(func(yield func(string, metric.ClusterGauges)) {
		yield("Backend/default/shop", metric.ClusterGauges{
			Healthy: 1, Unhealthy: 2, Ejected: 3, Draining: 4, ActiveRequests: 5, PendingRequests: 6,
			ActiveConnections: 7, IdleConnections: 8, Breaker: metric.BreakerOpen,
		})
	})
	r.Policy("AuthenticationPolicy/default/keys").Decided(0)
	l := r.Listener("0.0.0.0:8443")
	l.Accepted()
	l.Accepted()
	l.Closed()
	l.AcceptError()
	l.Rejected(metric.RejectConnectionLimit)
	l.Rejected(metric.RejectDraining)
	l.Rejected(metric.RejectProxyProtocol)
	l.Handshake(0x0303, false, 2*time.Millisecond)
	l.Handshake(0x0304, true, time.Millisecond)
	l.Handshake(0x0301, false, time.Millisecond)
	for f := metric.HandshakeTimeout; f <= metric.HandshakeProtocol; f++ {
		l.HandshakeFailed(f)
	}
	l.ProtocolError("BareLF")
	l.HTTP2(metric.HTTP2Opened)
	l.HTTP2(metric.HTTP2Opened)
	l.HTTP2(metric.HTTP2Closed)
	l.HTTP2(metric.StreamOpened)
	for range 2 {
		l.HTTP3(metric.HTTP3Opened)
		l.HTTP3(metric.HTTP3StreamOpened)
	}
	l.HTTP3(metric.HTTP3StreamClosed)
	l.HTTP3(metric.HTTP3Retried)
	l.HTTP3(metric.HTTP3Early)
	l.HTTP3Reset(0x10c, false)
	l.HTTP3Reset(0x102, true)
	l.HTTP3Reset(1<<40, false)
	l.HTTP3GoAway("Drain")
	l.StreamReset(8, false)
	l.StreamReset(11, true)
	l.StreamReset(1<<31, false)
	l.GoAway("RapidReset")
	l.Observe(400, time.Microsecond, 0, 100, 1<<1)
	l.Unrouted(1 << 1)
	stream := r.Stream("UDPRoute/default/dns/rules/0")
	stream.Opened()
	stream.Opened()
	stream.Datagrams(3, 2)
	stream.Dropped(1)
	stream.Ended(time.Second, 10, 20, 1<<1, true)
	for range 2 {
		r.Calls().Observe([]byte("shop.v1.Catalog"), []byte("Get"), grpc.OK, true)
	}
	r.Calls().Observe([]byte("shop.v1.Catalog"), []byte("Get"), grpc.Unavailable, false)
	r.Calls().Observe([]byte("made.up"), []byte("Name"), grpc.Unimplemented, false)
	r.Keep(configuration(c.now))
	r.Reloaded(7, 30*time.Millisecond)
	r.ReloadFailed()
	r.SetProblems(map[string]int{"error": 1, "warning": 2})
	r.SetObjects(map[string]int{"HTTPRoute": 3})
	r.SetReady(true)
	r.SetCertificates(func(yield func(metric.Certificate)) {
		day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
		yield(metric.Certificate{
			Secret: "default/le:shop.example", Issuer: "default/le", NotBefore: day, NotAfter: day.AddDate(0, 3, 0), Next: day.AddDate(0, 2, 0),
			Failures: 1, Issued: 2, Failed: 3,
		})
		yield(metric.Certificate{Secret: "default/le:new.example", Issuer: "default/le"})
	})
	r.SetAccessLog(func() metric.LogStats { return metric.LogStats{Written: 1, Dropped: 2, Errors: 3} })
	r.SetLog(func() metric.LogStats { return metric.LogStats{Written: 4, Dropped: 5, Errors: 6} })
	tokens := r.Policy("AuthenticationPolicy/default/tokens").Method("jwt")
	tokens.Recalled(true)
	tokens.Recalled(false)
	tokens.Faulted(1)
	tokens.Faulted(2)
	tokens.Faulted(2)
	limits := r.RateLimit("default/api", "per-client")
	limits.Allowed()
	limits.Limited()
	limits.WouldLimit()
	limits.Unanswered()
	store := r.RateLimitStore("default/redis")
	store.Up(true)
	store.Call(2*time.Millisecond, nil)
	store.Call(time.Second, io.ErrUnexpectedEOF)
	store.Unasked()
	store.Lost(2)
	r.SetLogins(func(yield func(policy, issuer string, l metric.Login)) {
		yield("default/login", "https://idp.example", metric.Login{Logins: [3]uint64{1, 2, 3}, Refreshes: [3]uint64{4, 5, 6}})
	})
	r.SetTokenIssuers(func(yield func(issuer string, t metric.TokenIssuer)) {
		yield("default/tokens", metric.TokenIssuer{Keys: 2, Outcomes: []uint64{3, 1}})
	})
	r.SetCallerTokens(func(yield func(result string, n uint64)) { yield("valid", 7) })
	r.SetRateLimitKeys(func(yield func(string, string, metric.RateLimitKeys)) {
		yield("default/api", "per-client", metric.RateLimitKeys{Keys: 3, Shared: 1})
	})
	r.SetKeySets(func(yield func(string, string, metric.KeySet)) {
		yield("default/tokens", "https://idp.example", metric.KeySet{Keys: 2, Fetches: 5, Failures: 1, Fetched: time.Unix(1_800_000_000, 0)})
	})
	r.SetDiscovery(func(yield func(source, name, place string, d metric.Discovery)) {
		yield("dns", "app.example", "", metric.Discovery{Endpoints: 2, Answered: time.Unix(1_800_000_000, 0)})
		yield("dns", "_http._tcp.app.example SRV", "10.0.0.53:53", metric.Discovery{Failures: 3})
	})
	r.SetElection(func() (self bool, term int64) { return true, 12 })
	r.SetDependencies(func(yield func(kind, owner, name string, up bool)) {
		yield("keys", "default/tokens", "https://idp.example", true)
		yield("provider", "default/login", "https://idp.example", false)
	})
	r.SetSinks(func(yield func(metric.Sink)) {
		yield(metric.Sink{
			Name: "default/collector", Signal: "logs", Sent: 7, Rejected: 1, Failed: 2, Dropped: 3, Retries: 4, Items: 5, ItemsLimit: 1000, Bytes: 600, BytesLimit: 1 << 20,
			Lost: []metric.SinkLoss{{Reason: "full", Count: 3}, {Reason: "expired", Count: 2}}, LastSent: time.Unix(1_800_000_000, 0), LastFailed: time.Unix(1_800_000_060, 0),
		})
		yield(metric.Sink{Name: "default/file", Signal: "logs", Sent: 7})
	})
	r.SetLoops(func() []metric.Loop {
		return []metric.Loop{{Sockets: 12, Queued: 3, Busy: 1500 * time.Millisecond, Taken: 2}, {}}
	})
	r.SetRecords(func() metric.Records {
		return metric.Records{Recorded: 9, Notable: 2, Lost: 1, Bytes: 4096, Limit: 8192}
	})
	mirror := r.Cluster("Backend/default/mirror")
	mirror.Mirrored(metric.MirrorStatus(204), time.Millisecond)
	mirror.Mirrored(metric.MirrorStatus(599), time.Millisecond)
	mirror.Mirrored(metric.MirrorTooSlow, time.Second)
	r.Decided(0, time.Millisecond) // of filters that decide nothing
	r.Decided(1, time.Millisecond)
	r.Asked(0, 0, 2*time.Millisecond)
	r.Asked(0, 1, time.Second)
	r.Asked(1, 0, time.Second) // what nobody knows is not counted
	r.SetMesh(mesh)
	r.SetEdges(edges)
	r.SetAdmission(func(yield func(string, metric.Admission)) {
		yield("HTTPRoute/default/app", metric.Admission{Limit: 12, InFlight: 3, Queued: 1, Baseline: 20 * time.Millisecond, Recent: 30 * time.Millisecond, Admitted: 5, Delayed: 4, Refused: 3, Displaced: 2, Expired: 1})
	})
	return r
}

// configuration has what populated counts, and says how long it is good for.
func configuration(now time.Time) *ir.Config {
	client := ir.ClientPolicy{MaxConnections: 1000}
	shown := &ir.Certificate{Name: "Secret/default/shop", Chain: []byte(leaf)}
	return &ir.Config{
		Listeners: []*ir.Listener{{Name: "0.0.0.0:8443", Client: client, Sections: []*ir.Section{{TLS: &ir.ServerTLS{Certificates: []*ir.Certificate{shown, {Name: "Secret/default/bad"}}}}}}},
		Routes:    []*ir.Route{{Name: "HTTPRoute/default/shop", Rules: []*ir.Rule{{ID: "HTTPRoute/default/shop/rules/2"}}}},
		Streams:   []*ir.StreamRoute{{ID: "UDPRoute/default/dns/rules/0"}},
		Clusters: []*ir.Cluster{{
			Name: "Backend/default/shop", Breaker: &ir.Breaker{MaxConnections: 1, MaxPending: 2, MaxRequests: 3}, TLS: &ir.UpstreamTLS{Certificate: shown},
		}},
		RevocationLists: []*ir.RevocationLists{{
			Name: "default/certificates/mtls", CRLs: []*ir.CRL{{From: "ConfigMap/default/revoked ca.crl", ThisUpdate: now, NextUpdate: now.Add(time.Hour), Revoked: 3}},
		}},
	}
}

// leaf is a certificate that ends in 2036.
const leaf = `-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIUahYBRiaUEg9abta5TawjavLXpuIwCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMc2hvcC5leGFtcGxlMB4XDTI2MTEyMjE3MjgzMFoXDTM2MTEx
OTE3MjgzMFowFzEVMBMGA1UEAwwMc2hvcC5leGFtcGxlMFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEOWai+Eta9fPyIS0LuNhCwKiNU+Gc1bXUbzteEN7GUwNXYHUg
jlDS4/3uX64tTdwGCWgi7LlXGUZBDlGLyZA0F6NTMFEwHQYDVR0OBBYEFLuq8fuj
STj3Uq1AJp0loqYbdeRRMB8GA1UdIwQYMBaAFLuq8fujSTj3Uq1AJp0loqYbdeRR
MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAIdMsiQz5GDTxWX4
DwD3CKxFTIAErXdx9iJjCS9FsvO3AiB2QvqCa5DSeciiMgzIGgQCqP61v22PgVW3
GDx97Z1duQ==
-----END CERTIFICATE-----
`

// mesh is that of a process which is a control plane and a proxy.
func mesh() metric.Mesh {
	noon := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	return metric.Mesh{
		Control: &metric.MeshControl{
			Proxies: map[[2]string]int{{"sidecar", "Serving"}: 3, {"edge", "Refused"}: 1}, Behind: map[string]uint64{"sidecar": 0, "edge": 2},
			Waiting: map[string]int{"view": 1, "endpoints": 0}, Messages: map[string]uint64{"view": 9}, Bytes: map[string]uint64{"view": 900},
			Acknowledged: metric.Histogram{Count: 3, Sum: 0.5, Buckets: map[float64]uint64{0.1: 2, 1: 3}}, Refused: map[string]uint64{"listener": 1},
			Services: 2, Workloads: map[string]int{"healthy": 3, "unhealthy": 1},
			Joins: map[[2]string]uint64{{"token", "joined"}: 4}, Issued: map[[2]string]uint64{{"renewal", "issued"}: 5},
			Authorities: []metric.MeshAuthority{{Purpose: "x509", Serial: "0a", Ends: noon}},
		},
		Member: &metric.MeshMember{
			Connected: true, Contact: noon, Revision: 7, FromDisk: true, Refused: 1, Services: 2, RenewalFailures: map[string]int{"spiffe://example.org/ns/shop/sa/cart": 1},
		},
		SVIDs:   []metric.MeshSVID{{ID: "spiffe://example.org/ns/shop/sa/cart", Ends: noon}},
		Bundles: []metric.MeshBundle{{TrustDomain: "example.org", Roots: 2, Ends: noon}, {TrustDomain: "other.example", Roots: 1, Fetched: noon}},
		Denied:  1,
	}
}

func scrape(t *testing.T, r *metric.Registry) string {
	t.Helper()
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// own leaves out what the Go runtime and the process say about themselves.
func own(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "gridway_") || strings.HasPrefix(strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE "), "gridway_") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func TestExpositionGolden(t *testing.T) {
	got := own(scrape(t, populated(newClock())))
	const file = "testdata/metrics.txt"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("exposition differs (-want +got):\n%s", d)
	}
}

// Prometheus' own parser must accept it, and every family must be there.
func TestExpositionIsCompleteAndValid(t *testing.T) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	got, err := parser.TextToMetricFamilies(strings.NewReader(scrape(t, populated(newClock()))))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range metric.Families() {
		m, ok := got[f.Name]
		if !ok {
			t.Errorf("%s is described but not exposed", f.Name)
			continue
		}
		if kind := strings.ToLower(m.GetType().String()); kind != f.Type {
			t.Errorf("%s is a %s, described as %s", f.Name, kind, f.Type)
		}
		var labels []string
		for _, l := range m.Metric[0].Label {
			labels = append(labels, l.GetName())
		}
		if len(labels) != len(f.Labels) {
			t.Errorf("%s has labels %v, described %v", f.Name, labels, f.Labels)
		}
		delete(got, f.Name)
		if (f.Type == "counter") != strings.HasSuffix(f.Name, "_total") {
			t.Errorf("%s: counters, and only they, end in _total", f.Name)
		}
	}
	defined, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, f := range metric.Families() {
		listed[f.Name] = true
	}
	for _, file := range defined {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`define\("([^"]+)"`).FindAllSubmatch(source, -1) {
			if !listed[string(m[1])] {
				t.Errorf("%s: %s is not in the list of families", file, m[1])
			}
		}
	}
	for name := range got {
		if !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("%s is exposed but not described", name)
		}
	}
}

func TestDocumentationListsEveryMetric(t *testing.T) {
	const file = "../../../docs/reference/metrics.md"
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("| metric | type | labels | meaning |\n|---|---|---|---|\n")
	for _, f := range metric.Families() {
		labels := ""
		if len(f.Labels) > 0 {
			labels = "`" + strings.Join(f.Labels, "` `") + "`"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", f.Name, f.Type, labels, f.Help)
	}
	section := regexp.MustCompile(`(?s)(<!-- generated [^\n]*-->\n)(.*)(<!-- end -->)`)
	m := section.FindSubmatch(doc)
	if m == nil {
		t.Fatalf("%s has no generated table", file)
	}
	if *update {
		doc = section.ReplaceAll(doc, []byte("${1}"+table.String()+"${3}"))
		if err := os.WriteFile(file, doc, 0o644); err != nil {
			t.Fatal(err)
		}
		m = section.FindSubmatch(doc)
	}
	if d := cmp.Diff(table.String(), string(m[2])); d != "" {
		t.Errorf("%s differs from the program (run with -update):\n%s", file, d)
	}
}

func TestSeriesGoAfterTheirGrace(t *testing.T) {
	c := newClock()
	r := populated(c)
	has := func() bool { return strings.Contains(scrape(t, r), `route="HTTPRoute/default/shop"`) }
	rule := &ir.Route{Name: "HTTPRoute/default/shop", Rules: []*ir.Rule{{ID: "HTTPRoute/default/shop/rules/2"}}}
	r.Keep(&ir.Config{})
	c.advance(metric.Grace - time.Second)
	r.Sample()
	if !has() {
		t.Fatal("the series went before their grace")
	}
	back := &ir.Config{Routes: []*ir.Route{rule}, Clusters: []*ir.Cluster{{Name: "Backend/default/shop"}}}
	r.Keep(back)
	c.advance(metric.Grace)
	r.Sample()
	if !has() {
		t.Fatal("the series of a route that came back went")
	}
	r.Keep(&ir.Config{})
	held := r.Cluster("Backend/default/shop") // asking revives
	c.advance(metric.Grace)
	r.Sample()
	if has() {
		t.Fatal("the series are still there after their grace")
	}
	if !strings.Contains(scrape(t, r), `gridway_cluster_retries_total{cluster="Backend/default/shop"} 1`) {
		t.Fatal("the revived cluster's series are gone")
	}
	held.Retry()
}

func TestProtocolCodesAreBounded(t *testing.T) {
	r := metric.New(metric.Options{})
	l := r.Listener("x")
	for i := range 1000 {
		l.ProtocolError(fmt.Sprint("Code", i))
	}
	n := strings.Count(scrape(t, r), "gridway_listener_protocol_errors_total{")
	if n > 65 {
		t.Errorf("%d series", n)
	}
}

func TestScrapeWhileObserving(t *testing.T) {
	r := metric.New(metric.Options{})
	h := r.Route("HTTPRoute/d/a/rules/0")
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				h.Observe(200, time.Millisecond, 1, 1, 0)
			}
		}
	}()
	for range 20 {
		_, _ = io.WriteString(io.Discard, scrape(t, r))
		r.Sample()
		r.Snapshot()
	}
	close(stop)
	<-done
}
