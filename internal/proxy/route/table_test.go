package route_test

import (
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/route"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// request makes what the codec makes of a plain request.
func request(method, host, path, query string, headers ...string) *httpmsg.Request {
	r := &httpmsg.Request{Method: []byte(method), MethodID: httpmsg.LookupMethod([]byte(method)), Scheme: "http"}
	r.Host, r.Path = []byte(host), []byte(path)
	r.Query, r.HasQuery = []byte(query), query != ""
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add([]byte(headers[i]), []byte(headers[i+1]))
	}
	return r
}

func rule(id string, matches ...ir.Match) *ir.Rule { return &ir.Rule{ID: id, Matches: matches} }

func path(t ir.MatchType, v string) ir.Match {
	return ir.Match{Path: ir.PathMatch{Type: t, Value: v}}
}

func prefix(v string) ir.Match { return path(ir.Prefix, v) }

// attach makes a route of the rules, whose values are their IDs.
func attach(name string, hostnames []string, rules ...*ir.Rule) route.Attached[string] {
	a := route.Attached[string]{
		Route:     &ir.Route{Name: name, Ref: ir.Ref{Kind: "HTTPRoute", Namespace: "default", Name: name}, Rules: rules},
		Hostnames: hostnames,
	}
	for _, r := range rules {
		a.Values = append(a.Values, r.ID)
	}
	return a
}

func section(hostname string, routes ...route.Attached[string]) route.Section[string] {
	return route.Section[string]{Section: &ir.Section{Name: "section " + hostname, Hostname: hostname}, Routes: routes}
}

