package pipeline

import (
	"context"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/proxy/tracing"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/telemetry/signal"
	"github.com/gridway/gridway/internal/telemetry/trace"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// accounted is a Pipeline with one rule and one endpoint.
type accounted struct {
	*Pipeline
	listener *snapshot.Listener
	rule     *snapshot.Rule
	route    *ir.Route
	endpoint *upstream.Endpoint
}

func newAccounted(tb testing.TB) *accounted {
	tb.Helper()
	place := ir.Ref{Kind: "HTTPRoute", Namespace: "default", Name: "catalog", File: "config/shop/routes.yaml", Line: 12, Column: 5}
	const cluster, route = "Backend/default/catalog", "HTTPRoute/default/catalog"
	cfg := &ir.Config{
		Revision: 7,
		Listeners: []*ir.Listener{{
			Name: "0.0.0.0:8080", Address: "0.0.0.0", Port: 8080, Protocol: ir.HTTP,
			Sections: []*ir.Section{{
				Name: "Gateway/default/edge/http", Ref: ir.Ref{Kind: "Gateway", Namespace: "default", Name: "edge"},
				Routes: []ir.Attachment{{Route: route, Hostnames: []string{""}}},
			}},
		}},
		Routes: []*ir.Route{{Name: route, Rules: []*ir.Rule{{
			ID: route + "/rules/0", Ref: place, Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.Prefix, Value: "/"}}},
			Backends: []ir.BackendRef{{Cluster: cluster, Weight: 1, Ref: ir.Ref{Kind: "Backend", Namespace: "default", Name: "catalog"}}},
		}}}},
		Clusters: []*ir.Cluster{{
			Name: cluster, Protocol: ir.HTTP, Hash: 1, Balance: ir.Balance{Algorithm: ir.RoundRobin},
			Endpoints: []ir.Endpoint{{Address: "10.0.0.1:9001", Weight: 1}},
		}},
	}
	set := upstream.New(upstream.Options{})
	if err := set.Apply(cfg.Clusters); err != nil {
		tb.Fatal(err)
	}
	p := &Pipeline{
		Metrics: metric.New(metric.Options{}), Tracing: tracing.NewSet(tracing.Options{Default: trace.Default}),
		Signals: &signal.Observer{Recorder: signal.New(nil)},
	}
	s, err := snapshot.Build(cfg, nil, snapshot.Deps{
		Upstreams: set, Metrics: p.Metrics, Clock: snapshot.NewClock(time.Now), Signals: p.Signals, Tracing: p.Tracing,
	})
	if err != nil {
		tb.Fatal(err)
	}
	a := &accounted{Pipeline: p, listener: s.Listeners["0.0.0.0:8080"]}
	var q httpmsg.Request
	a.request(&q)
	m, ok := a.listener.Table.Match(&q, "")
	if !ok {
		tb.Fatal("no rule matches")
	}
	a.rule, a.route = m.Value, m.Route
	if a.endpoint, err = a.rule.Backends[0].Cluster.Pick(&upstream.Query{}); err != nil {
		tb.Fatal(err)
	}
	return a
}

func (a *accounted) request(q *httpmsg.Request) {
	q.Method, q.MethodID, q.Version = []byte("GET"), httpmsg.MethodGet, httpmsg.HTTP11
	q.Scheme, q.Host, q.Path = "http", []byte("shop.example"), []byte("/catalog/items/42")
	q.Header.AddID(httpmsg.NameUserAgent, []byte("curl/8.5.0"))
}

// exchange is what looks at traffic do in the course of an exchange, and nothing else.
func (a *accounted) exchange(x *Exchange) {
	x.p = a.Pipeline
	x.Listener, x.Section = a.listener, a.listener.IR.Sections[0]
	x.begun()
	x.clear()
	x.host, x.path = x.Req.Host, x.Req.Path
	x.rule = a.rule
	x.Rule, x.Route = a.rule.IR, a.route
	x.beginTrace()
	x.backend, x.endpoint = &a.rule.Backends[0], a.endpoint
	x.upstreamAt, x.attempts, x.trying = x.clock, 1, true
	x.beginTry(a.endpoint)
	if m := x.backend.Metrics; m != nil {
		m.PoolHit()
	}
	x.headAt = x.clock + int64(time.Millisecond)
	x.clock = x.headAt
	x.endedAt = x.clock
	x.status, x.sent = 200, 1024
	x.trying = false
	x.endTried(200, filter.ReasonNone)
	if m := x.backend.Metrics; m != nil {
		m.Observe(200, time.Millisecond, 0, x.sent, 0)
	}
	x.account()
}

// BenchmarkAccount is what it costs to look at an exchange, by what looks. It is CPU time,
// which a busy machine disturbs less than the time on the wall.
func BenchmarkAccount(b *testing.B) {
	for _, c := range []struct {
		name string
		with func(*accounted)
	}{
		{"metrics", func(a *accounted) { a.Signals = nil }},
		{"edges", func(*accounted) {}},
		{"records", func(a *accounted) { a.Records = trace.New(trace.DefaultMemory) }},
		{"log", func(a *accounted) {
			a.Records = trace.New(trace.DefaultMemory)
			a.AccessLog = accesslog.New(nowhere{}, accesslog.Options{})
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			a := newAccounted(b)
			c.with(a)
			if a.AccessLog != nil {
				defer a.AccessLog.Close(context.Background())
			}
			x := Get()
			a.request(&x.Req)
			x.RequestID = []byte("0190f3c2-7a51-7d1e-8a5b-2f1c9d3e4f60")
			x.PeerAddr = netip.MustParseAddrPort("192.0.2.1:40000")
			x.Client = x.PeerAddr.Addr()
			b.ReportAllocs()
			var before, after syscall.Rusage
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
			for range b.N {
				a.exchange(x)
			}
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
			b.ReportMetric(float64(after.Utime.Nano()+after.Stime.Nano()-before.Utime.Nano()-before.Stime.Nano())/float64(b.N), "cpu-ns/op")
		})
	}
}

type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
