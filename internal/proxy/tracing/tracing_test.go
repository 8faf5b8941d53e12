package tracing_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/tracing"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

func request(path string, headers ...string) *filter.Exchange {
	x := &filter.Exchange{}
	x.Req.Method, x.Req.Path = []byte("GET"), []byte(path)
	for i := 0; i < len(headers); i += 2 {
		x.Req.Header.Add([]byte(headers[i]), []byte(headers[i+1]))
	}
	return x
}

func TestRules(t *testing.T) {
	s := tracing.NewSet(tracing.Options{Default: trace.Default})
	p := s.Get(&ir.Telemetry{Key: 1, Tracing: &ir.Tracing{
		IgnoreParent: true, Rate: ir.RateOfAll / 2, KeepErrors: true, KeepSlowerThan: time.Second,
		Accept: []ir.TraceFormat{ir.TraceB3, ir.TraceW3C}, Send: []ir.TraceFormat{ir.TraceB3Single},
		Rules: []ir.TraceRule{
			{Name: "probes", When: "request.headers['user-agent'] == 'probe'"},
			{Name: "orders", Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.Prefix, Value: "/orders"}}}, Rate: ir.RateOfAll},
			{Name: "broken", When: "1 +", Rate: 7},
		},
	}})
	if p.Follow || !p.Errors || p.Slow != time.Second || p.Accept != trace.W3C|trace.B3|trace.B3Single || p.Send != trace.B3Single || !p.B3First {
		t.Errorf("%+v", p.Policy)
	}
	for _, c := range []struct {
		name string
		x    *filter.Exchange
		want trace.Rate
	}{
		{"none", request("/"), trace.Percent(50)},
		{"by its path", request("/orders/1"), trace.Percent(100)},
		{"the first counts", request("/orders/1", "User-Agent", "probe"), trace.Percent(0)},
		{"what cannot be evaluated does not hold", request("/x"), trace.Percent(50)},
	} {
		if got := p.RateOf(c.x); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestTags(t *testing.T) {
	p := tracing.NewSet(tracing.Options{}).Get(&ir.Telemetry{Key: 1, Tracing: &ir.Tracing{Tags: []ir.SpanTag{
		{Name: "fixed", Value: "v"},
		{Name: "tenant", RequestHeader: "x-tenant"},
		{Name: "absent", RequestHeader: "x-absent"},
		{Name: "path", Expression: "request.path"},
		{Name: "none", Expression: "request.headers['x-absent']"},
	}}})
	got := ""
	p.Tags(request("/a", "X-Tenant", "acme\xff"), hides{}, func(name, value string) { got += name + "=" + value + " " })
	if want := "fixed=v tenant=acme\uFFFD path=/a "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// hides are header fields and parameters of the query, by "?", that a policy hides.
type hides map[string]bool

func (h hides) Header(name string) bool    { return h[strings.ToLower(name)] }
func (h hides) Parameter(name string) bool { return h["?"+name] }

func TestTagsHideCredentials(t *testing.T) {
	const token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"
	for _, c := range []struct{ expression, header, want string }{
		{"request.headers['x-plain']", "", "plainly"},
		{"request.headers['cookie']", "", ir.Hidden},
		{"'it is ' + request.headers['cookie']", "", ir.Hidden},
		{"request.headers['cookie'].substring(4)", "", ir.Hidden},
		{"'cookie' in request.headers ? 'has cookies' : 'has none'", "", "has cookies"},
		{"request.headers['x-bearer']", "", ir.Hidden},
		{"request.headers['x-person']", "", ir.Hidden},
		{"request.headers['x-person'].substring(0, 1)", "", "a"},
		{"request.query", "", ir.Hidden},
		{"request.path", "", "/a"},
		{"", "x-plain", "plainly"},
		{"", "x-bearer", ir.Hidden},
		{"", "x-person", ir.Hidden},
		{"", "referer", ir.Hidden},
	} {
		p := tracing.NewSet(tracing.Options{}).Get(&ir.Telemetry{Key: 1, Tracing: &ir.Tracing{Tags: []ir.SpanTag{{Name: "tag", Expression: c.expression, RequestHeader: c.header}}}})
		x := request("/a", "X-Plain", "plainly", "Cookie", "sid=the-session", "X-Bearer", "Bearer "+token, "X-Person", "a-person", "Referer", "https://a.example/?access_token=x")
		x.Req.Query = []byte("who=a%2Dperson&%61pi_key=the-key")
		p.Tags(x, hides{"x-person": true, "?who": true}, func(_, value string) {
			if value != c.want {
				t.Errorf("%s%s: %q, want %q", c.expression, c.header, value, c.want)
			}
		})
	}
}

// A policy, and the limit in it, lives as long as somebody has it, and no longer.
func TestPoliciesOutliveSnapshots(t *testing.T) {
	s := tracing.NewSet(tracing.Options{Default: trace.Default})
	cfg := func() *ir.Telemetry { return &ir.Telemetry{Key: 5, Tracing: &ir.Tracing{MaxPerSecond: 1}} }
	p := s.Get(cfg())
	if !p.Limit.Take(1e12) || p.Limit.Take(1e12) {
		t.Fatal("one in a second")
	}
	runtime.GC()
	if again := s.Get(cfg()); again != p || again.Limit.Take(1e12) {
		t.Error("the limit has forgotten what it let through")
	}
	if s.Get(&ir.Telemetry{Key: 6, Tracing: &ir.Tracing{}}) == p || s.Get(nil) == p || s.Get(&ir.Telemetry{}).Rate != trace.Percent(1) {
		t.Error("another key, another policy")
	}
	runtime.KeepAlive(p)
}
