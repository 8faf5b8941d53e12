package ratelimit_test

import (
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/ratelimit"
)

func claims(values map[string]any) *filter.Exchange {
	x := exchange("192.0.2.1")
	if values != nil {
		x.Caller.Method, x.Caller.Claims = "jwt", filter.NewClaims(values)
	}
	return x
}

// TestClaimKeys: which callers share a counter by a claim.
func TestClaimKeys(t *testing.T) {
	tenant := []ir.KeyPart{{Type: ir.KeyClaim, Claim: []string{"tenant", "id"}}}
	is := func(v any) *filter.Exchange {
		return claims(map[string]any{"tenant": map[string]any{"id": v}})
	}
	for _, c := range []struct {
		name string
		a, b *filter.Exchange
		same bool
	}{
		{"the same", is("a"), is("a"), true},
		{"another", is("a"), is("b"), false},
		{"a number and its text", is(7.0), is("7"), true},
		{"a boolean", is(true), is(false), false},
		{"a list", is([]any{"a", "b"}), is([]any{"a", "b"}), true},
		{"a list in another order", is([]any{"a", "b"}), is([]any{"b", "a"}), false},
		{"a list and its text", is([]any{"a", "b"}), is("a,b"), false},
		{"lists that run together", is([]any{"ab", "c"}), is([]any{"a", "bc"}), false},
		{"a list of one", is([]any{"a"}), is("a"), false},
		{"an empty list is no missing claim", is([]any{}), claims(map[string]any{}), false},
		{"an empty text is no missing claim", is(""), claims(nil), false},
		{"objects are none", is(map[string]any{"a": "b"}), claims(nil), true},
		{"lists of objects are none", is([]any{"a", map[string]any{}}), claims(nil), true},
		{"null is none", is(nil), claims(nil), true},
		{"nobody, and somebody without it", claims(nil), claims(map[string]any{"sub": "ada"}), true},
	} {
		s, _ := limits(rate("one", 1, tenant...))
		if s.Before != nil {
			t.Fatal("asked before anybody is known")
		}
		if s.After.OnRequest(c.a) != filter.Continue {
			t.Fatalf("%s: the first request is refused", c.name)
		}
		if same := s.After.OnRequest(c.b) == filter.Reply; same != c.same {
			t.Errorf("%s: the same counter: %t", c.name, same)
		}
	}
}

func TestExpressionKeys(t *testing.T) {
	key := ir.KeyPart{Type: ir.KeyExpression, Expression: `request.headers["x-tenant"].lowerAscii()`}
	of := func(tenant string) *filter.Exchange {
		x := exchange("192.0.2.1")
		if tenant != "" {
			x.Req.Header.Add([]byte("X-Tenant"), []byte(tenant))
		}
		return x
	}
	s, _ := limits(rate("one", 1, key))
	if s.After != nil {
		t.Fatal("nothing is asked of the caller, and the limit waits until it is known")
	}
	for _, c := range []struct {
		tenant string
		passes bool
	}{{"Blue", true}, {"blue", false}, {"red", true}, {"", true}, {"", false}} {
		if got := s.Before.OnRequest(of(c.tenant)) == filter.Continue; got != c.passes {
			t.Errorf("%q: passed %t", c.tenant, got)
		}
	}
	denying := rate("one", 1, key)
	denying.OnMissingKey = ir.MissingKeyDeny
	s, _ = limits(denying)
	x := of("")
	if s.Before.OnRequest(x) != filter.Reply || x.Local.Reason != filter.RateLimitKeyMissing {
		t.Errorf("an expression that cannot be evaluated: %v", x.Local)
	}
}

// TestWhen: the limit is for requests that its expression holds for, or for which
// nobody can tell.
func TestWhen(t *testing.T) {
	l := rate("one", 1)
	l.When = `request.headers["x-bulk"] == "yes"`
	s, _ := limits(l)
	of := func(value string) *filter.Exchange {
		x := exchange("192.0.2.1")
		if value != "" {
			x.Req.Header.Add([]byte("X-Bulk"), []byte(value))
		}
		return x
	}
	for _, c := range []struct {
		value  string
		passes bool
	}{{"no", true}, {"no", true}, {"yes", true}, {"yes", false}, {"", false}, {"no", true}} {
		if got := s.Before.OnRequest(of(c.value)) == filter.Continue; got != c.passes {
			t.Errorf("%q: passed %t", c.value, got)
		}
	}
}

