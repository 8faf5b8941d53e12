package adminapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/question"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/statedb/statetest"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/telemetry/tap"
)

var update = flag.Bool("update", false, "write golden files and generated documentation")

func TestMain(m *testing.M) { goleak.VerifyTestMain(statetest.Stopping{TestingM: m}) }

const (
	secret    = "hunter2-hunter2-hunter2"
	tokenText = "0123456789abcdef0123456789abcdef"
)

// process is a made-up process with something of everything in it.
type process struct {
	state        atomic.Value
	troubles     []adminapi.Trouble
	moreTroubles int
}

func newProcess() *process {
	p := &process{}
	p.state.Store(adminapi.Serving)
	return p
}

var at = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

func (p *process) State() adminapi.State { return p.state.Load().(adminapi.State) }

func (p *process) Troubles() ([]adminapi.Trouble, int) { return p.troubles, p.moreTroubles }

func (p *process) Status() adminapi.Status {
	return adminapi.Status{
		State: p.State(), Version: "v1.2.3", Started: at, Troubles: p.troubles, MoreTroubles: p.moreTroubles,
		Revision: adminapi.Revision{Number: 7, At: at.Add(time.Hour), Took: 3 * time.Millisecond, Sources: []string{"shop.yaml"}},
		Objects:  map[string]int{"Gateway": 1, "HTTPRoute": 2},
		Problems: []adminapi.Problem{{
			Severity: "error", Code: "UnknownField", Object: "HTTPRoute/default/cart", Field: "spec.rulez",
			Place: adminapi.Place{File: "shop.yaml", Line: 12, Column: 3}, Message: "unknown field \"rulez\"", Remedy: "did you mean \"rules\"?",
		}},
		Dependencies: []adminapi.Dependency{{
			Kind: "keys", Owner: "default/tokens", Name: "https://idp.example", Place: "https://idp.example/keys",
			Since: at.Add(time.Hour), Error: "GET https://idp.example/keys: connection refused", Kept: true,
		}},
		Certificates: []adminapi.Certificate{{
			Secret: "Secret/default/le:shop.example", Issuer: "CertificateIssuer/default/le", Names: []string{"shop.example"},
			Directory: "https://ca.example/directory", Phase: "Failing", Valid: true, Serial: "5f", NotBefore: at, NotAfter: at.Add(90 * 24 * time.Hour),
			NextTry: at.Add(time.Hour), Failures: 2, FailedAt: at.Add(time.Minute), Error: "the authority could not be reached",
		}},
		Refused: []adminapi.Refused{{
			Object: "HTTPRoute/default/cart", Place: adminapi.Place{File: "shop.yaml", Line: 10, Column: 1},
			Since: at.Add(2 * time.Hour), LastGood: 6, Why: []string{"unknown field \"rulez\""},
		}},
		Listeners: []adminapi.ListenerStatus{{Name: "0.0.0.0:8080", Protocol: "HTTP", State: "listening", Speaks: []string{"HTTP/1.1", "HTTP/2"}, Sections: []string{"Gateway/default/edge/http"}, Connections: 2}},
		RateLimitStores: []adminapi.RateLimitStoreStatus{
			{Name: "default/shared", Kind: "redis", State: "down", Error: "dial tcp 127.0.0.1:6379: connect: connection refused", Since: at.Add(time.Minute)},
		},
		Statuses: []adminapi.ObjectStatus{{Object: "HTTPRoute/default/cart", Conditions: []adminapi.Condition{
			{Of: "Gateway/default/edge", Type: "Accepted", Status: "True", Reason: "Accepted"},
		}}},
	}
}

