package ratelimit_test

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/ratelimit"
	"github.com/gridway/gridway/internal/proxy/limit"
)

type counts struct{ allowed, limited, would, unanswered int }

func (c *counts) Allowed()    { c.allowed++ }
func (c *counts) Limited()    { c.limited++ }
func (c *counts) WouldLimit() { c.would++ }
func (c *counts) Unanswered() { c.unanswered++ }

func limits(list ...*ir.RateLimit) (*ratelimit.Limits, *counts) {
	var set limit.Set
	c := &counts{}
	for i, l := range list {
		l.State = strconv.Itoa(i)
		l.Policy = "default/api"
		if l.Headers == "" {
			l.Headers = ir.RateLimitHeadersAlways
		}
		if l.OnMissingKey == "" {
			l.OnMissingKey = ir.MissingKeyShare
		}
		l.MaxKeys = max(l.MaxKeys, 1000)
	}
	return ratelimit.New(list, "HTTPRoute/default/app", ratelimit.Deps{
		Get: set.Get, Counts: func(*ir.RateLimit) ratelimit.Counts { return c },
	}), c
}

func rate(name string, n int64, key ...ir.KeyPart) *ir.RateLimit {
	return &ir.RateLimit{Name: name, Cost: 1, Key: key, Rate: &ir.Rate{Units: n, Period: time.Hour, Burst: n}}
}

func exchange(client string) *filter.Exchange {
	x := &filter.Exchange{Client: netip.MustParseAddr(client), Start: time.Now()}
	x.Req.Method, x.Req.Path, x.Req.Host = []byte("GET"), []byte("/a"), []byte("api.example:8080")
	return x
}

// next makes the exchange ready for another request, as the pipeline does.
func next(x *filter.Exchange) {
	client := x.Client
	x.End()
	x.Reset()
	x.Resp.Header.Reset()
	x.Req.Arena.Reset()
	x.Client = client
}

// TestKeys: which requests share a counter.
func TestKeys(t *testing.T) {
	ip := ir.KeyPart{Type: ir.KeyClientIP, IPv4Bits: 24, IPv6Bits: 64}
	header := ir.KeyPart{Type: ir.KeyHeader, Name: "X-Tenant"}
	acme := &ir.Consumer{Namespace: "a", Name: "bc", Plan: "gold"}
	with := func(f func(*filter.Exchange)) *filter.Exchange {
		x := exchange("192.0.2.1")
		f(x)
		return x
	}
	tenant := func(values ...string) *filter.Exchange {
		return with(func(x *filter.Exchange) {
			for _, v := range values {
				x.Req.Header.Add([]byte("x-tenant"), []byte(v))
			}
		})
	}
	for _, c := range []struct {
		name string
		key  []ir.KeyPart
		a, b *filter.Exchange
		same bool
	}{
		{"no key", nil, exchange("192.0.2.1"), exchange("2001:db8::1"), true},
		{"a network", []ir.KeyPart{ip}, exchange("192.0.2.1"), exchange("192.0.2.200"), true},
		{"another", []ir.KeyPart{ip}, exchange("192.0.2.1"), exchange("192.0.3.1"), false},
		{"IPv4 in IPv6", []ir.KeyPart{ip}, exchange("192.0.2.1"), exchange("::ffff:192.0.2.9"), true},
		{"a /64", []ir.KeyPart{ip}, exchange("2001:db8::1"), exchange("2001:db8::ffff:1"), true},
		{"zones", []ir.KeyPart{ip}, exchange("fe80::1%a"), exchange("fe80::1%b"), true},
		{"another /64", []ir.KeyPart{ip}, exchange("2001:db8::1"), exchange("2001:db8:0:1::1"), false},
		{"a header", []ir.KeyPart{header}, tenant("a"), tenant("a"), true},
		{"another value", []ir.KeyPart{header}, tenant("a"), tenant("b"), false},
		{"one more value", []ir.KeyPart{header}, tenant("a"), tenant("a", "b"), false},
		{"values that run together", []ir.KeyPart{header}, tenant("ab", "c"), tenant("a", "bc"), false},
		{"an empty value is no missing one", []ir.KeyPart{header}, tenant(""), tenant(), false},
		{"both lack it", []ir.KeyPart{header}, tenant(), tenant(), true},
		{
			"parts that run together",
			[]ir.KeyPart{{Type: ir.KeyConsumer}},
			with(func(x *filter.Exchange) { x.Caller.Consumer = acme }),
			with(func(x *filter.Exchange) { x.Caller.Consumer = &ir.Consumer{Namespace: "ab", Name: "c"} }), false,
		},
		{
			"a plan",
			[]ir.KeyPart{{Type: ir.KeyPlan}},
			with(func(x *filter.Exchange) { x.Caller.Consumer = acme }),
			with(func(x *filter.Exchange) { x.Caller.Consumer = &ir.Consumer{Name: "other", Plan: "gold"} }), true,
		},
		{
			"a credential",
			[]ir.KeyPart{{Type: ir.KeyCredential}},
			with(func(x *filter.Exchange) { x.Caller.Consumer, x.Caller.Credential = acme, "one" }),
			with(func(x *filter.Exchange) { x.Caller.Consumer, x.Caller.Credential = acme, "two" }), false,
		},
		{"a host, whatever the port", []ir.KeyPart{{Type: ir.KeyHost}}, exchange("192.0.2.1"), with(func(x *filter.Exchange) { x.Req.Host = []byte("api.example") }), true},
		{"IPv6 hosts", []ir.KeyPart{{Type: ir.KeyHost}}, with(func(x *filter.Exchange) { x.Req.Host = []byte("[::1]") }), with(func(x *filter.Exchange) { x.Req.Host = []byte("[::2]") }), false},
		{"a path", []ir.KeyPart{{Type: ir.KeyPath}}, exchange("192.0.2.1"), with(func(x *filter.Exchange) { x.Req.Path = []byte("/b") }), false},
		{"a method", []ir.KeyPart{{Type: ir.KeyMethod}}, exchange("192.0.2.1"), with(func(x *filter.Exchange) { x.Req.Method = []byte("PUT") }), false},
		{"a route", []ir.KeyPart{{Type: ir.KeyRoute}}, exchange("192.0.2.1"), exchange("192.0.2.2"), true},
	} {
		s, _ := limits(rate("one", 1, c.key...))
		guard := s.Before
		if guard == nil {
			guard = s.After
		}
		if guard.OnRequest(c.a) != filter.Continue {
			t.Fatalf("%s: the first request is refused", c.name)
		}
		if same := guard.OnRequest(c.b) == filter.Reply; same != c.same {
			t.Errorf("%s: the same counter: %t", c.name, same)
		}
	}
}

