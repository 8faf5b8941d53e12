package routetest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/cli/routetest"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
)

func TestParse(t *testing.T) {
	suites, problems := routetest.Parse("dir/shop.test.yaml", []byte(`apiVersion: v1
kind: ConfigMap
metadata: {name: other}
---
apiVersion: gridway.dev/v1alpha1
kind: RouteTest
metadata: {name: shop}
spec:
  config: [shop.yaml, /abs]
  tests:
  - name: by name
    request: {url: "http://h/x", headers: {A: b}}
    expect: {backends: [one, two], requestHeaders: {X: null}}
  - request: {method: POST, url: /y}
    expect:
      backends: {one: 90, two: 10}
      route: r
`))
	if len(problems) > 0 || len(suites) != 1 {
		t.Fatalf("%d suites, problems %v", len(suites), problems)
	}
	s := suites[0]
	if s.Name != "shop" || !slices.Equal(s.Config, []string{"dir/shop.yaml", "/abs"}) || len(s.Cases) != 2 {
		t.Fatalf("%+v", s)
	}
	a, b := s.Cases[0], s.Cases[1]
	if a.Request.Method != "GET" || a.Request.Headers["A"] != "b" || len(a.Expect.Backends) != 2 || a.Expect.Backends[0].Percent >= 0 {
		t.Errorf("%+v", a)
	}
	if v, ok := a.Expect.RequestHeaders["X"]; !ok || v != nil {
		t.Errorf("null header: %v %v", v, ok)
	}
	if b.Name != "POST /y" || len(b.Expect.Backends) != 2 || b.Expect.Backends[0].Percent < 0 {
		t.Errorf("%+v", b)
	}
	if got := b.Locate("expect.route").String(); got != "dir/shop.test.yaml:17:7" {
		t.Errorf("expect.route is at %s", got)
	}
	if got := b.Locate("expect.missing.deeper").String(); got != "dir/shop.test.yaml:15:5" {
		t.Errorf("a missing field is at %s", got)
	}
}

func TestParseSaysWhatIsWrongAndWhere(t *testing.T) {
	const head = "apiVersion: gridway.dev/v1alpha1\nkind: RouteTest\nmetadata: {name: t}\nspec:\n  tests:\n"
	for _, tt := range []struct{ name, doc, want string }{
		{"syntax", "kind: RouteTest\n  x: [", "f.yaml:"},
		{"version", "apiVersion: v9\nkind: RouteTest\n", `f.yaml:1:1: error: apiVersion: apiVersion is "v9"`},
		{"no tests", strings.TrimSuffix(head, "  tests:\n") + "  config: [a]\n", "f.yaml:4:1: error: spec.tests: there are no tests"},
		{"unknown in expect", head + "  - request: {url: /}\n    expect:\n      rout: r\n", `f.yaml:8:7: error: spec.tests[0].expect.rout: there is no field "rout"; fields here: `},
		{"unknown in spec", head + "  - request: {url: /}\n    expect: {route: r}\n  confg: []\n", `f.yaml:8:3: error: spec.confg: there is no field`},
		{"no url", head + "  - request: {method: GET}\n    expect: {route: r}\n", "f.yaml:6:5: error: spec.tests[0].request: request.url is missing"},
		{"scheme", head + "  - request: {url: ftp://x/}\n    expect: {route: r}\n", `spec.tests[0].request.url: the scheme is "ftp"`},
		{"nothing expected", head + "  - request: {url: /}\n", "the test expects nothing"},
		{"type", head + "  - request: {url: /}\n    expect: {status: many}\n", "f.yaml:7:22: error: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			suites, problems := routetest.Parse("f.yaml", []byte(tt.doc))
			var all []string
			for _, p := range problems {
				all = append(all, p.String())
			}
			got := strings.Join(all, "\n")
			if !strings.Contains(got, tt.want) || len(suites) > 0 {
				t.Errorf("got %d suites and\n%s\nwant %s", len(suites), got, tt.want)
			}
		})
	}
}