func build(t testing.TB, sections ...route.Section[string]) *route.Table[string] {
	t.Helper()
	table, err := route.Build(sections, nil)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestPathPrecedence(t *testing.T) {
	table := build(t, section("",
		attach("paths", nil,
			rule("root", prefix("/")),
			rule("a", prefix("/a")),
			rule("a/b/", prefix("/a/b/")),
			rule("=a/b", path(ir.Exact, "/a/b")),
			rule("=a/b/", path(ir.Exact, "/a/b/")),
			rule("=slash", path(ir.Exact, "/")),
			rule("~id", path(ir.Regex, `/users/[0-9]+`)),
			rule("~long", path(ir.Regex, `/users/4(2|3)[0-9]*`)),
			rule("users", prefix("/users/42/deep")),
			rule("~deep", path(ir.Regex, `/users/42/deep/x`)),
			rule("double", prefix("/d//e")),
			rule("tilde", path(ir.Exact, "/%7euser")),
			rule("part", prefix("/aa/b/c/d")),
			rule("part2", prefix("/aa/b/x/d")),
		),
	))
	for path, want := range map[string]string{
		"/":                  "=slash",
		"*":                  "root",
		"":                   "root",
		"/x":                 "root",
		"/a":                 "a",
		"/a/":                "a",
		"/ab":                "root",
		"/a/x":               "a",
		"/a/b":               "=a/b",
		"/a/b/":              "=a/b/",
		"/a/b/c":             "a/b/",
		"/a/bc":              "a",
		"/users/7":           "~id",
		"/users/42":          "~long",
		"/users/42/":         "root",
		"/users/42/deep":     "users",
		"/users/42/deep/x":   "~deep",
		"/users/42/deep/x/y": "users",
		"/d":                 "root",
		"/d/":                "root",
		"/d//e":              "double",
		"/d//e/f":            "double",
		"/d/e":               "root",
		"/~user":             "tilde",
		"/aa/b":              "root",
		"/aa/b/c":            "root",
		"/aa/b/c/d":          "part",
		"/aa/b/x/d/":         "part2",
		"/aa/b/x/de":         "root",
	} {
		m, ok := table.Match(request("GET", "h", path, ""), "")
		if !ok || m.Value != want || m.Rule.ID != want {
			t.Errorf("%s: %q (%v), want %q", path, m.Value, ok, want)
		}
	}
}

func TestConditions(t *testing.T) {
	m := func(method string, headers, query []ir.ValueMatch) ir.Match {
		return ir.Match{Path: ir.PathMatch{Type: ir.Prefix, Value: "/"}, Method: method, Headers: headers, Query: query}
	}
	v := func(nameValue ...string) (out []ir.ValueMatch) {
		for i := 0; i < len(nameValue); i += 2 {
			out = append(out, ir.ValueMatch{Name: nameValue[i], Type: ir.Exact, Value: nameValue[i+1]})
		}
		return out
	}
	re := func(name, value string) []ir.ValueMatch {
		return []ir.ValueMatch{{Name: name, Type: ir.Regex, Value: value}}
	}
	for _, c := range []struct {
		name  string
		match ir.Match
		r     *httpmsg.Request
		want  bool
	}{
		{"method", m("GET", nil, nil), request("GET", "h", "/", ""), true},
		{"method is case-sensitive", m("GET", nil, nil), request("get", "h", "/", ""), false},
		{"GET is not HEAD", m("GET", nil, nil), request("HEAD", "h", "/", ""), false},
		{"header", m("", v("X-A", "1"), nil), request("GET", "h", "/", "", "x-a", "1"), true},
		{"well-known header", m("", v("accept", "a/b"), nil), request("GET", "h", "/", "", "Accept", "a/b"), true},
		{"value is case-sensitive", m("", v("X-A", "b"), nil), request("GET", "h", "/", "", "x-a", "B"), false},
		{"no header", m("", v("X-A", "1"), nil), request("GET", "h", "/", "", "X-B", "1"), false},
		{"no well-known header", m("", v("Accept", "1"), nil), request("GET", "h", "/", "", "X-B", "1"), false},
		{"one of two headers", m("", v("X-A", "1", "X-B", "2"), nil), request("GET", "h", "/", "", "X-A", "1"), false},
		{"first of a repeated condition counts", m("", v("X-A", "1", "x-a", "2"), nil), request("GET", "h", "/", "", "X-A", "1"), true},
		{"repeated header is joined", m("", v("X-A", "1, 2"), nil), request("GET", "h", "/", "", "X-A", "1", "x-a", "2"), true},
		{"repeated header is not its first value", m("", v("X-A", "1"), nil), request("GET", "h", "/", "", "X-A", "1", "x-a", "2"), false},
		{"repeated header with empty values", m("", v("X-A", ", , x"), nil), request("GET", "h", "/", "", "X-A", "", "X-A", "", "x-a", "x"), true},
		{"cookies are joined by semicolons", m("", v("Cookie", "a=1; b=2"), nil), request("GET", "h", "/", "", "Cookie", "a=1", "cookie", "b=2"), true},
		{"host header", m("", v("Host", "h:80"), nil), request("GET", "h:80", "/", ""), true},
		{"header regex", m("", re("X-A", "a+"), nil), request("GET", "h", "/", "", "X-A", "aaa"), true},
		{"header regex is anchored", m("", re("X-A", "a+"), nil), request("GET", "h", "/", "", "X-A", "aaab"), false},
		{"alternatives are anchored together", m("", re("X-A", "a|b"), nil), request("GET", "h", "/", "", "X-A", "bc"), false},
		{"header regex on joined", m("", re("X-A", "a+, b"), nil), request("GET", "h", "/", "", "X-A", "aa", "X-A", "b"), true},
		{"header regex that matches nothing needs the header", m("", re("X-A", ".*"), nil), request("GET", "h", "/", ""), false},
		{"empty header for regex", m("", re("X-A", ".*"), nil), request("GET", "h", "/", "", "X-A", ""), true},
		{"query", m("", nil, v("a", "1")), request("GET", "h", "/", "b=2&a=1"), true},
		{"query name is case-sensitive", m("", nil, v("A", "1")), request("GET", "h", "/", "a=1"), false},
		{"first query value counts", m("", nil, v("a", "2")), request("GET", "h", "/", "a=1&a=2"), false},
		{"query is decoded", m("", nil, v("a b", "1 /")), request("GET", "h", "/", "%61+b=1%20%2F"), true},
		{"query with a bad escape", m("", nil, v("a", "%z1")), request("GET", "h", "/", "a=%z1"), true},
		{"query with a cut escape", m("", nil, v("a", "1%2")), request("GET", "h", "/", "a=1%2"), true},
		{"query value is not a prefix", m("", nil, v("a", "1")), request("GET", "h", "/", "a=12"), false},
		{"query name without value", m("", nil, re("a", "")), request("GET", "h", "/", "x&a&y"), true},
		{"query regex", m("", nil, re("a", "[0-9]+ x")), request("GET", "h", "/", "a=12+x"), true},
		{"first of a repeated query condition counts", m("", nil, v("a", "1", "a", "2")), request("GET", "h", "/", "a=1"), true},
		{"no query", m("", nil, v("a", "1")), request("GET", "h", "/", ""), false},
	} {
		table := build(t, section("", attach("r", nil, rule("x", c.match))))
		if _, ok := table.Match(c.r, ""); ok != c.want {
			t.Errorf("%s: %v, want %v", c.name, ok, c.want)
		}
		if won := table.Explain(c.r, "").Winner >= 0; won != c.want {
			t.Errorf("%s: explained as %v, want %v", c.name, won, c.want)
		}
	}
}

func TestBuildErrors(t *testing.T) {
	bad := section("", attach("r", nil, rule("x", path(ir.Regex, "(")), rule("y", prefix("/"))))
	if _, err := route.Build([]route.Section[string]{bad}, nil); err == nil {
		t.Error("a regular expression that does not compile was accepted")
	}
	closing := section("", attach("r", nil, rule("x", path(ir.Regex, "a)|(?:b"))))
	if _, err := route.Build([]route.Section[string]{closing}, nil); err == nil {
		t.Error("an expression that closes the group around it was accepted")
	}
	short := section("", attach("r", nil, rule("x", prefix("/"))))
	short.Routes[0].Values = nil
	if _, err := route.Build([]route.Section[string]{short}, nil); err == nil {
		t.Error("a rule without a value was accepted")
	}
}