// TestPhases: what needs not to know who calls is asked before anybody does.
func TestPhases(t *testing.T) {
	s, _ := limits(rate("clients", 1, ir.KeyPart{Type: ir.KeyClientIP, IPv4Bits: 32, IPv6Bits: 64}), rate("consumers", 1, ir.KeyPart{Type: ir.KeyConsumer}))
	if s.Before == nil || s.After == nil {
		t.Fatal("a limit is in no phase")
	}
	x := exchange("192.0.2.1")
	if s.Before.OnRequest(x) != filter.Continue || len(x.Limits) != 1 || s.After.OnRequest(x) != filter.Continue || len(x.Limits) != 2 {
		t.Fatalf("%+v", x.Limits)
	}
	if only, _ := limits(rate("all", 1)); only.After != nil || only.Before == nil {
		t.Error("a limit without a key is asked first")
	}
}

func TestHeaders(t *testing.T) {
	field := func(x *filter.Exchange, s *ratelimit.Limits, name string) string {
		x.Resp.Header.Reset()
		s.OnResponse(x)
		return string(x.Resp.Header.GetString(name))
	}
	for _, c := range []struct {
		name          string
		list          []*ir.RateLimit
		policy, limit string
		refused       bool
		requests      int
	}{
		{"rate", []*ir.RateLimit{rate("a", 10)}, `"a";q=10;w=3600`, `"a";r=9;t=360`, false, 1},
		{"of two policies", []*ir.RateLimit{rate("a", 10), {Name: "a", Cost: 1, Concurrency: 3}}, `"default/api/a";q=10;w=3600, "default/api/a";q=3;qu="concurrent-requests"`, `"default/api/a";r=9;t=360, "default/api/a";r=2`, false, 1},
		{"dry", []*ir.RateLimit{{Name: "a", Cost: 1, Concurrency: 3, DryRun: true}}, "", "", false, 1},
		{"never", []*ir.RateLimit{{Name: "a", Cost: 1, Concurrency: 3, Headers: ir.RateLimitHeadersNever}}, "", "", false, 1},
		{"on limited", []*ir.RateLimit{{Name: "a", Cost: 1, Concurrency: 1, Headers: ir.RateLimitHeadersOnLimited}}, "", "", false, 1},
		{"on limited, limited", []*ir.RateLimit{{Name: "a", Cost: 1, Concurrency: 1, Headers: ir.RateLimitHeadersOnLimited}}, `"a";q=1;qu="concurrent-requests"`, `"a";r=0`, true, 2},
	} {
		s, _ := limits(c.list...)
		var x *filter.Exchange
		verdict := filter.Continue
		for range c.requests {
			x = exchange("192.0.2.1")
			verdict = s.Before.OnRequest(x)
		}
		if (verdict == filter.Reply) != c.refused {
			t.Errorf("%s: verdict %v", c.name, verdict)
		}
		if got := field(x, s, "RateLimit-Policy"); got != c.policy {
			t.Errorf("%s: RateLimit-Policy %s, want %s", c.name, got, c.policy)
		}
		if got := field(x, s, "RateLimit"); got != c.limit {
			t.Errorf("%s: RateLimit %s, want %s", c.name, got, c.limit)
		}
	}
}

