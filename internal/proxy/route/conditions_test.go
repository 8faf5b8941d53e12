package route_test

import (
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/route"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

func TestConditionsApart(t *testing.T) {
	prefix := func(v string) ir.Match { return ir.Match{Path: ir.PathMatch{Type: ir.Prefix, Value: v}} }
	login := ir.Match{
		Path: ir.PathMatch{Type: ir.Exact, Value: "/login"}, Method: "POST",
		Headers: []ir.ValueMatch{{Name: "X-A", Type: ir.Exact, Value: "a"}},
		Query:   []ir.ValueMatch{{Name: "q", Type: ir.Regex, Value: "[0-9]+"}},
	}
	for _, c := range []struct {
		name                          string
		list                          []ir.Match
		method, path, query, headerXA string
		want                          bool
	}{
		{"any path", []ir.Match{prefix("/")}, "GET", "/x", "", "", true},
		{"the server itself", []ir.Match{prefix("/")}, "OPTIONS", "*", "", "", true},
		{"prefix", []ir.Match{prefix("/a")}, "GET", "/a", "", "", true},
		{"prefix, more", []ir.Match{prefix("/a")}, "GET", "/a/b", "", "", true},
		{"half a segment", []ir.Match{prefix("/a")}, "GET", "/ab", "", "", false},
		{"pattern", []ir.Match{{Path: ir.PathMatch{Type: ir.Regex, Value: "/v[0-9]/.*"}}}, "GET", "/v2/x", "", "", true},
		{"part of a pattern", []ir.Match{{Path: ir.PathMatch{Type: ir.Regex, Value: "/v[0-9]"}}}, "GET", "/v2/x", "", "", false},
		{"everything holds", []ir.Match{login}, "POST", "/login", "q=17", "a", true},
		{"another method", []ir.Match{login}, "GET", "/login", "q=17", "a", false},
		{"another header", []ir.Match{login}, "POST", "/login", "q=17", "b", false},
		{"another query", []ir.Match{login}, "POST", "/login", "q=x", "a", false},
		{"another path", []ir.Match{login}, "POST", "/login/", "q=17", "a", false},
		{"the second holds", []ir.Match{login, prefix("/b")}, "GET", "/b", "", "", true},
		{"none", nil, "GET", "/", "", "", false},
	} {
		s, err := route.NewConditions(c.list)
		if err != nil {
			t.Fatal(err)
		}
		r := httpmsg.Request{Method: []byte(c.method), Path: []byte(c.path), Query: []byte(c.query), HasQuery: c.query != ""}
		if c.headerXA != "" {
			r.Header.Add([]byte("x-a"), []byte(c.headerXA))
		}
		if got := s.Hold(&r); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
		if n := testing.AllocsPerRun(10, func() { s.Hold(&r) }); n != 0 && c.query == "" {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
	if _, err := route.NewConditions([]ir.Match{{Path: ir.PathMatch{Type: ir.Regex, Value: "("}}}); err == nil {
		t.Error("a pattern that is none is taken")
	}
}
