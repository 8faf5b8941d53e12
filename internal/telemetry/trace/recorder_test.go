package trace

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/telemetry/accesslog"
)

var start = time.Date(2026, 11, 22, 10, 11, 12, 13, time.UTC)

// full has everything set.
func full() *Exchange {
	return &Exchange{
		Entry: &accesslog.Entry{
			Start: start, Duration: 1500 * time.Millisecond, RequestID: []byte("r-1"), Method: []byte("GET"), Scheme: "https",
			Host: []byte("shop.example"), Path: []byte("/cart"), Protocol: "HTTP/2", GRPCService: []byte("shop.Cart"), GRPCMethod: []byte("Get"),
			GRPCStatus: "UNAVAILABLE", Status: 503, Flags: []byte("UpstreamReset"), Reason: "UpstreamReset", Listener: "0.0.0.0:8443",
			Route: "HTTPRoute/shop/cart", Rule: "HTTPRoute/shop/cart/rules/0", Cluster: "Service/shop/cart/80", Endpoint: "10.0.0.1:80",
			EndpointIdentity: "spiffe://t/ns/shop/sa/cart", PeerIdentity: "spiffe://t/ns/shop/sa/web", Client: netip.MustParseAddr("::ffff:192.0.2.1"),
			ConsumerNamespace: "shop", Consumer: "acme", AuthMethod: "jwt", Subject: "ann", UserAgent: []byte("curl/8"),
			TLSServerName: "shop.example", Destination: "cart:80", RequestBytes: 5, ResponseBytes: 1 << 40, Revision: 7,
		},
		Trace: ID{1, 2}, Span: 3, Parent: 4, Sampled: true, Slow: true, Failed: true, Denied: true, Side: Inbound, Detail: "why",
		OfKind: "Service", OfNamespace: "shop", OfName: "cart", Place: Place{"shop.yaml", 12, 3},
		Tries: []Try{
			{Number: 1, Endpoint: "10.0.0.1:80", Start: 1, Connected: 2, Head: 3, End: 4, Status: 200, GRPCStatus: "UNAVAILABLE", Reason: "x"},
			{Number: 2, Kind: Retry, Endpoint: "10.0.0.2:80", Start: 5, End: 6, Reason: "UpstreamTimeout"},
		},
		Purpose:   Mirror,
		Questions: []Question{{Number: 1, Purpose: "rate-limit", Cluster: "Backend/shop/limits", Endpoint: "10.0.0.3:80", Start: 1, End: 2, Status: 200, GRPCStatus: "OK"}},
		Decisions: []Decided{{Denied, "AuthorizationPolicy", "shop/guard", "no-deletes", Place{"shop.yaml", 40, 5}}, {Verdict: Audited, Policy: "shop/watch"}},
	}
}

