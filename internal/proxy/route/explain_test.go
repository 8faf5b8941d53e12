package route_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/route"
)

func TestExplain(t *testing.T) {
	value := func(name, v string) []ir.ValueMatch {
		return []ir.ValueMatch{{Name: name, Type: ir.Exact, Value: v}}
	}
	younger := attach("younger", nil, rule("younger", prefix("/a")))
	younger.Route.Created = time.Unix(1000, 0)
	table := build(t,
		section("", attach("other", nil, rule("other section", prefix("/")))),
		section("*.example.com",
			attach("host", []string{"b.example.com"}, rule("host", prefix("/"))),
			attach("exact", []string{"a.example.com"}, rule("exact host", path(ir.Exact, "/a/z"))),
			attach("r", nil,
				rule("method", ir.Match{Path: ir.PathMatch{Type: ir.Exact, Value: "/a/b"}, Method: "POST"}),
				rule("no header", ir.Match{Path: ir.PathMatch{Type: ir.Exact, Value: "/a/b"}, Headers: value("X-A", "1")}),
				rule("header", ir.Match{Path: ir.PathMatch{Type: ir.Exact, Value: "/a/b"}, Headers: value("X-B", "1")}),
				rule("no query", ir.Match{Path: ir.PathMatch{Type: ir.Exact, Value: "/a/b"}, Query: value("p", "1")}),
				rule("query", ir.Match{Path: ir.PathMatch{Type: ir.Exact, Value: "/a/b"}, Query: value("q", "1")}),
				rule("regex", path(ir.Regex, "/a/[bc]")),
				rule("wins", path(ir.Exact, "/a/b")),
				rule("shorter", prefix("/a")),
				rule("again", prefix("/a"), prefix("/a")),
				rule("path", prefix("/b")),
			),
			attach("s", nil, rule("name", prefix("/a"))),
			younger,
		),
	)
	e := table.Explain(request("GET", "a.example.com:8080", "/a/b", "q=2", "X-B", "secret"), "")
	got := map[string]string{}
	for _, c := range e.Candidates {
		got[c.Rule.ID+"/"+fmt.Sprint(c.Match)] = string(c.Outcome) + ": " + c.Why
	}
	for id, want := range map[string]string{
		"method/0":     `method: method "GET" is not "POST"`,
		"no header/0":  `header: there is no header "X-A"`,
		"header/0":     `header: header "X-B" is not "1"`,
		"no query/0":   `query: there is no query parameter "p"`,
		"query/0":      `query: query parameter "q" is not "1"`,
		"wins/0":       "won: it is the first in order of precedence whose conditions all hold",
		"regex/0":      "precedence: r/wins goes first: its path match is of type Exact, not Regex",
		"shorter/0":    "precedence: r/wins goes first: its path match is of type Exact, not Prefix",
		"path/0":       `path: path "/a/b" does not match Prefix "/b"`,
		"exact host/0": `path: path "/a/b" does not match Exact "/a/z"`,
		"host/0":       `host: host "a.example.com" does not match "b.example.com"`,
	} {
		if got[id] != want {
			t.Errorf("%s: %s\nwant %s", id, got[id], want)
		}
	}
	if e.Host != "a.example.com" || e.Section.Hostname != "*.example.com" || e.Candidates[e.Winner].Rule.ID != "wins" || e.Omitted != 0 {
		t.Errorf("explanation %+v", e)
	}
	if len(e.Sections) != 2 || e.Sections[0].Chosen || !e.Sections[1].Chosen ||
		e.Sections[0].Why != `its hostname (any) is less specific than "*.example.com"` {
		t.Errorf("sections %+v", e.Sections)
	}

	e = table.Explain(request("GET", "a.example.com", "/a/x", ""), "")
	got = map[string]string{}
	for _, c := range e.Candidates {
		got[c.Rule.ID+"/"+fmt.Sprint(c.Match)] = c.Why
	}
	for id, want := range map[string]string{
		"again/0":   "its rule is earlier in the route",
		"again/1":   "its rule is earlier in the route",
		"name/0":    "its route default/r is before default/s in alphabetical order",
		"younger/0": "its route is older (0001-01-01T00:00:00Z, not ",
	} {
		if !strings.HasPrefix(got[id], "r/shorter goes first: "+want) {
			t.Errorf("%s: %s\nwant %s", id, got[id], want)
		}
	}
}

