package filter_test

import (
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
)

func TestModifiedPath(t *testing.T) {
	for _, c := range []struct {
		path   string
		match  ir.PathMatch
		modify ir.PathModifier
		want   string
	}{
		// The Gateway API's table.
		{"/foo/bar", prefix("/foo"), replace("/xyz"), "/xyz/bar"},
		{"/foo/bar", prefix("/foo"), replace("/xyz/"), "/xyz/bar"},
		{"/foo/bar", prefix("/foo/"), replace("/xyz"), "/xyz/bar"},
		{"/foo/bar", prefix("/foo/"), replace("/xyz/"), "/xyz/bar"},
		{"/foo", prefix("/foo"), replace("/xyz"), "/xyz"},
		{"/foo/", prefix("/foo"), replace("/xyz"), "/xyz/"},
		{"/foo/bar", prefix("/foo"), replace(""), "/bar"},
		{"/foo/", prefix("/foo"), replace(""), "/"},
		{"/foo", prefix("/foo"), replace(""), "/"},
		{"/foo/", prefix("/foo"), replace("/"), "/"},
		{"/foo", prefix("/foo"), replace("/"), "/"},
		// Beyond it.
		{"/a/b", prefix("/"), replace("/v1"), "/v1/a/b"},
		{"/a", prefix("/"), replace("/"), "/a"},
		{"/~a/b", prefix("/%7Ea"), replace("/c"), "/c/b"},
		{"/foo/bar", prefix("/foo"), replace("xyz"), "/xyz/bar"},
		{"/foo/bar", ir.PathMatch{Type: ir.Exact, Value: "/foo/bar"}, replace("/xyz"), "/foo/bar"},
		{"/foo/bar", prefix("/foo"), ir.PathModifier{Type: ir.Exact, Value: "/one"}, "/one"},
		{"/foo/bar", prefix("/foo"), ir.PathModifier{Type: ir.Exact, Value: ""}, "/"},
		{"*", prefix("/"), replace("/x"), "*"},
	} {
		var x filter.Exchange
		x.Req.Path = []byte(c.path)
		x.Match = &ir.Match{Path: c.match}
		if got := string(x.ModifiedPath(&c.modify)); got != c.want {
			t.Errorf("%s, match %q, replace by %q: %q, want %q", c.path, c.match.Value, c.modify.Value, got, c.want)
		}
	}
}

func prefix(v string) ir.PathMatch     { return ir.PathMatch{Type: ir.Prefix, Value: v} }
func replace(v string) ir.PathModifier { return ir.PathModifier{Type: ir.Prefix, Value: v} }

func TestModifiedPathAllocatesNothing(t *testing.T) {
	var x filter.Exchange
	x.Req.Path = []byte("/foo/bar")
	x.Match = &ir.Match{Path: prefix("/foo")}
	m := replace("/xyz")
	if n := testing.AllocsPerRun(100, func() { x.Req.Arena.Reset(); x.ModifiedPath(&m) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