func (p *process) Config() *ir.Config {
	if p.State() == adminapi.Starting {
		return nil
	}
	return &ir.Config{
		Revision: 7,
		Listeners: []*ir.Listener{{
			Name: "0.0.0.0:8080", Port: 8080, Protocol: ir.HTTPS,
			Sections: []*ir.Section{{
				Name:   "Gateway/default/edge/http",
				TLS:    &ir.ServerTLS{Certificates: []*ir.Certificate{{Name: "Secret/default/tls", Chain: []byte("chain"), Key: []byte(secret)}}},
				Routes: []ir.Attachment{{Route: "HTTPRoute/default/cart", Hostnames: []string{"shop.example"}}, {Route: "HTTPRoute/default/gone"}},
			}},
		}},
		Routes: []*ir.Route{{
			Name: "HTTPRoute/default/cart",
			Rules: []*ir.Rule{
				{
					ID: "HTTPRoute/default/cart/rules/0", Name: "main",
					Matches: []ir.Match{
						{Path: ir.PathMatch{Type: ir.Prefix, Value: "/cart"}, Method: "GET", Headers: []ir.ValueMatch{{Name: "X-Api-Key", Type: ir.Exact, Value: secret}}},
						{Path: ir.PathMatch{Type: ir.Regex, Value: "/c/[0-9]+"}, Query: []ir.ValueMatch{{Name: "v", Type: ir.Regex, Value: "2.*"}}},
					},
					Filters:  ir.Filters{RequestHeaders: &ir.HeaderMods{Set: []ir.Header{{Name: "Authorization", Value: secret}}}},
					Backends: []ir.BackendRef{{Cluster: "Backend/default/cart", Weight: 9}, {Weight: 1, Ref: ir.Ref{Kind: "Service", Namespace: "default", Name: "new"}, Problem: "not found"}},
					Policy:   ir.RoutePolicy{Session: &ir.SessionPersistence{Name: "s", Key: []byte(secret)}},
					Policies: []ir.Ref{{Kind: "TrafficPolicy", Namespace: "default", Name: "p"}},
					Ref:      ir.Ref{Kind: "HTTPRoute", Namespace: "default", Name: "cart", File: "shop.yaml", Line: 20, Column: 5},
				},
				{ID: "HTTPRoute/default/cart/rules/1", Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.Exact, Value: "/old"}}}, Filters: ir.Filters{Redirect: &ir.Redirect{Status: 301}}},
				{ID: "HTTPRoute/default/cart/rules/2", Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.Exact, Value: "/ok"}}}, Policy: ir.RoutePolicy{Direct: &ir.DirectResponse{Status: 204}}},
			},
		}},
		Clusters: []*ir.Cluster{{Name: "Backend/default/cart", Protocol: ir.HTTP, Endpoints: []ir.Endpoint{{Address: "127.0.0.1:9001", Weight: 1}}}},
	}
}

func (p *process) Objects(values bool) []adminapi.Object {
	value := func(text string) json.RawMessage {
		if !values {
			return nil
		}
		return json.RawMessage(text)
	}
	return []adminapi.Object{
		{
			APIVersion: "v1", Kind: "Secret", Namespace: "default", Name: "tls", Source: "file", Hash: "deadbeef",
			Value: value(`{"kind":"Secret","metadata":{"name":"tls","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"` + secret + `"}},"data":{"tls.key":"` + secret + `"},"stringData":{"a":"` + secret + `"}}`),
		},
		{
			APIVersion: "gateway.networking.k8s.io/v1", Kind: "HTTPRoute", Namespace: "default", Name: "cart", Source: "file", Hash: "0123",
			Place: adminapi.Place{File: "shop.yaml", Line: 10, Column: 1},
			Value: value(`{"kind":"HTTPRoute","spec":{"rules":[{"filters":[{"requestHeaderModifier":{"set":[{"name":"Authorization","value":"` + secret + `"},{"name":"x-color","value":"blue"}]}}]}]}}`),
		},
		{APIVersion: "gateway.networking.k8s.io/v1", Kind: "GatewayClass", Name: "gridway", Value: value(`{"kind":"GatewayClass"}`)},
	}
}

func (p *process) Clusters() []adminapi.Cluster {
	return []adminapi.Cluster{{
		Name: "Backend/default/cart", Algorithm: "LeastRequest", Breaker: "closed", RetryBudget: -1, Connections: 3, Idle: 1,
		Endpoints: []adminapi.Endpoint{{Address: "127.0.0.1:9001", Weight: 1, State: "healthy", Active: 2, Idle: 1, Latency: time.Millisecond, Tries: 10, Failures: 1}},
	}}
}