func TestExplainWithoutSection(t *testing.T) {
	table := build(t, section("a.example", attach("r", nil, rule("x", prefix("/")))))
	e := table.Explain(request("GET", "b.example", "/", ""), "")
	if e.Section != nil || e.Winner != -1 || len(e.Candidates) != 0 || e.Sections[0].Why != `its hostname "a.example" does not match "b.example"` {
		t.Errorf("explanation %+v", e)
	}
}

func TestExplainIsBounded(t *testing.T) {
	table, err := route.Build(shop(1000, false), nil)
	if err != nil {
		t.Fatal(err)
	}
	e := table.Explain(request("GET", "h", "/api/service-999", ""), "")
	if e.Winner != 0 || len(e.Candidates) != 201 || e.Omitted != 799 {
		t.Errorf("winner %d of %d candidates, %d omitted", e.Winner, len(e.Candidates), e.Omitted)
	}
}

func TestShadowed(t *testing.T) {
	h := func(name, value string) ir.Match {
		return ir.Match{Path: ir.PathMatch{Type: ir.Prefix, Value: "/h"}, Headers: []ir.ValueMatch{{Name: name, Type: ir.Exact, Value: value}}}
	}
	get := path(ir.Prefix, "/wide/get")
	get.Method = "GET"
	wide := path(ir.Regex, "/wide/.*")
	wide.Method = "GET"
	table := build(t,
		section("",
			attach("a", nil,
				rule("first", prefix("/x")),
				rule("same", prefix("/x/")),
				rule("partly", prefix("/x"), prefix("/y")),
				rule("twice", prefix("/t"), prefix("/t")),
				rule("header", h("X-A", "1")),
				rule("other header", h("X-A", "2")),
				rule("same header", h("x-a", "1")),
				rule("wide", wide),
				rule("under wide", get),
				rule("more than wide", prefix("/wide/any")),
				rule("exact under wide", path(ir.Exact, "/wide/exact")),
			),
			attach("b", nil, rule("other route", prefix("/x"))),
			attach("c", []string{"taken.example", "*.example"}, rule("isolated", prefix("/c"))),
			attach("d", []string{"sub.taken.example"}, rule("all isolated", prefix("/d"))),
		),
		section("taken.example", attach("e", nil, rule("taken", prefix("/")))),
		section("*.taken.example", attach("f", nil, rule("taken too", prefix("/")))),
	)
	got := map[string]string{}
	for _, s := range table.Shadowed() {
		by := "section " + fmt.Sprint(s.BySection != nil)
		if s.ByRule != nil {
			by = s.ByRule.ID
		}
		got[fmt.Sprint(s.Rule.ID, "/", s.Match, "@", s.Hostname)] = fmt.Sprint(by, " dead=", s.Dead)
		if s.Why == "" {
			t.Errorf("%s: no reason", s.Rule.ID)
		}
	}
	want := map[string]string{
		"same/0@":                          "first dead=true",
		"partly/0@":                        "first dead=false",
		"other route/0@":                   "first dead=true",
		"same header/0@":                   "header dead=true",
		"under wide/0@":                    "wide dead=true",
		"isolated/0@taken.example":         "section true dead=false",
		"all isolated/0@sub.taken.example": "section true dead=true",
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s: %q, want %q", k, got[k], v)
		}
		delete(got, k)
	}
	for k, v := range got {
		t.Errorf("not expected: %s: %s", k, v)
	}
}
