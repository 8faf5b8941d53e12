package trace_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/telemetry/trace"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// The cases of the W3C trace-context validation suite, as far as a proxy that
// records nothing can show them.
var parents = []struct {
	name, value string
	ok          bool
}{
	{"valid", good, true},
	{"not sampled", strings.TrimSuffix(good, "01") + "00", true},
	{"unknown flags", strings.TrimSuffix(good, "01") + "ff", true},
	{"future version", "cc" + good[2:], true},
	{"future version, more fields", "cc" + good[2:] + "-what-the-future-will-be-like", true},
	{"future version, dash only", "cc" + good[2:] + "-", true},
	{"future version, glued text", "cc" + good[2:] + ".what", false},
	{"version ff", "ff" + good[2:], false},
	{"version 00 with more", good + "-extra", false},
	{"version 00 with dash", good + "-", false},
	{"version in upper case", "CC" + good[2:], false},
	{"version not hex", ".0" + good[2:], false},
	{"version too short", good[1:], false},
	{"trace id zero", "00-00000000000000000000000000000000-b7ad6b7169203331-01", false},
	{"trace id upper case", "00-" + strings.ToUpper(good[3:35]) + good[35:], false},
	{"trace id bad character", "00-.af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
	{"trace id too long", "00-0af7651916cd43dd8448eb211c80319c0-b7ad6b7169203331-01", false},
	{"parent id zero", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false},
	{"parent id upper case", "00-0af7651916cd43dd8448eb211c80319c-B7AD6B7169203331-01", false},
	{"flags bad character", good[:53] + ".1", false},
	{"flags too short", good[:54], false},
	{"empty", "", false},
	{"missing dashes", strings.ReplaceAll(good, "-", "_"), false},
}

func TestParse(t *testing.T) {
	for _, c := range parents {
		t.Run(c.name, func(t *testing.T) {
			got, ok := trace.Parse([]byte(c.value))
			if ok != c.ok || ok != got.Valid() {
				t.Fatalf("Parse(%q) = %v, want %v", c.value, ok, c.ok)
			}
			if ok && string(got.TraceID) != good[3:35] {
				t.Errorf("trace ID %q", got.TraceID)
			}
		})
	}
}

func TestParseEveryTruncation(t *testing.T) {
	for i := range len(good) {
		if _, ok := trace.Parse([]byte(good[:i])); ok {
			t.Errorf("Parse(%q) succeeds", good[:i])
		}
	}
}

func header(fields ...string) *httpmsg.Header {
	h := &httpmsg.Header{}
	for i := 0; i < len(fields); i += 2 {
		h.Add([]byte(fields[i]), []byte(fields[i+1]))
	}
	return h
}

func show(h *httpmsg.Header) string {
	var b strings.Builder
	for i := range h.Len() {
		fmt.Fprintf(&b, "%s: %s\n", h.At(i).Name, h.At(i).Value)
	}
	return b.String()
}

func list(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d=v,", i)
	}
	return strings.TrimSuffix(b.String(), ",")
}

