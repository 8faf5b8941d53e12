package route_test

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/ir"
)

func TestHostnames(t *testing.T) {
	one := func(id string) []*ir.Rule { return []*ir.Rule{rule(id, prefix("/"))} }
	table := build(t, section("",
		attach("any", nil, one("any")...),
		attach("exact", []string{"a.example.com"}, one("exact")...),
		attach("wild", []string{"*.example.com"}, one("wild")...),
		attach("deep", []string{"*.b.example.com"}, one("deep")...),
		attach("v6", []string{"[::1]"}, one("v6")...),
	))
	for host, want := range map[string]string{
		"":                   "any",
		"example.com":        "any",
		".example.com":       "any",
		"x.example.com":      "wild",
		"x.y.example.com":    "wild",
		"x.example.com:8080": "wild",
		"xexample.com":       "any",
		"a.example.com":      "exact",
		"a.example.com:443":  "exact",
		"x.a.example.com":    "wild",
		"b.example.com":      "wild",
		"c.b.example.com":    "deep",
		"d.c.b.example.com":  "deep",
		"x.example.com.org":  "any",
		"[::1]":              "v6",
		"[::1]:80":           "v6",
		"[::2]:80":           "any",
		strings.Repeat("a.", 400) + "example.com": "wild",
	} {
		if m, _ := table.Match(request("GET", host, "/", ""), ""); m.Value != want {
			t.Errorf("%q: %q, want %q", host, m.Value, want)
		}
	}
}

// A more specific hostname has precedence, but 404 is for requests that no
// attached rule matches.
func TestLessSpecificHostnameIsTriedNext(t *testing.T) {
	table := build(t, section("",
		attach("exact", []string{"a.example.com"}, rule("exact", prefix("/x"))),
		attach("wild", []string{"*.example.com"}, rule("wild", prefix("/x/y"), prefix("/z"))),
		attach("any", nil, rule("any", path(ir.Exact, "/x"), path(ir.Exact, "/q"))),
	))
	for path, want := range map[string]string{"/x": "exact", "/x/y": "exact", "/z": "wild", "/q": "any", "/none": ""} {
		m, ok := table.Match(request("GET", "a.example.com", path, ""), "")
		if m.Value != want || ok != (want != "") {
			t.Errorf("%s: %q, want %q", path, m.Value, want)
		}
		if m.Section == nil {
			t.Errorf("%s: no section", path)
		}
	}
}

// The listeners and the expectations are those of the Gateway API's
// conformance test GatewayHTTPListenerIsolation.
func TestListenerIsolation(t *testing.T) {
	hosts := []string{"", "*.example.com", "*.foo.example.com", "abc.foo.example.com"}
	names := []string{"/empty-hostname", "/wildcard-example-com", "/wildcard-foo-example-com", "/abc-foo-example-com"}
	table := build(t,
		section(hosts[0], attach("r0", nil, rule(names[0], prefix(names[0])))),
		section(hosts[1], attach("r1", hosts[1:2], rule(names[1], prefix(names[1])))),
		section(hosts[2], attach("r2", hosts[2:3], rule(names[2], prefix(names[2])))),
		section(hosts[3], attach("r3", hosts[3:4], rule(names[3], prefix(names[3])))),
	)
	for host, own := range map[string]int{"bar.com": 0, "bar.example.com": 1, "bar.foo.example.com": 2, "abc.foo.example.com": 3} {
		for i, path := range names {
			m, ok := table.Match(request("GET", host, path, ""), "")
			if ok != (i == own) || m.Section.Hostname != hosts[own] {
				t.Errorf("%s%s: %v in section %q", host, path, ok, m.Section.Hostname)
			}
		}
	}
}

func TestNoSection(t *testing.T) {
	table := build(t, section("a.example", attach("r", []string{"a.example"}, rule("a", prefix("/")))))
	m, ok := table.Match(request("GET", "b.example", "/", ""), "")
	if ok || m.Section != nil || m.Misdirected {
		t.Errorf("a host of no section matched: %+v", m)
	}
}

// The cases are those of the conformance test
// HTTPRouteHTTPSListenerDetectMisdirectedRequests, and some without a server name.
func TestMisdirected(t *testing.T) {
	any := []string{""}
	table := build(t,
		section("", attach("r1", []string{"example.org"}, rule("1", prefix("/")))),
		section("second-example.org", attach("r2", []string{"second-example.org"}, rule("2", prefix("/")))),
		section("*.wildcard.org", attach("r3", []string{"*.wildcard.org"}, rule("3", prefix("/")))),
		section("fourth-example.wildcard.org", attach("r4", any, rule("4", prefix("/")))),
	)
	for _, c := range []struct {
		sni, host, want string // want is a rule, "404" or "421"
	}{
		{"example.org", "example.org", "1"},
		{"example.org", "second-example.org", "421"},
		{"example.org", "unknown-example.org", "404"},
		{"second-example.org", "second-example.org", "2"},
		{"Second-Example.ORG", "second-example.org:8443", "2"},
		{"second-example.org", "example.org", "421"},
		{"second-example.org", "unknown-example.org", "421"},
		{"third-example.wildcard.org", "third-example.wildcard.org", "3"},
		{"third-example.wildcard.org", "fith-example.wildcard.org", "3"},
		{"third-example.wildcard.org", "fourth-example.wildcard.org", "421"},
		{"third-example.wildcard.org", "second-example.org", "421"},
		{"third-example.wildcard.org", "unknown-example.org", "421"},
		{"fourth-example.wildcard.org", "fourth-example.wildcard.org", "4"},
		{"fourth-example.wildcard.org", "fith-example.wildcard.org", "421"},
		{"unknown-example.org", "example.org", "1"},
		{"unknown-example.org", "unknown-example.org", "404"},
		{"", "example.org", "1"},
		{"", "second-example.org", "421"},
		{strings.Repeat("x", 300) + ".wildcard.org", "a.wildcard.org", "421"},
	} {
		r := request("GET", c.host, "/", "")
		r.Scheme = "https"
		m, ok := table.Match(r, c.sni)
		got := m.Value
		switch {
		case m.Misdirected && m.Rule == nil:
			got = "421"
		case !ok:
			got = "404"
		}
		if got != c.want {
			t.Errorf("server name %q, host %q: %s, want %s", c.sni, c.host, got, c.want)
		}
		if e := table.Explain(r, c.sni); e.Misdirected != m.Misdirected || (e.Winner >= 0) != (m.Rule != nil) {
			t.Errorf("server name %q, host %q: explained as %+v", c.sni, c.host, e)
		}
	}
	plain := request("GET", "second-example.org", "/", "")
	if m, ok := table.Match(plain, ""); !ok || m.Value != "2" {
		t.Errorf("a plain request was taken for a misdirected one: %+v", m)
	}
}

func TestSectionsOfOneHostname(t *testing.T) {
	table := build(t,
		section("h.example", attach("r1", nil, rule("1", prefix("/one")))),
		section("H.example", attach("r2", nil, rule("2", prefix("/two")))),
	)
	m, _ := table.Match(request("GET", "h.example", "/two", ""), "")
	if m.Value != "2" || m.Section.Hostname != "H.example" {
		t.Errorf("matched %q in %q", m.Value, m.Section.Hostname)
	}
}