func forwarded() *dryrun.Decision {
	return &dryrun.Decision{
		Action: dryrun.Forward, Section: &dryrun.Place{Name: "Gateway/default/edge/http"},
		Route: &dryrun.Place{Name: "HTTPRoute/default/reviews"}, Rule: &dryrun.Place{Name: "canary"}, RuleIndex: 1,
		Backends: []dryrun.Backend{
			{Name: "Backend/default/v1", Cluster: "Backend/default/v1", Weight: 9, Percent: 90, Upstream: &dryrun.Upstream{Path: "/1", Host: "h", Headers: []ir.Header{{Name: "x-env", Value: "a"}, {Name: "X-Env", Value: "b"}}}},
			{Name: "Backend/default/v2", Cluster: "Backend/default/v2", Weight: 1, Percent: 10, Upstream: &dryrun.Upstream{Path: "/1", Host: "other"}},
			{Name: "Backend/default/off", Weight: 0},
		},
		Mirrors: []dryrun.Mirror{{Name: "Backend/default/audit"}},
		Policy:  ir.RoutePolicy{Retry: &ir.Retry{Attempts: 2}},
	}
}

func refused() *dryrun.Decision {
	return &dryrun.Decision{Action: dryrun.Reply, Local: &dryrun.Local{Status: 404, Reason: "RouteNotFound"}}
}

func TestCompare(t *testing.T) {
	for _, tt := range []struct {
		name, expect string
		d            *dryrun.Decision
		want         string // "field: want | got" per line
	}{
		{"all met", "route: reviews\nrule: canary\nsection: edge/http\nbackends: {v1: 90, v2: 10}\nmirrors: [audit]\npath: /1\nretries: 2", forwarded(), ""},
		{"rule by index", "rule: 1", forwarded(), ""},
		{"namespaced route", "route: default/reviews", forwarded(), ""},
		{"half a name is not a name", "route: views", forwarded(), "route: views | HTTPRoute/default/reviews"},
		{"joined header", "requestHeaders: {X-ENV: 'a, b'}", forwarded(), "requestHeaders.X-ENV: a, b | (absent) (to v2)"},
		{"header that must be absent", "requestHeaders: {X-Env: null}", forwarded(), "requestHeaders.X-Env: (absent) | a, b (to v1)"},
		{"backends", "backends: [v1]", forwarded(), "backends: v1 | v1 90%, v2 10%"},
		{"shares", "backends: {v1: 50, v2: 50}", forwarded(), "backends: v1 50%, v2 50% | v1 90%, v2 10%"},
		{"one of two hosts", "host: h", forwarded(), "host: h | other (to v2)"},
		{"status of a forwarded request", "status: 404", forwarded(), "status: 404 | forwarded to v1 90%, v2 10%"},
		{"timeout", "timeout: 3s", forwarded(), "timeout: 3s | 0s"},
		{"refused", "status: 404\nreason: RouteNotFound", refused(), ""},
		{"refused instead of routed", "route: reviews\nbackends: [v1]\npath: /", refused(), "route: reviews | (none), the reply is 404 RouteNotFound\nbackends: v1 | (none), the reply is 404 RouteNotFound\npath: / | not forwarded"},
		{"rule zero of nothing", "rule: 0", refused(), "rule: 0 | (none), the reply is 404 RouteNotFound"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := "apiVersion: gridway.dev/v1alpha1\nkind: RouteTest\nspec:\n  tests:\n  - request: {url: /}\n    expect:\n      " + strings.ReplaceAll(tt.expect, "\n", "\n      ") + "\n"
			suites, problems := routetest.Parse("f.yaml", []byte(doc))
			if len(suites) != 1 {
				t.Fatal(problems)
			}
			var got []string
			for _, m := range routetest.Compare(&suites[0].Cases[0].Expect, tt.d) {
				got = append(got, m.Field+": "+m.Want+" | "+m.Got)
			}
			if s := strings.Join(got, "\n"); s != tt.want {
				t.Errorf("got\n%s\nwant\n%s", s, tt.want)
			}
		})
	}
}
