package headers_test

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/headers"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

func dump(h *httpmsg.Header) string {
	var out []string
	for i := range h.Len() {
		out = append(out, string(h.At(i).Name)+"="+string(h.At(i).Value))
	}
	return strings.Join(out, " ")
}

func fill(h *httpmsg.Header) {
	h.Add([]byte("X-A"), []byte("1"))
	h.Add([]byte("accept"), []byte("a"))
	h.Add([]byte("X-B"), []byte("2"))
	h.Add([]byte("x-a"), []byte("3"))
}

func TestModify(t *testing.T) {
	hd := func(nameValue ...string) (out []ir.Header) {
		for i := 0; i < len(nameValue); i += 2 {
			out = append(out, ir.Header{Name: nameValue[i], Value: nameValue[i+1]})
		}
		return out
	}
	for _, c := range []struct {
		name string
		mods ir.HeaderMods
		want string
	}{
		{"set replaces all", ir.HeaderMods{Set: hd("x-A", "9")}, "X-A=9 accept=a X-B=2"},
		{"set adds", ir.HeaderMods{Set: hd("X-C", "9")}, "X-A=1 accept=a X-B=2 x-a=3 X-C=9"},
		{"set a well-known one", ir.HeaderMods{Set: hd("Accept", "b")}, "X-A=1 accept=b X-B=2 x-a=3"},
		{"add", ir.HeaderMods{Add: hd("X-A", "9", "Accept", "b")}, "X-A=1 accept=a X-B=2 x-a=3 X-A=9 Accept=b"},
		{"remove", ir.HeaderMods{Remove: []string{"x-a", "ACCEPT", "none"}}, "X-B=2"},
		{"set, add, remove", ir.HeaderMods{Set: hd("X-B", "8"), Add: hd("X-B", "9", "X-C", "1"), Remove: []string{"X-C", "X-A"}}, "accept=a X-B=8 X-B=9"},
		{"framing stays", ir.HeaderMods{
			Set:    hd("Content-Length", "5", "transfer-encoding", "chunked", "Connection", "close", "Upgrade", "x"),
			Add:    hd("Keep-Alive", "1", "TE", "trailers", "Trailer", "x", "Expect", "100-continue"),
			Remove: []string{"Content-Length"},
		}, "X-A=1 accept=a X-B=2 x-a=3"},
		{
			"no splitting",
			ir.HeaderMods{Set: hd("X-C", "a\r\nX-D: b", "X-E", "a\x00", "X F", "a", "X-G:", "a", "", "a"), Remove: []string{"a b"}},
			"X-A=1 accept=a X-B=2 x-a=3",
		},
		{"tab is fine", ir.HeaderMods{Set: hd("X-B", "a\tb")}, "X-A=1 accept=a X-B=a\tb x-a=3"},
	} {
		var x filter.Exchange
		fill(&x.Req.Header)
		fill(&x.Resp.Header)
		if v := headers.NewRequest(&c.mods).OnRequest(&x); v != filter.Continue {
			t.Errorf("%s: verdict %v", c.name, v)
		}
		headers.NewResponse(&c.mods).OnResponse(&x)
		if got := dump(&x.Req.Header); got != c.want {
			t.Errorf("%s, request:\n%s, want\n%s", c.name, got, c.want)
		}
		if got := dump(&x.Resp.Header); got != c.want {
			t.Errorf("%s, response:\n%s, want\n%s", c.name, got, c.want)
		}
	}
}

func TestHostIsTheAuthority(t *testing.T) {
	var x filter.Exchange
	x.Req.Host = []byte("a.example")
	mods := ir.HeaderMods{Set: []ir.Header{{Name: "host", Value: "B.example"}}, Remove: []string{"Host"}}
	headers.NewRequest(&mods).OnRequest(&x)
	headers.NewResponse(&mods).OnResponse(&x)
	if string(x.Req.Host) != "b.example" || x.Req.Header.Len() != 0 || x.Resp.Header.Len() != 0 {
		t.Errorf("host %q, %d request fields, %d response fields", x.Req.Host, x.Req.Header.Len(), x.Resp.Header.Len())
	}
}

func TestAllocatesNothing(t *testing.T) {
	f := headers.NewRequest(&ir.HeaderMods{
		Set:    []ir.Header{{Name: "X-A", Value: "9"}, {Name: "Accept", Value: "b"}},
		Add:    []ir.Header{{Name: "X-C", Value: "9"}},
		Remove: []string{"X-B", "Referer"},
	})
	var x filter.Exchange
	name, value := []byte("X-B"), []byte("1")
	if n := testing.AllocsPerRun(100, func() {
		x.Req.Header.Reset()
		x.Req.Header.Add(name, value)
		f.OnRequest(&x)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
