package adminapi_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/question"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

const someTrace = "0af7651916cd43dd8448eb211c80319c"

// remembered are the records of two proxies.
type remembered struct{ asked []trace.Query }

func (r *remembered) Records(_ context.Context, q *trace.Query) (*trace.Answer, error) {
	r.asked = append(r.asked, *q)
	edge := &trace.Record{
		Proxy: "edge", TraceID: someTrace, SpanID: "00000000000000aa", Start: at, Duration: 2 * time.Millisecond, RequestID: "r-1", Method: "GET", Host: "shop.example", Path: "/cart",
		Status: 503, Failed: true, Route: "HTTPRoute/shop/cart", Place: &trace.Place{File: "shop.yaml", Line: 3, Column: 1},
		Tries: []trace.Try{{Number: 1, SpanID: "00000000000000ab", Endpoint: "10.0.0.1:80", End: time.Millisecond, Status: 503}},
	}
	inner := &trace.Record{
		Proxy: "cart", TraceID: someTrace, SpanID: "00000000000000bb", ParentID: "00000000000000ab", Side: trace.Inbound, Start: at.Add(time.Microsecond), Duration: time.Millisecond,
		RequestID: "another", Of: "Service/shop/cart", Status: 503,
		Decisions: []trace.Decision{{Verdict: trace.Allowed, Kind: "AuthorizationPolicy", Policy: "shop/guard", Rule: "edge", Place: &trace.Place{File: "shop.yaml", Line: 9}}},
	}
	a := &trace.Answer{Unreached: []trace.Unreached{{Proxy: "pay", Why: "it is away"}}}
	switch {
	case q.RequestID == "refused":
		return nil, question.Refuse("too much is asked")
	case q.RequestID == "broken":
		return nil, context.DeadlineExceeded
	case q.RequestID == "r-1":
		a.Records = []*trace.Record{edge}
	case q.TraceID == someTrace, q.Notable:
		a.Records = []*trace.Record{inner, edge}
	}
	return a, nil
}

func TestTraces(t *testing.T) {
	o, r := newProcess().options(), &remembered{}
	o.Records = r
	base := start(t, o)
	for file, path := range map[string]string{
		"traces": "/v1/traces?slow=true&limit=3&service=cart", "trace": "/v1/traces/" + someTrace, "request": "/v1/requests/r-1",
	} {
		status, _, body := request{path: path}.do(t, base)
		if status != 200 {
			t.Fatalf("%s: %d, %s", path, status, body)
		}
		golden(t, "testdata/"+file+".json", indent(t, body))
	}
	for _, q := range r.asked {
		if q.Notable && (q.Slow != time.Second || q.Service != "cart" || q.Limit < 3) {
			t.Errorf("asked for %+v", q)
		}
	}
}

func TestTracesRefused(t *testing.T) {
	o := newProcess().options()
	o.Records = &remembered{}
	base := start(t, o)
	for _, c := range []struct {
		path   string
		status int
		says   string
	}{
		{"/v1/traces?slow=never", 400, "slow must be true or a duration"},
		{"/v1/traces?limit=501", 400, "limit must be a number from 1 to 500"},
		{"/v1/traces?colour=red", 400, "there is no parameter"},
		{"/v1/traces?trace=" + someTrace, 400, "ask for /v1/traces/{id}"},
		{"/v1/traces/xyz", 400, "32 hexadecimal digits"},
		{"/v1/traces/" + someTrace[:16], 400, "32 hexadecimal digits"},
		{"/v1/traces/" + strings.Repeat("1", 32), 404, "no proxy remembers this trace"},
		{"/v1/requests/unknown", 404, "not asked: pay (it is away)"},
		{"/v1/requests/" + strings.Repeat("x", 300), 400, "1 to 256 bytes"},
		{"/v1/requests/refused", 400, "too much is asked"},
		{"/v1/requests/broken", 503, "cannot be asked for now"},
	} {
		status, _, body := request{path: c.path}.do(t, base)
		if status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d %s; want %d, %q", c.path, status, body, c.status, c.says)
		}
	}
	o.Records = nil
	base = start(t, o)
	if status, _, _ := (request{path: "/v1/traces"}).do(t, base); status != 404 {
		t.Errorf("without anything remembered: %d", status)
	}
}