func TestARecordSaysEverything(t *testing.T) {
	r := New(0)
	r.Record(full())
	found := r.Find(&Query{})
	if len(found) != 1 {
		t.Fatalf("%d records", len(found))
	}
	got, err := json.Marshal(found[0])
	if err != nil {
		t.Fatal(err)
	}
	x := found[0]
	x.Proxy, x.Stream = "p", true // which are not of an exchange's own
	v := reflect.ValueOf(*x)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("%s is empty in %s", v.Type().Field(i).Name, got)
		}
	}
	want := `{"traceID":"00000000000000010000000000000002","spanID":"0000000000000003","parentID":"0000000000000004","sampled":true,"slow":true,"failed":true,"denied":true,` +
		`"side":"inbound","purpose":"mirror","start":"2026-11-22T10:11:12.000000013Z","duration":1500000000,"requestID":"r-1","method":"GET","scheme":"https","host":"shop.example","path":"/cart",` +
		`"protocol":"HTTP/2","status":503,"grpcService":"shop.Cart","grpcMethod":"Get","grpcStatus":"UNAVAILABLE","flags":"UpstreamReset","reason":"UpstreamReset","detail":"why",` +
		`"listener":"0.0.0.0:8443","of":"Service/shop/cart","rule":"HTTPRoute/shop/cart/rules/0","place":{"file":"shop.yaml","line":12,"column":3},"route":"HTTPRoute/shop/cart",` +
		`"cluster":"Service/shop/cart/80","endpoint":"10.0.0.1:80","endpointIdentity":"spiffe://t/ns/shop/sa/cart","peerIdentity":"spiffe://t/ns/shop/sa/web","client":"192.0.2.1",` +
		`"consumer":"shop/acme","authMethod":"jwt","subject":"ann","userAgent":"curl/8","serverName":"shop.example","destination":"cart:80","requestBytes":5,"responseBytes":1099511627776,"revision":7,` +
		`"tries":[{"number":1,"spanID":"` + spanText(TrySpan(3, 1)) + `","kind":"first","endpoint":"10.0.0.1:80","start":1,"connected":2,"head":3,"end":4,"status":200,"reason":"x","grpcStatus":"UNAVAILABLE"},` +
		`{"number":2,"spanID":"` + spanText(TrySpan(3, 2)) + `","kind":"retry","endpoint":"10.0.0.2:80","start":5,"end":6,"reason":"UpstreamTimeout"}],` +
		`"decisions":[{"verdict":"denied","kind":"AuthorizationPolicy","policy":"shop/guard","rule":"no-deletes","place":{"file":"shop.yaml","line":40,"column":5}},{"verdict":"audited","policy":"shop/watch"}],` +
		`"questions":[{"number":1,"spanID":"` + spanText(QuestionSpan(3, 1)) + `","purpose":"rate-limit","cluster":"Backend/shop/limits","endpoint":"10.0.0.3:80","start":1,"end":2,"status":200,"grpcStatus":"OK"}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var again Record
	if err := json.Unmarshal(got, &again); err != nil {
		t.Fatal(err)
	}
	again.Proxy, again.Stream = "p", true
	if !reflect.DeepEqual(&again, x) {
		t.Errorf("through JSON it became %+v", again)
	}
}

func TestFind(t *testing.T) {
	r := New(0)
	for i := range 4 {
		x := full()
		x.Entry.RequestID, x.Entry.Start = fmt.Appendf(nil, "r-%d", i), start.Add(time.Duration(i)*time.Second)
		x.Trace.Low, x.Span = uint64(i+1), uint64(i+1)
		x.Sampled, x.Slow, x.Failed, x.Denied = i == 1, false, i == 2, i == 3
		x.Side = Side(i % 2) // an edge, or outbound
		x.Entry.Duration = time.Duration(i) * time.Second
		if i == 3 {
			x.Entry.Route, x.OfName, x.Entry.Cluster, x.Entry.PeerIdentity = "HTTPRoute/shop/pay", "pay", "Service/shop/pay/80", "spiffe://t/ns/shop/sa/edge"
		}
		r.Record(x)
	}
	for _, c := range []struct {
		name string
		q    Query
		want string
	}{
		{"all, the newest first", Query{}, "3 2 1 0"},
		{"limited", Query{Limit: 2}, "3 2"},
		{"notable", Query{Notable: true}, "3 2 1"},
		{"of edges", Query{Edge: true}, "2 0"},
		{"by request", Query{RequestID: "r-2"}, "2"},
		{"by request, a part", Query{RequestID: "r-"}, ""},
		{"by trace", Query{TraceID: "00000000000000010000000000000001"}, "0"},
		{"by trace, nonsense", Query{TraceID: "x"}, ""},
		{"slow", Query{Slow: 2 * time.Second}, "3 2"},
		{"errors", Query{Errors: true}, "3 2"},
		{"since", Query{Since: start.Add(2 * time.Second)}, "3 2"},
		{"route", Query{Route: "cart"}, "2 1 0"},
		{"route, whole", Query{Route: "HTTPRoute/shop/pay"}, "3"},
		{"route, a part of a name", Query{Route: "car"}, ""},
		{"service that was asked for", Query{Service: "shop/pay"}, "3"},
		{"service that has asked", Query{Service: "shop/web"}, "2 1 0"},
		{"service by its name", Query{Service: "web", Limit: 1}, "2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, x := range r.Find(&c.q) {
				got = append(got, strings.TrimPrefix(x.RequestID, "r-"))
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("found %q, want %q", s, c.want)
			}
		})
	}
}

func TestNotableRecordsLiveLonger(t *testing.T) {
	r := New(MinMemory)
	x := full()
	x.Entry.RequestID = []byte("failed")
	r.Record(x)
	x = full()
	x.Sampled, x.Slow, x.Failed, x.Denied = false, false, false, false
	for i := range 20_000 {
		x.Span = uint64(i + 100)
		r.Record(x)
	}
	if n := len(r.Find(&Query{RequestID: "failed"})); n != 1 {
		t.Errorf("found %d", n)
	}
	s := r.Stats()
	if s.Recorded != 20_001 || s.Notable != 1 || s.Lost == 0 || s.Bytes > s.Limit || s.Limit > MinMemory {
		t.Errorf("%+v", s)
	}
	if n := len(r.Find(&Query{})); n == 0 || n > MaxFound {
		t.Errorf("%d records are left", n)
	}
}

func TestAFloodOfRefusalsLeavesErrors(t *testing.T) {
	r := New(MinMemory)
	x := full()
	x.Entry.RequestID = []byte("failed")
	r.Record(x)
	x = full()
	x.Sampled, x.Slow, x.Failed = false, false, false
	for i := range 20_000 {
		x.Span = uint64(i + 100)
		r.Record(x)
	}
	if n := len(r.Find(&Query{RequestID: "failed", Notable: true})); n != 1 {
		t.Errorf("found %d", n)
	}
}

func TestMemoryIsBoundedWhateverComes(t *testing.T) {
	r := New(MinMemory)
	x := full()
	long := strings.Repeat("x", 1<<20)
	x.Entry.Path, x.Entry.UserAgent, x.Entry.Subject, x.Entry.Route = []byte(long), []byte(long), long, long
	x.Tries = make([]Try, 100)
	for i := range x.Tries {
		x.Tries[i] = Try{Number: i, Endpoint: long, Reason: long}
	}
	x.Decisions = make([]Decided, 100)
	for i := range x.Decisions {
		x.Decisions[i] = Decided{Kind: long, Policy: long, Rule: long, Place: Place{File: long}}
	}
	for i := range 100 {
		x.Span = uint64(i)
		r.Record(x)
	}
	if s := r.Stats(); s.Bytes > s.Limit || s.Limit > MinMemory {
		t.Errorf("%+v", s)
	}
	found := r.Find(&Query{})
	if len(found) == 0 || len(found[0].Tries) != maxTries || found[0].Tries[maxTries-1].Number != 99 {
		t.Errorf("%d found", len(found))
	}
}

func TestReadersAndWriters(t *testing.T) {
	r := New(MinMemory)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			x := full()
			for i := range 2000 {
				x.Span = uint64(i)
				r.Record(x)
			}
		})
		wg.Go(func() {
			for range 5 {
				for _, x := range r.Find(&Query{Limit: 10}) {
					if x.Path != "/cart" {
						t.Errorf("a torn record: %+v", x)
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestDecodeEveryTruncation(t *testing.T) {
	b := encode(nil, full())
	for i := range b {
		if _, ok := decode(nil, b[:i]); ok {
			t.Errorf("%d of %d bytes decode", i, len(b))
		}
	}
}

func TestDecodeEveryTruncationOfASite(t *testing.T) {
	x := full()
	s := x.site()
	r := ring{size: minChunk, most: 1}
	r.put(encode(nil, x), &s)
	chunk := r.chunks[0]
	for b := range each(chunk) {
		if got, ok := decode(chunk, b); !ok || got.Rule != x.Entry.Rule {
			t.Errorf("got %+v", got)
		}
		for i := range recordHeader + len(s.append(nil)) {
			if _, ok := decode(chunk[:i], b); ok {
				t.Errorf("decodes with %d bytes of its chunk", i)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	x := full()
	s, r := x.site(), ring{size: minChunk, most: 1}
	r.put(encode(nil, x), &s)
	r.put(encode(nil, x), &s)
	r.put(encode(nil, &Exchange{Entry: &accesslog.Entry{}}), &site{})
	f.Add(r.chunks[0])
	f.Fuzz(func(t *testing.T, chunk []byte) {
		for b := range each(chunk) {
			x, ok := decode(chunk, b)
			if !ok {
				continue
			}
			if _, err := json.Marshal(x); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestRecordDoesNotAllocate(t *testing.T) {
	r, x := New(MinMemory), full()
	for range 5000 {
		r.Record(x)
	}
	if n := testing.AllocsPerRun(1000, func() { r.Record(x) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	r, x := New(DefaultMemory), full()
	x.Sampled, x.Slow, x.Failed, x.Denied = false, false, false, false
	x.Tries, x.Decisions = x.Tries[:1], nil
	b.ReportAllocs()
	for b.Loop() {
		r.Record(x)
	}
}

func BenchmarkFind(b *testing.B) {
	r, x := New(DefaultMemory), full()
	for i := range 100_000 {
		x.Span = uint64(i)
		r.Record(x)
	}
	for b.Loop() {
		r.Find(&Query{RequestID: "nobody"})
	}
}
