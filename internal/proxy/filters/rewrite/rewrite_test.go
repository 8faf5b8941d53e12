package rewrite_test

import (
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/rewrite"
)

func TestRewrite(t *testing.T) {
	for _, c := range []struct {
		name             string
		r                ir.Rewrite
		path, host, want string
	}{
		{"hostname", ir.Rewrite{Hostname: "One.Example"}, "/a", "one.example", "/a"},
		{"full path", ir.Rewrite{Path: &ir.PathModifier{Type: ir.Exact, Value: "/one"}}, "/p/a", "h", "/one"},
		{"prefix", ir.Rewrite{Path: &ir.PathModifier{Type: ir.Prefix, Value: "/v2"}}, "/p/a", "h", "/v2/a"},
		{"strip prefix", ir.Rewrite{Path: &ir.PathModifier{Type: ir.Prefix, Value: "/"}}, "/p/a/", "h", "/a/"},
		{"both", ir.Rewrite{Hostname: "x", Path: &ir.PathModifier{Type: ir.Prefix, Value: "/"}}, "/p", "x", "/"},
		{"OPTIONS *", ir.Rewrite{Path: &ir.PathModifier{Type: ir.Exact, Value: "/one"}}, "*", "h", "*"},
	} {
		x := &filter.Exchange{Match: &ir.Match{Path: ir.PathMatch{Type: ir.Prefix, Value: "/p"}}}
		x.Req.Path, x.Req.Host, x.Req.Query, x.Req.HasQuery = []byte(c.path), []byte("h"), []byte("q=1"), true
		if v := rewrite.New(&c.r).OnRequest(x); v != filter.Continue {
			t.Errorf("%s: verdict %v", c.name, v)
		}
		if string(x.Req.Path) != c.want || string(x.Req.Host) != c.host || string(x.Req.Query) != "q=1" {
			t.Errorf("%s: %s%s?%s, want %s%s?q=1", c.name, x.Req.Host, x.Req.Path, x.Req.Query, c.host, c.want)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	r := rewrite.New(&ir.Rewrite{Hostname: "x", Path: &ir.PathModifier{Type: ir.Prefix, Value: "/v2"}})
	x := &filter.Exchange{Match: &ir.Match{Path: ir.PathMatch{Type: ir.Prefix, Value: "/p"}}}
	path := []byte("/p/a")
	if n := testing.AllocsPerRun(100, func() {
		x.Req.Arena.Reset()
		x.Req.Path = path
		r.OnRequest(x)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