func TestCostExpression(t *testing.T) {
	l := rate("one", 10)
	l.Cost, l.CostExpression = 3, `request.size - 100 / (request.size - 5)`
	quota := &ir.RateLimit{Name: "month", Cost: 1, CostExpression: "request.size", Quota: &ir.Quota{Amount: 1000, Window: ir.QuotaMonth, TimeZone: "UTC"}}
	for _, c := range []struct {
		name    string
		limit   *ir.RateLimit
		size    int64
		left    uint64
		passes  bool
		forever bool
	}{
		{"as it says", l, 105, 10, false, true}, // 104
		{"less than nothing", l, -200, 10, true, false},
		{"where it cannot be evaluated", l, 5, 7, true, false},
		{"of a quota", quota, 400, 600, true, false},
		{"more than a quota", quota, 1001, 1000, false, true},
		{"a whole quota", quota, 1000, 0, true, false},
	} {
		s, _ := limits(c.limit)
		x := exchange("192.0.2.1")
		x.Req.Length = c.size
		passes := s.Before.OnRequest(x) == filter.Continue
		if passes != c.passes || x.Limits[0].Left != c.left {
			t.Errorf("%s: passed %t with %d left", c.name, passes, x.Limits[0].Left)
		}
		if c.forever && (x.Local.Reason != filter.RateLimitCost || x.Resp.Header.GetString("Retry-After") != nil) {
			t.Errorf("%s: %v, Retry-After %s", c.name, x.Local.Reason, x.Resp.Header.GetString("Retry-After"))
		}
	}
}

// Who asks for more than one limit ever has is told so, whatever another one says.
func TestCostOfSeveralLimits(t *testing.T) {
	large := rate("large", 5)
	large.CostExpression = "request.size"
	s, _ := limits(rate("first", 1), large)
	x := exchange("192.0.2.1")
	x.Req.Length = 1
	if s.Before.OnRequest(x) != filter.Continue {
		t.Fatal("refused")
	}
	next(x)
	x.Start, x.Req.Length = time.Now(), 6
	if s.Before.OnRequest(x) != filter.Reply || x.Local.Reason != filter.RateLimitCost || x.Resp.Header.GetString("Retry-After") != nil {
		t.Errorf("%v, Retry-After %s", x.Local.Reason, x.Resp.Header.GetString("Retry-After"))
	}
}

func TestCompileErrors(t *testing.T) {
	l := rate("one", 1, ir.KeyPart{Type: ir.KeyExpression, Expression: "nonsense"})
	l.When, l.CostExpression = "1 +", `"a"`
	if _, err := ratelimit.Compile(l); err == nil {
		t.Fatal("nothing is wrong with it")
	}
	s, _ := limits(l)
	if s.Before.OnRequest(exchange("192.0.2.1")) != filter.Continue || s.Before.OnRequest(exchange("192.0.2.2")) != filter.Reply {
		t.Error("a limit whose expressions are broken does not count all together")
	}
}

// TestClaimsAllocateNothing: a claim is part of a key as it is.
func TestClaimsAllocateNothing(t *testing.T) {
	s, _ := limits(rate("tenant", 1<<30, ir.KeyPart{Type: ir.KeyClaim, Claim: []string{"tenant"}}, ir.KeyPart{Type: ir.KeyClaim, Claim: []string{"n"}}))
	who := filter.NewClaims(map[string]any{"tenant": "blue", "n": int64(7)})
	x := exchange("192.0.2.1")
	if n := testing.AllocsPerRun(100, func() {
		x.Caller.Claims = who
		if s.After.OnRequest(x) != filter.Continue {
			t.Error("refused")
		}
		next(x)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestExplainExpressions(t *testing.T) {
	l := rate("one", 10, ir.KeyPart{Type: ir.KeyClaim, Claim: []string{"tenant", "id"}}, ir.KeyPart{Type: ir.KeyExpression, Expression: "request.method"})
	l.When, l.CostExpression = "request.size > \n 10", "request.size * 2"
	if got, want := ratelimit.Text(l), "10 per 1h, cost by expression, when request.size > 10"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	x := claims(map[string]any{"tenant": map[string]any{"id": "blue"}})
	x.Req.Length = 20
	if text, missing := ratelimit.KeyText(l, "r", x); text != "Claim tenant/id blue, Expression GET" || missing != nil {
		t.Errorf("%s, %v", text, missing)
	}
	if _, missing := ratelimit.KeyText(l, "r", claims(nil)); len(missing) != 1 || missing[0] != "Claim tenant/id" {
		t.Errorf("%v", missing)
	}
	if !ratelimit.Applies(l, x) || ratelimit.Cost(l, x) != 40 {
		t.Errorf("applies %t, costs %d", ratelimit.Applies(l, x), ratelimit.Cost(l, x))
	}
}
