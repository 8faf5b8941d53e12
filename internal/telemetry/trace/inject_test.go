package trace_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/telemetry/trace"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

const (
	traceID = "0af7651916cd43dd8448eb211c80319c"
	spanID  = "b7ad6b7169203331"
)

var all = trace.W3C | trace.B3 | trace.B3Single

func TestExtractB3(t *testing.T) {
	const none = "0000000000000000" + "0000000000000000"
	for _, c := range []struct {
		name, want string
		in         []string
		left       int
	}{
		{"single", traceID + " yes", []string{"b3", traceID + "-" + spanID + "-1"}, 1},
		{"single, not sampled", traceID + " no", []string{"b3", traceID + "-" + spanID + "-0"}, 1},
		{"single, debug", traceID + " debug", []string{"b3", traceID + "-" + spanID + "-d"}, 1},
		{"single, deferred", traceID + " unknown", []string{"b3", traceID + "-" + spanID}, 1},
		{"single, parent", traceID + " yes", []string{"b3", traceID + "-" + spanID + "-1-" + spanID}, 1},
		{"single, 64 bits", "0000000000000000" + spanID + " yes", []string{"b3", spanID + "-" + spanID + "-1"}, 1},
		{"single, deny", none + " no", []string{"b3", "0"}, 1},
		{"single, accept", none + " yes", []string{"b3", "1"}, 1},
		{"single, short parent", none + " unknown", []string{"b3", traceID + "-" + spanID + "-1-12"}, 0},
		{"single, more", none + " unknown", []string{"b3", traceID + "-" + spanID + "-1-" + spanID + "-"}, 0},
		{"single, unknown state", none + " unknown", []string{"b3", traceID + "-" + spanID + "-x"}, 0},
		{"single, dash only", none + " unknown", []string{"b3", traceID + "-" + spanID + "-"}, 0},
		{"single, zero", none + " unknown", []string{"b3", strings.Repeat("0", 32) + "-" + spanID + "-1"}, 0},
		{"single, zero span", none + " unknown", []string{"b3", traceID + "-" + strings.Repeat("0", 16) + "-1"}, 0},
		{"single, upper case", none + " unknown", []string{"b3", strings.ToUpper(traceID) + "-" + spanID + "-1"}, 0},
		{"single twice", none + " unknown", []string{"b3", "1", "b3", "1"}, 0},
		{"single before many", traceID + " yes", []string{"X-B3-TraceId", spanID, "X-B3-SpanId", spanID, "b3", traceID + "-" + spanID + "-1"}, 3},
		{"broken single, then many", "0000000000000000" + spanID + " no", []string{"b3", "?", "X-B3-TraceId", spanID, "X-B3-SpanId", spanID, "X-B3-Sampled", "0"}, 3},
		{"many", traceID + " yes", []string{"X-B3-TraceId", traceID, "X-B3-SpanId", spanID, "X-B3-ParentSpanId", spanID, "X-B3-Sampled", "1"}, 4},
		{"many, deferred", traceID + " unknown", []string{"X-B3-TraceId", traceID, "X-B3-SpanId", spanID}, 2},
		{"many, old word", traceID + " yes", []string{"X-B3-TraceId", traceID, "X-B3-SpanId", spanID, "X-B3-Sampled", "true"}, 3},
		{"many, debug", traceID + " debug", []string{"X-B3-TraceId", traceID, "X-B3-SpanId", spanID, "X-B3-Flags", "1"}, 3},
		{"decision alone", none + " no", []string{"X-B3-Sampled", "0"}, 1},
		{"no span", none + " unknown", []string{"X-B3-TraceId", traceID, "X-B3-Sampled", "1"}, 0},
		{"span alone", none + " unknown", []string{"X-B3-SpanId", spanID}, 0},
		{"two traces", none + " unknown", []string{"X-B3-TraceId", traceID, "X-B3-TraceId", traceID, "X-B3-SpanId", spanID}, 0},
		{"bad parent", none + " unknown", []string{"X-B3-TraceId", traceID, "X-B3-SpanId", spanID, "X-B3-ParentSpanId", "1"}, 0},
		{"bad decision", none + " unknown", []string{"X-B3-TraceId", traceID, "X-B3-SpanId", spanID, "X-B3-Sampled", "maybe"}, 0},
		{"d is of the other form", none + " unknown", []string{"X-B3-TraceId", traceID, "X-B3-SpanId", spanID, "X-B3-Sampled", "d"}, 0},
		{"nothing", none + " unknown", []string{"X", "y"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := header(c.in...)
			p := trace.Extract(h, trace.B3, false)
			got := p.ID.String() + " " + decision(&p)
			if got != c.want || h.Len() != c.left {
				t.Errorf("%s, %d fields; want %s, %d fields", got, h.Len(), c.want, c.left)
			}
		})
	}
}

