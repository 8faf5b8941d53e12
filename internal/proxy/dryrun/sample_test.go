package dryrun_test

import (
	"regexp"
	"slices"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
)

func TestExampleIsTakenByItsExpression(t *testing.T) {
	for _, expr := range []string{`/a`, `/v[0-9]+/.*`, `/(en|de)/x?`, `/[^/]+/reviews`, `\d{3}-\w{2,}`, `(?i)/ABC`, `/a.b`, `[!-/]`, `.*`, `/x$`} {
		all := dryrun.Examples(expr)
		if len(all) == 0 {
			t.Errorf("%s: no example", expr)
		}
		for _, got := range all {
			if !regexp.MustCompile(`^(?:` + expr + `)$`).MatchString(got) {
				t.Errorf("%s: %q", expr, got)
			}
		}
	}
	for _, expr := range []string{`(`, `[^\x00-\x{10FFFF}]`, `(a{1000}){1000}`, `a\bb`} {
		if got := dryrun.Examples(expr); len(got) > 0 {
			t.Errorf("%s: %q", expr, got)
		}
	}
}

func TestSamplesCoverEveryMatch(t *testing.T) {
	rule := &ir.Rule{Matches: []ir.Match{
		{Path: ir.PathMatch{Type: ir.Exact, Value: "/exact"}},
		{Path: ir.PathMatch{Type: ir.Prefix, Value: "/pre/"}, Method: "POST"},
		{Path: ir.PathMatch{Type: ir.Prefix, Value: "/"}, Headers: []ir.ValueMatch{{Name: "X-A", Type: ir.Regex, Value: "v[0-9]"}}, Query: []ir.ValueMatch{{Name: "q", Type: ir.Exact, Value: "a b"}}},
		{Path: ir.PathMatch{Type: ir.Regex, Value: "/r/[0-9]+"}},
		{Path: ir.PathMatch{Type: ir.Regex, Value: "("}},
	}}
	cfg := &ir.Config{
		Listeners: []*ir.Listener{{Port: 8443, Protocol: ir.HTTPS, Sections: []*ir.Section{{Routes: []ir.Attachment{{Route: "r", Hostnames: []string{"*.shop.example", ""}}, {Route: "gone", Hostnames: []string{""}}}}}}},
		Routes:    []*ir.Route{{Name: "r", Rules: []*ir.Rule{rule}}},
	}
	var got []string
	list, _ := dryrun.Samples(cfg)
	for _, r := range list {
		s := r.Method + " " + r.URL
		for _, h := range r.Headers {
			s += " " + h.Name + "=" + h.Value
		}
		got = append(got, s)
	}
	for _, host := range []string{"https://any.shop.example:8443", "https://any-host.example:8443"} {
		for _, want := range []string{
			"GET " + host + "/exact", "POST " + host + "/pre", "POST " + host + "/pre/below",
			"GET " + host + "/?q=a+b X-A=v1", "GET " + host + "/below?q=a+b X-A=v1", "GET " + host + "/r/1", "GET " + host + "/r/9", "GET " + host + "/r/00",
			"GET " + host + "/exact/below", "POST " + host + "/pre-beside",
			"GET " + host + "/?q=a+b X-A=v9",     // another example of the header's expression
			"POST " + host + "/pre?q=a+b X-A=v1", // what two matches take
			"GET " + host + "/a-path-that-no-rule-names",
		} {
			if !slices.Contains(got, want) {
				t.Errorf("no %s in %q", want, got)
			}
		}
	}
	if len(got) != len(slices.Compact(slices.Sorted(slices.Values(got)))) {
		t.Errorf("there are doubles: %q", got)
	}
}
