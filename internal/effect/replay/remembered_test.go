package replay_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/effect/replay"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

// passed is a request that "/a" of table has taken to the cluster "one".
func passed(change func(*trace.Record)) *trace.Record {
	r := &trace.Record{
		Start: time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC), Side: trace.Edge, Method: "GET", Scheme: "http", Host: "a", Path: "/a/b", Status: 200, Listener: ":80",
		Route: "HTTPRoute/default/shop", Rule: "HTTPRoute/default/shop/rules/0", Cluster: "one", Client: "192.0.2.1",
	}
	if change != nil {
		change(r)
	}
	return r
}

func TestWhatHasPassed(t *testing.T) {
	for name, c := range map[string]struct {
		change                    func(*trace.Record)
		path, cluster             string
		requests, same, undecided int
		aspects                   string
	}{
		"nothing":             {nil, "/a", "one", 1, 1, 0, ""},
		"the backend":         {nil, "/a", "two", 1, 0, 0, "backends: one → two"},
		"the route":           {nil, "/b", "one", 1, 0, 0, "route: HTTPRoute/default/shop → ; result: forward → 404 RouteNotFound"},
		"by what is not kept": {func(r *trace.Record) { r.Route, r.Cluster = "HTTPRoute/default/other", "two" }, "/b", "one", 1, 0, 1, ""},
		"a path that was cut": {func(r *trace.Record) { r.Path = "/a/" + strings.Repeat("x", 1021) }, "/b", "one", 1, 0, 1, ""},
		"a failure":           {func(r *trace.Record) { r.Status, r.Reason, r.Cluster = 503, "NoHealthyEndpoint", "" }, "/a", "one", 1, 1, 0, ""},
		"a sidecar's":         {func(r *trace.Record) { r.Side = trace.Inbound }, "/b", "one", 0, 0, 0, ""},
		"a stream":            {func(r *trace.Record) { r.Stream = true }, "/b", "one", 0, 0, 0, ""},
	} {
		p, err := replay.Remembered(t.Context(), []*trace.Record{passed(c.change)}, table(t, "/a", "one"), table(t, c.path, c.cluster))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if p.Requests != c.requests || p.Same != c.same || p.Undecided != c.undecided {
			t.Errorf("%s: %+v", name, p.Report)
		}
		var aspects []string
		for _, g := range p.Groups {
			for _, a := range g.Aspects {
				aspects = append(aspects, a.Name+": "+a.Old+" → "+a.New)
			}
		}
		if got := strings.Join(aspects, "; "); got != c.aspects {
			t.Errorf("%s: %q, and not %q", name, got, c.aspects)
		}
	}
}

func TestWhenItPassed(t *testing.T) {
	first, last := passed(nil), passed(func(r *trace.Record) { r.Start = r.Start.Add(time.Minute) })
	p, err := replay.Remembered(t.Context(), []*trace.Record{last, first}, table(t, "/a", "one"), table(t, "/a", "one"))
	if err != nil || p.From != first.Start || p.To != last.Start {
		t.Fatal(p.From, p.To, err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if p, err := replay.Remembered(ended, []*trace.Record{first}, table(t, "/a", "one"), table(t, "/a", "one")); !errors.Is(err, context.Canceled) || p.Requests != 0 {
		t.Fatal(p, err)
	}
}
