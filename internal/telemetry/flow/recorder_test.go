package flow_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/telemetry/flow"
)

func TestShape(t *testing.T) {
	for path, want := range map[string]string{
		"/":                  "/",
		"":                   "/",
		"/orders":            "/orders",
		"/orders/":           "/orders/",
		"/orders/17":         "/orders/*",
		"/orders/17/items":   "/orders/*/items",
		"/v1/products/socks": "/v1/products/socks",
		"/api/v2/2026-11-22": "/api/v2/*",
		"/u/7f3c2a91-0d4e-4b57-9a3e-2f1c6d7e8a90": "/u/*",
		"/sha/deadbeef00":                         "/sha/*",
		"/facade":                                 "/facade",
		"/a%20b/c":                                "/*/c",
		"/mail/ada@shop.example":                  "/mail/*",
		"/*":                                      "/*",
		"/**":                                     "/*",
		"/" + strings.Repeat("x", 41):             "/*",
		"/a/b/c/d/e/f/g/h":                        "/a/b/c/d/e/f/g/h",
		"/a/b/c/d/e/f/g/h/i/j":                    "/a/b/c/d/e/f/g/h/**",
		"/token_abc1234567":                       "/*",
		"/index.html":                             "/index.html",
	} {
		if got := string(flow.AppendShape(nil, []byte(path))); got != want {
			t.Errorf("%s: %s, not %s", path, got, want)
		}
	}
}

func FuzzShape(f *testing.F) {
	f.Add([]byte("/orders/17/items"))
	f.Fuzz(func(t *testing.T, path []byte) {
		got := flow.AppendShape(nil, path)
		if len(got) > 400 || len(got) == 0 || got[0] != '/' {
			t.Fatalf("%q", got)
		}
		if again := flow.AppendShape(nil, got); len(got) > 0 && !strings.HasSuffix(string(got), flow.Rest) && string(again) != string(got) {
			t.Fatalf("%q, then %q", got, again)
		}
	})
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func seen() *flow.Seen {
	return &flow.Seen{
		Source: "spiffe://example.org/ns/shop/sa/cart", Namespace: "shop", Service: "orders", Port: 80, Protocol: flow.HTTP,
		Method: []byte("GET"), Path: []byte("/orders/1"), Verdict: flow.Allowed, At: noon, Duration: time.Millisecond,
	}
}

func TestRecorder(t *testing.T) {
	r := flow.New()
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for k := range 100 {
				s := seen()
				s.Path, s.From, s.At = fmt.Appendf(nil, "/orders/%d", k), uint64(i), noon.Add(time.Duration(k)*time.Second)
				s.Failed = k == 7
				r.Record(s)
			}
		})
	}
	all.Wait()
	list := r.Take()
	if len(list) != 1 {
		t.Fatalf("%d flows", len(list))
	}
	f := list[0]
	if f.Path != "/orders/*" || f.Method != "GET" || f.Count.Count != 400 || f.Failed != 4 || f.Addresses != 0b1111 || !f.First.Equal(noon) || !f.Last.Equal(noon.Add(99*time.Second)) || f.Duration != 400*time.Millisecond {
		t.Errorf("%+v", f)
	}
	if list := r.Take(); len(list) != 0 {
		t.Errorf("%d flows again", len(list))
	}
}

// Whatever clients send, flows are bounded and nothing goes uncounted.
func TestRecorderIsBounded(t *testing.T) {
	r := flow.New()
	const n, sources = 300, 60
	for i := range sources {
		for k := range n {
			s := seen()
			s.Source = fmt.Sprintf("spiffe://example.org/ns/shop/sa/s%d", i)
			s.Path = []byte("/" + strings.Repeat("a", k%30) + "/" + strings.Repeat("b", k/30))
			r.Record(s)
		}
	}
	total, overflow := uint64(0), 0
	list := r.Take()
	for _, f := range list {
		total += f.Count.Count
		if f.Overflow {
			overflow++
			if f.Path != "" || f.Method != "" {
				t.Errorf("%+v", f.Key)
			}
		}
	}
	if len(list) > flow.MaxFlows+sources+8 || total != n*sources || overflow == 0 {
		t.Errorf("%d flows, %d of %d counted, %d of too many", len(list), total, n*sources, overflow)
	}
}

func TestRecordAllocatesNothing(t *testing.T) {
	r, s := flow.New(), seen()
	r.Record(s)
	if n := testing.AllocsPerRun(100, func() { r.Record(s) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	r, s := flow.New(), seen()
	b.ReportAllocs()
	for b.Loop() {
		r.Record(s)
	}
}