func decision(p *trace.Parent) string {
	switch {
	case p.Debug:
		return "debug"
	case !p.Decided:
		return "unknown"
	case p.Sampled:
		return "yes"
	}
	return "no"
}

func TestWhichFormatIsPreferred(t *testing.T) {
	other := strings.Repeat("1", 32)
	in := func() *httpmsg.Header { return header("traceparent", good, "b3", other+"-"+spanID+"-1") }
	if p := trace.Extract(in(), all, false); p.ID.String() != traceID {
		t.Errorf("got %s, want that of W3C", p.ID)
	}
	if p := trace.Extract(in(), all, true); p.ID.String() != other {
		t.Errorf("got %s, want that of B3", p.ID)
	}
	if p := trace.Extract(header("traceparent", good), all, true); p.ID.String() != traceID {
		t.Errorf("got %s, want the only one", p.ID)
	}
	if p := trace.Extract(in(), trace.W3C, false); p.ID.String() != traceID {
		t.Errorf("got %s, want that of W3C", p.ID)
	}
}

func TestInject(t *testing.T) {
	id, _ := trace.ParseID(traceID)
	for _, c := range []struct {
		name         string
		in           []string
		accept, send trace.Formats
		sampled      bool
		want         string
	}{
		{"new", nil, trace.W3C, trace.W3C, true, "traceparent: 00-ID-00000000000000aa-01\n"},
		{"new, not sampled", nil, trace.W3C, trace.W3C, false, "traceparent: 00-ID-00000000000000aa-00\n"},
		{"continued", []string{"tracestate", "a=1", "traceparent", good}, trace.W3C, trace.W3C, true, "tracestate: a=1\ntraceparent: 00-ID-00000000000000aa-01\n"},
		{"other flags stay", []string{"traceparent", good[:53] + "ff"}, trace.W3C, trace.W3C, false, "traceparent: 00-ID-00000000000000aa-02\n"},
		{"state without a parent goes", []string{"tracestate", "a=1"}, trace.W3C, trace.W3C, true, "traceparent: 00-ID-00000000000000aa-01\n"},
		{"nothing sent", []string{"traceparent", good, "b3", "1"}, trace.W3C, 0, true, "traceparent: " + good + "\nb3: 1\n"},
		{"single", nil, trace.W3C, trace.B3Single, true, "b3: ID-00000000000000aa-1\n"},
		{"many", nil, trace.W3C, trace.B3, false, "X-B3-TraceId: ID\nX-B3-SpanId: 00000000000000aa\nX-B3-Sampled: 0\n"},
		{"debug goes on", []string{"x-b3-flags", "1"}, trace.B3, trace.B3 | trace.B3Single, true, "b3: ID-00000000000000aa-d\nX-B3-TraceId: ID\nX-B3-SpanId: 00000000000000aa\nX-B3-Flags: 1\n"},
		{"translated", []string{"b3", traceID + "-" + spanID + "-1"}, trace.W3C | trace.B3, trace.W3C, true, "traceparent: 00-ID-00000000000000aa-01\n"},
		{"translated back", []string{"traceparent", good, "tracestate", "a=1"}, trace.W3C | trace.B3, trace.B3Single, true, "b3: ID-00000000000000aa-1\n"},
		{"what is not accepted stays", []string{"b3", "0"}, trace.W3C, trace.W3C, true, "b3: 0\ntraceparent: 00-ID-00000000000000aa-01\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := header(c.in...)
			p := trace.Extract(h, c.accept, false)
			trace.Inject(h, &httpmsg.Arena{}, c.accept, c.send, &p, &trace.Span{ID: id, Span: 0xaa, Sampled: c.sampled})
			if got := show(h); got != strings.ReplaceAll(c.want, "ID-", traceID+"-") && got != strings.ReplaceAll(strings.ReplaceAll(c.want, "TraceId: ID", "TraceId: "+traceID), "ID-", traceID+"-") {
				t.Errorf("fields\n%swant\n%s", got, c.want)
			}
		})
	}
}