func (p *process) Consumers(namespace, name string) iter.Seq[adminapi.Consumer] {
	all := []adminapi.Consumer{
		{Namespace: "default", Name: "acme", Groups: []string{"partners"}, Plan: "gold", Credentials: []adminapi.ConsumerCredential{{Name: "first", Kind: "apiKey", NotAfter: at.Add(time.Hour), LastUsed: at}}},
		{Namespace: "other", Name: "acme", Credentials: []adminapi.ConsumerCredential{}},
	}
	return slices.Values(slices.DeleteFunc(all, func(c adminapi.Consumer) bool { return c.Namespace+"/"+c.Name <= namespace+"/"+name }))
}

func (p *process) Explain(_ context.Context, r dryrun.Request) (*dryrun.Decision, error) {
	if r.URL == "" {
		return nil, errors.New("the URL is missing")
	}
	return &dryrun.Decision{
		Request: r, Listener: "0.0.0.0:8080", Action: dryrun.Forward,
		Match:    &ir.Match{Headers: []ir.ValueMatch{{Name: "X-Api-Key", Value: secret}}},
		Filters:  ir.Filters{RequestHeaders: &ir.HeaderMods{Set: []ir.Header{{Name: "Authorization", Value: secret}}}},
		Policy:   ir.RoutePolicy{Session: &ir.SessionPersistence{Name: "s", Key: []byte(secret)}},
		Local:    &dryrun.Local{Status: 200, Headers: []ir.Header{{Name: "Set-Cookie", Value: secret}}},
		Backends: []dryrun.Backend{{Name: "cart", Upstream: &dryrun.Upstream{Headers: []ir.Header{{Name: "Authorization", Value: secret}, {Name: "X-Token", Value: "sent by the caller"}}}}},
	}, nil
}

// Tap gives an event of each of two proxies, and then waits for a host of that name.
func (p *process) Tap(ctx context.Context, query url.Values, only question.Only, take func([][]byte) error) error {
	if err := take(nil); err != nil {
		return err
	}
	for _, name := range []string{"shop/cart/10.0.0.1:15008", "shop/orders/10.0.0.2:15008"} {
		if !only.Wants(question.Proxy{Name: name}) {
			continue
		}
		e := tap.Event{Type: tap.Exchange, Proxy: name, Time: at, Method: "GET", Path: query.Get("path"), Status: 200}
		if err := take([][]byte{e.JSON()}); err != nil {
			return err
		}
	}
	if query.Get("host") != "waits" {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (p *process) Snapshot() metric.Snapshot {
	return metric.Snapshot{At: at, Routes: []metric.RouteStats{{Route: "HTTPRoute/default/cart", Rule: "0", Stats: metric.Stats{Requests: 12.5, P99: time.Millisecond}}}, Clusters: []metric.ClusterStats{}}
}

// options has everything on.
func (p *process) options() adminapi.Options {
	return adminapi.Options{
		Address: "127.0.0.1:0", Process: p, Configuration: p, Explainer: p, Sampler: p, Observer: p, Records: &remembered{}, Effects: reckoner{}, Revisions: &kept{}, Level: new(slog.LevelVar),
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "gridway_ready 1\n") }),
	}
}

// start serves until the test ends and returns the API's base URL.
func start(t *testing.T, opt adminapi.Options) string {
	t.Helper()
	s, err := adminapi.New(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return "http://" + s.Addr().String()
}

func newClient(t *testing.T, opt client.Options) *client.Client {
	t.Helper()
	c, err := client.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// request is one request on a connection of its own.
type request struct {
	method, path, body string
	header             http.Header
	host               string
}

func (q request) do(t *testing.T, base string) (status int, header http.Header, body string) {
	t.Helper()
	if q.method == "" {
		q.method = "GET"
	}
	req, err := http.NewRequestWithContext(t.Context(), q.method, base+q.path, bytes.NewReader([]byte(q.body)))
	if err != nil {
		t.Fatal(err)
	}
	if q.header != nil {
		req.Header = q.header
	}
	req.Host = q.host
	req.Close = true
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

// golden compares text with a file, or writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
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
		t.Errorf("%s differs; if that is meant, run go test ./internal/surface/adminapi -update (-want +got):\n%s", file, d)
	}
}