// TestNothingIsAllocated: neither for counting, nor for telling, nor for refusing.
func TestNothingIsAllocated(t *testing.T) {
	s, c := limits(
		rate("clients", 1<<30, ir.KeyPart{Type: ir.KeyClientIP, IPv4Bits: 32, IPv6Bits: 64}, ir.KeyPart{Type: ir.KeyHeader, Name: "X-Tenant"}),
		&ir.RateLimit{Name: "places", Cost: 1, Concurrency: 5},
		&ir.RateLimit{Name: "month", Cost: 1, Quota: &ir.Quota{Amount: 1 << 30, Window: ir.QuotaMonth, TimeZone: "UTC"}},
	)
	x := exchange("192.0.2.1")
	x.Req.Header.Add([]byte("X-Tenant"), []byte("acme"))
	if n := testing.AllocsPerRun(100, func() {
		if s.Before.OnRequest(x) != filter.Continue {
			t.Error("refused")
		}
		s.OnResponse(x)
		next(x)
	}); n != 0 {
		t.Errorf("a counted request: %v allocations", n)
	}
	if c.allowed != 3*101 || c.limited != 0 {
		t.Errorf("%+v", c)
	}
	s, _ = limits(rate("none", 1))
	s.Before.OnRequest(x)
	next(x)
	if n := testing.AllocsPerRun(100, func() {
		if s.Before.OnRequest(x) != filter.Reply {
			t.Error("not refused")
		}
		s.OnResponse(x)
		next(x)
	}); n != 0 {
		t.Errorf("a refused request: %v allocations", n)
	}
}

// FuzzCost: what the endpoint says of the cost is charged as it is, or not at all,
// and never gives more than was taken.
func FuzzCost(f *testing.F) {
	for _, v := range []string{"0", "7", "1000000000000", "1000000000001", "-1", "+1", " 5 ", "5.0", "", "99999999999999999999", "0x10"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		l := rate("a", 1000)
		l.Cost, l.CostHeader = 10, "X-Cost"
		s, _ := limits(l)
		x := exchange("192.0.2.1")
		if s.Before.OnRequest(x) != filter.Continue {
			t.Fatal("refused")
		}
		x.Resp.Header.Add([]byte("x-cost"), []byte(v))
		s.Costs.OnResponse(x)
		left := x.Limits[0].Left
		digits := strings.Trim(v, " \t")
		number := digits != "" && strings.Trim(digits, "0123456789") == ""
		switch {
		case left > 1000:
			t.Fatalf("%q: %d of 1000 are left", v, left)
		case !number && left != 990:
			t.Fatalf("%q is no number, and %d are left", v, left)
		}
		s.Costs.OnResponse(x)
		if x.Limits[0].Left != left {
			t.Fatalf("%q is charged twice", v)
		}
	})
}

// A limit for some callers is asked when it is known who calls, and not of others.
func TestCallers(t *testing.T) {
	gold, trial := &ir.Consumer{Namespace: "default", Name: "a", Plan: "gold"}, &ir.Consumer{Namespace: "default", Name: "b", Plan: "trial"}
	of := func(name string, n int64, c ir.Callers) *ir.RateLimit {
		l := rate(name, n, ir.KeyPart{Type: ir.KeyConsumer})
		l.Callers, l.OnMissingKey = &c, ir.MissingKeyShare
		return l
	}
	set, _ := limits(of("gold", 3, ir.Callers{Plans: []string{"gold"}}), of("trial", 1, ir.Callers{Plans: []string{"trial"}}), of("visitors", 2, ir.Callers{Unknown: true}))
	if set.Before != nil {
		t.Error("asked before it is known who calls")
	}
	x := exchange("192.0.2.1")
	for name, c := range map[string]struct {
		caller filter.Caller
		passed int
	}{
		"gold":    {filter.Caller{Method: "apiKey", Consumer: gold}, 3},
		"trial":   {filter.Caller{Method: "apiKey", Consumer: trial}, 1},
		"visitor": {filter.Caller{}, 2},
	} {
		for i := range c.passed + 2 {
			next(x)
			x.Caller = c.caller
			if got, want := set.After.OnRequest(x) == filter.Continue, i < c.passed; got != want {
				t.Errorf("%s, request %d: passed %t", name, i, got)
			}
		}
	}
	next(x)
	x.Caller = filter.Caller{Method: "jwt"}
	if set.After.OnRequest(x) != filter.Continue || len(x.Limits) != 0 {
		t.Error("somebody for whom no limit is was counted")
	}
}