func TestEachTryHasASpanOfItsOwn(t *testing.T) {
	id, arena := trace.NewID(), &httpmsg.Arena{}
	r, copied := &httpmsg.Request{}, &httpmsg.Request{}
	var p trace.Parent
	o := trace.Inject(&r.Header, arena, all, all, &p, &trace.Span{ID: id, Span: 1, Sampled: true})
	r.Method, r.Path = []byte("GET"), []byte("/")
	copied.CopyFrom(r)
	c := o.Copied(&r.Header, &copied.Header)
	o.SetSpan(&r.Header, 0xb)
	c.SetSpan(&copied.Header, 0xc)
	for _, x := range []struct {
		h    *httpmsg.Header
		span string
	}{{&r.Header, "000000000000000b"}, {&copied.Header, "000000000000000c"}} {
		want := fmt.Sprintf("00-%s-%s-01 %s-%s-1 %s", id, x.span, id, x.span, x.span)
		got := fmt.Sprintf("%s %s %s", x.h.Get(httpmsg.NameTraceparent), x.h.Get(httpmsg.NameB3), x.h.Get(httpmsg.NameXB3SpanID))
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestWhatAFilterHasSetStays(t *testing.T) {
	fixed := []byte("00-11111111111111111111111111111111-2222222222222222-01")
	before := string(fixed)
	h := &httpmsg.Header{}
	var p trace.Parent
	o := trace.Inject(h, &httpmsg.Arena{}, trace.W3C, trace.W3C, &p, &trace.Span{ID: trace.NewID(), Span: 1})
	h.Set(httpmsg.NameTraceparent, fixed)
	o.SetSpan(h, 7)
	if string(fixed) != before {
		t.Errorf("a filter's value was written to: %s", fixed)
	}
	h.Del(httpmsg.NameTraceparent)
	o.SetSpan(h, 7) // is not there
}

func TestTriesHaveDifferentSpans(t *testing.T) {
	seen := map[uint64]bool{}
	for n := range 1000 {
		s := trace.TrySpan(42, n)
		if s == 0 || seen[s] {
			t.Fatalf("try %d has span %x", n, s)
		}
		seen[s] = true
	}
}

func TestPropagationDoesNotAllocate(t *testing.T) {
	var h httpmsg.Header
	var arena httpmsg.Arena
	name, value := []byte("traceparent"), []byte(good)
	s := trace.Span{ID: trace.NewID(), Span: 5}
	for _, present := range []bool{true, false} {
		n := testing.AllocsPerRun(200, func() {
			h.Reset()
			arena.Reset()
			if present {
				h.Add(name, value)
			}
			p := trace.Extract(&h, all, false)
			o := trace.Inject(&h, &arena, all, all, &p, &s)
			o.SetSpan(&h, 9)
		})
		if n != 0 {
			t.Errorf("present %v: %v allocations", present, n)
		}
	}
}

func FuzzExtractB3(f *testing.F) {
	f.Add([]byte(traceID+"-"+spanID+"-1"), []byte(""), []byte(""), []byte(""))
	f.Add([]byte(""), []byte(traceID), []byte(spanID), []byte("1"))
	f.Add([]byte("d"), []byte(spanID), []byte(spanID), []byte("true"))
	single := regexp.MustCompile(`^(([0-9a-f]{16}|[0-9a-f]{32})-[0-9a-f]{16}(-[01d](-[0-9a-f]{16})?)?|[01d])$`)
	f.Fuzz(func(t *testing.T, b3, id, span, sampled []byte) {
		h := &httpmsg.Header{}
		for _, x := range []struct {
			name  string
			value []byte
		}{{"b3", b3}, {"X-B3-TraceId", id}, {"X-B3-SpanId", span}, {"X-B3-Sampled", sampled}} {
			if len(x.value) > 0 {
				h.Add([]byte(x.name), x.value)
			}
		}
		p := trace.Extract(h, trace.B3, false)
		if h.Has(httpmsg.NameB3) && !single.Match(b3) {
			t.Fatalf("%q went on", b3)
		}
		if p.Valid() && (p.Span == 0 || len(p.Text) != 16 && len(p.Text) != 32) {
			t.Fatalf("a trace without a span, or with the ID %q", p.Text)
		}
		// What is written is read again as the same.
		out := trace.Span{ID: trace.NewID(), Span: trace.NewSpan(), Sampled: p.Sampled}
		if p.Valid() {
			out.ID = p.ID
		}
		trace.Inject(h, &httpmsg.Arena{}, trace.B3, trace.B3|trace.B3Single, &p, &out)
		for range 2 {
			if q := trace.Extract(h, trace.B3, false); q.ID != out.ID || q.Span != out.Span || !q.Decided || q.Sampled != out.Sampled {
				t.Fatalf("wrote %+v, read %+v", out, q)
			}
			h.Del(httpmsg.NameB3)
		}
	})
}

func BenchmarkPropagation(b *testing.B) {
	var h httpmsg.Header
	var arena httpmsg.Arena
	name, value := []byte("traceparent"), []byte(good)
	b.ReportAllocs()
	for b.Loop() {
		h.Reset()
		arena.Reset()
		h.Add(name, value)
		p := trace.Extract(&h, trace.W3C, false)
		o := trace.Inject(&h, &arena, trace.W3C, trace.W3C, &p, &trace.Span{ID: p.ID, Span: trace.NewSpan(), Sampled: true})
		o.SetSpan(&h, 7)
	}
}