func TestStateIsKeptOnlyWhenValid(t *testing.T) {
	for _, c := range []struct {
		name, state string
		kept        bool
	}{
		{"one", "foo=1", true},
		{"spaces around", "foo=1 \t , \t bar=2", true},
		{"empty members", "foo=1,,bar=2,", true},
		{"multi-tenant", "fw529a3039@dt=FfAAA,0x@v=1", true},
		{"all key characters", "a_-*/0=1", true},
		{"32 members", list(32), true},
		{"33 members", list(33), false},
		{"same key twice", "foo=1,foo=2", false},
		{"no equals", "foo", false},
		{"empty key", "=1", false},
		{"empty value", "foo=", false},
		{"upper case key", "FOO=1", false},
		{"key begins with a digit", "0foo=1", false},
		{"two equals", "foo=bar=baz", false},
		{"space in key", "foo =1", false},
		{"two at signs", "a@b@c=1", false},
		{"no system", "a@=1", false},
		{"no tenant", "@b=1", false},
		{"system too long", "a@" + strings.Repeat("b", 15) + "=1", false},
		{"tenant of 241", strings.Repeat("t", 241) + "@v=1", true},
		{"tenant of 242", strings.Repeat("t", 242) + "@v=1", false},
		{"key of 256", strings.Repeat("k", 256) + "=1", true},
		{"key of 257", strings.Repeat("k", 257) + "=1", false},
		{"value of 256", "k=" + strings.Repeat("v", 256), true},
		{"value of 257", "k=" + strings.Repeat("v", 257), false},
		{"control character", "k=a\x01b", false},
		{"not ASCII", "k=\u00e9", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := header("traceparent", good, "tracestate", c.state)
			got := trace.Extract(h, trace.W3C, false)
			if !got.Valid() || string(h.Get(httpmsg.NameTraceparent)) != good {
				t.Error("the traceparent did not survive")
			}
			if kept := h.Has(httpmsg.NameTracestate); kept != c.kept {
				t.Errorf("tracestate kept = %v, want %v", kept, c.kept)
			}
		})
	}
}

func TestExtract(t *testing.T) {
	for _, c := range []struct {
		name, want string
		in         *httpmsg.Header
	}{
		{"nothing", "", header()},
		{
			"valid", "traceparent: " + good + "\ntracestate: a=1\ntracestate: b=2\n",
			header("traceparent", good, "tracestate", "a=1", "tracestate", "b=2"),
		},
		{
			"state is one list over all fields", "traceparent: " + good + "\n",
			header("traceparent", good, "tracestate", "a=1", "tracestate", "a=2"),
		},
		{"two parents", "", header("traceparent", good, "traceparent", good)},
		{"invalid takes the state along", "x: y\n", header("traceparent", "00-", "x", "y", "tracestate", "a=1")},
		{"state alone", "", header("tracestate", "a=1")},
		{"B3 stays", "b3: 1-2-3\nx-b3-traceid: 0\n", header("b3", "1-2-3", "traceparent", "?", "x-b3-traceid", "0")},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := trace.Extract(c.in, trace.W3C, false)
			if s := show(c.in); s != c.want {
				t.Errorf("fields\n%swant\n%s", s, c.want)
			}
			if got.Valid() != (c.name == "valid" || strings.HasPrefix(c.name, "state is")) {
				t.Errorf("Valid() = %v", got.Valid())
			}
		})
	}
}

func FuzzExtract(f *testing.F) {
	for _, c := range parents {
		f.Add([]byte(c.value), []byte("a=1,b@c=2"))
	}
	f.Add([]byte(good), []byte(list(33)))
	f.Add([]byte(good), []byte(" ,\t,=,@"))
	form := regexp.MustCompile(`^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$`)
	f.Fuzz(func(t *testing.T, parent, state []byte) {
		h := header("traceparent", string(parent), "tracestate", string(state))
		c := trace.Extract(h, trace.W3C, false)
		m := form.FindSubmatch(parent)
		want := len(parent) <= 512 && !bytes.Contains(parent, []byte("\n")) && m != nil && string(m[1]) != "ff" && strings.Trim(string(m[2]), "0") != "" &&
			strings.Trim(string(m[3]), "0") != "" && (string(m[1]) != "00" || len(parent) == 55)
		if !bytes.Contains(parent, []byte("\n")) && c.Valid() != want {
			t.Fatalf("Parse(%q) = %v, the pattern says %v", parent, c.Valid(), want)
		}
		if !c.Valid() && h.Len() != 0 {
			t.Fatalf("an invalid context left\n%s", show(h))
		}
		if h.Has(httpmsg.NameTracestate) && strings.Count(string(state), "=") > 32 {
			t.Fatalf("too many members passed: %q", state)
		}
	})
}
