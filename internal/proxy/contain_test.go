package proxy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// defect is a filter that panics where a request's header says so.
type defect struct{}

func (defect) OnRequest(x *filter.Exchange) filter.Verdict {
	switch string(x.Req.Header.GetString("X-Defect")) {
	case "request":
		var none *filter.Exchange
		none.Local.Status = 1
	case "request-body":
		x.Req.Body, x.Req.Length = httpmsg.BodyChunked, -1
		x.WrapRequestBody(func(io.Reader) io.Reader { return broken{} })
	}
	return filter.Continue
}

func (defect) OnResponse(x *filter.Exchange) {
	switch string(x.Req.Header.GetString("X-Defect")) {
	case "response":
		panic("in a response filter")
	case "response-body":
		x.WrapResponseBody(func(io.Reader) io.Reader { return broken{} })
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { panic("in a body filter") }

// A filter that panics costs its own exchange, and nothing else: not the
// process, not a place in a limit, not a goroutine.
func TestDefectsAreContained(t *testing.T) {
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, "read ", n)
	})
	var log lockedLog
	metrics := proxy.NewMetrics(metric.Build{}, metric.Settings{})
	h := &harness{t: t, cfg: config(app), proxy: proxy.New(proxy.Options{
		Log: slog.New(slog.NewTextHandler(&log, nil)), Metrics: metrics, IdleGrace: time.Millisecond,
	})}
	h.cfg.Clusters[0].Breaker = &ir.Breaker{MaxRequests: 1, MaxConnections: 1, MaxPending: 1}
	rule := h.cfg.Routes[0].Rules[0]
	rule.Policy.Hedge = &ir.Hedge{Delay: time.Minute, MaxExtra: 1}
	h.apply()
	for _, ap := range h.proxy.Listening() {
		h.addr = ap.String()
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.proxy.Shutdown(ctx); err != nil {
			t.Error("shutdown:", err)
		}
	}()
	running(t, h).Filters = filters.Chain{Request: []filter.RequestFilter{defect{}}, Response: []filter.ResponseFilter{defect{}}}
	h.apply() // publishes the change; rules of routes that stay are kept

	for _, c := range []struct {
		where, method, body string
		status              int // zero: the response is cut
	}{
		{"request", "GET", "", 500},
		{"request", "POST", "abc", 500},
		{"response", "GET", "", 500},
		{"response", "POST", "abc", 500}, // not hedged
		{"response-body", "GET", "", 0},
		{"request-body", "POST", "abc", 500},
		{"request-body", "PUT", strings.Repeat("x", 100_000), 500},
	} {
		t.Run(c.where+" "+c.method, func(t *testing.T) {
			for range 3 { // a place that is not given back would show
				resp, body, err := h.try(c.method, c.body, c.where)
				switch {
				case c.status == 0 && err == nil:
					t.Fatalf("the response looks complete: %d %q", resp.StatusCode, body)
				case c.status == 0:
				case err != nil:
					t.Fatal(err)
				case resp.StatusCode != c.status || resp.Header.Get("X-Gridway-Reason") != "InternalError" || !strings.Contains(body, `"request_id"`):
					t.Fatalf("%d %v %s", resp.StatusCode, resp.Header, body)
				}
				if resp, body, err := h.try("POST", "1234", ""); err != nil || resp.StatusCode != 200 || body != "read 4" {
					t.Fatalf("the next request: %v %v %q", resp, err, body)
				}
			}
		})
	}
	waitFor(t, "the metrics to count them", func() bool { // they are, after the response was sent
		w := httptest.NewRecorder()
		metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return strings.Contains(w.Body.String(), `gridway_route_reasons_total{reason="InternalError",route="HTTPRoute/default/app",rule="0"} 21`)
	})
	waitFor(t, "nothing to be counted any more", func() bool { // as above
		s := h.proxy.Upstreams().Cluster("Backend/default/app").Snapshot()
		return s.Requests == 0 && s.Endpoints[0].Active == 0 && s.Connections == s.Idle
	})
	if text := log.String(); strings.Count(text, "contain_test.go") < 10 || !strings.Contains(text, "request_id=") {
		t.Errorf("the log does not tell where: %.2000s", text)
	}
}

// try sends a request that a defect may end.
func (h *harness) try(method, body, where string) (*http.Response, string, error) {
	req, err := http.NewRequestWithContext(h.t.Context(), method, "http://"+h.addr+"/", strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	if where != "" {
		req.Header.Set("X-Defect", where)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return resp, string(got), err
}

// running is the rule that serves everything.
func running(t *testing.T, h *harness) *snapshot.Rule {
	t.Helper()
	var req httpmsg.Request
	req.Method, req.MethodID, req.Host, req.Path = []byte("GET"), httpmsg.MethodGet, []byte("a"), []byte("/")
	for _, l := range h.proxy.Snapshot().Listeners {
		if m, ok := l.Table.Match(&req, ""); ok {
			return m.Value
		}
	}
	t.Fatal("no rule")
	return nil
}

type lockedLog struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
