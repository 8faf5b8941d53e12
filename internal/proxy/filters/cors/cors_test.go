package cors_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/cors"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

func exchange(method string, headers ...string) *filter.Exchange {
	x := &filter.Exchange{}
	x.Req.Method, x.Req.MethodID = []byte(method), httpmsg.LookupMethod([]byte(method))
	for i := 0; i < len(headers); i += 2 {
		x.Req.Header.Add([]byte(headers[i]), []byte(headers[i+1]))
	}
	return x
}

// expect compares headers of the response; "" means that there is none.
func expect(t *testing.T, name string, x *filter.Exchange, want ...string) {
	t.Helper()
	for i := 0; i < len(want); i += 2 {
		if got := string(x.Resp.Header.AppendJoined(nil, httpmsg.LookupName([]byte(want[i])))); got != want[i+1] {
			t.Errorf("%s: %s: %q, want %q", name, want[i], got, want[i+1])
		}
	}
}

const (
	acao = "Access-Control-Allow-Origin"
	acam = "Access-Control-Allow-Methods"
	acah = "Access-Control-Allow-Headers"
	acac = "Access-Control-Allow-Credentials"
	aceh = "Access-Control-Expose-Headers"
	acma = "Access-Control-Max-Age"
	acrm = "Access-Control-Request-Method"
	acrh = "Access-Control-Request-Headers"
)

var strict = &ir.CORS{
	AllowOrigins:     []string{"https://www.foo.com", "https://*.bar.com"},
	AllowMethods:     []string{"GET", "OPTIONS"},
	AllowHeaders:     []string{"x-header-1", "x-header-2"},
	ExposeHeaders:    []string{"x-header-3", "x-header-4"},
	AllowCredentials: true,
	MaxAge:           time.Hour,
}

func preflight(t *testing.T, c *ir.CORS, headers ...string) *filter.Exchange {
	t.Helper()
	p := cors.New(c)
	x := exchange("OPTIONS", headers...)
	if p.OnRequest(x) != filter.Reply || x.Local.Status != 204 || x.Local.Reason != filter.ReasonNone {
		t.Fatalf("preflight was not answered: %+v", x.Local)
	}
	p.OnResponse(x)
	return x
}

func simple(t *testing.T, c *ir.CORS, upstream []string, headers ...string) *filter.Exchange {
	t.Helper()
	p := cors.New(c)
	x := exchange("GET", headers...)
	if p.OnRequest(x) != filter.Continue {
		t.Fatal("a request that is no preflight was answered")
	}
	for i := 0; i < len(upstream); i += 2 {
		x.Resp.Header.Add([]byte(upstream[i]), []byte(upstream[i+1]))
	}
	p.OnResponse(x)
	return x
}

func TestPreflight(t *testing.T) {
	for _, origin := range []string{"https://www.foo.com", "https://www.bar.com", "https://xpto.www.bar.com"} {
		x := preflight(t, strict, "Origin", origin, acrm, "GET", acrh, "x-header-1, x-header-2")
		expect(t, origin, x, acao, origin, acam, "GET, OPTIONS", acah, "x-header-1, x-header-2", acac, "true",
			aceh, "x-header-3, x-header-4", acma, "3600", "Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
	}
	x := preflight(t, strict, "Origin", "https://foobar.com", acrm, "GET")
	expect(t, "other origin", x, acao, "", acam, "", acah, "", acac, "", aceh, "", acma, "")
}

func TestPreflightWildcards(t *testing.T) {
	all := &ir.CORS{AllowOrigins: []string{"*"}, AllowMethods: []string{"*"}, AllowHeaders: []string{"*"}, ExposeHeaders: []string{"*"}}
	x := preflight(t, all, "Origin", "https://a", acrm, "PUT", acrh, "x-a", acrh, "authorization")
	expect(t, "without credentials", x, acao, "*", acam, "PUT", acah, "x-a, authorization", acac, "", aceh, "*", acma, "5")

	with := *all
	with.AllowCredentials = true
	x = preflight(t, &with, "Origin", "https://a:1", acrm, "PUT")
	expect(t, "with credentials", x, acao, "https://a:1", acam, "PUT", acah, "", acac, "true", aceh, "")

	x = preflight(t, &ir.CORS{AllowOrigins: []string{"*"}}, "Origin", "null", acrm, "PUT")
	expect(t, "nothing but origins", x, acao, "*", acam, "", acah, "")
}

func TestNoPreflight(t *testing.T) {
	p := cors.New(strict)
	for name, x := range map[string]*filter.Exchange{
		"OPTIONS without origin": exchange("OPTIONS", acrm, "GET"),
		"OPTIONS without method": exchange("OPTIONS", "Origin", "https://www.foo.com"),
		"GET with method":        exchange("GET", "Origin", "https://www.foo.com", acrm, "GET"),
	} {
		if p.OnRequest(x) != filter.Continue || x.Local.Status != 0 {
			t.Errorf("%s was answered", name)
		}
	}
}

func TestSimpleRequest(t *testing.T) {
	x := simple(t, strict, nil, "Origin", "https://www.foo.com")
	expect(t, "allowed", x, acao, "https://www.foo.com", acac, "true", aceh, "x-header-3, x-header-4", acam, "", "Vary", "Origin")

	evil := []string{acao, "*", acac, "true", aceh, "x", acam, "DELETE", acah, "x", acma, "1", "Vary", "Accept"}
	x = simple(t, strict, evil, "Origin", "https://evil.com")
	expect(t, "not allowed", x, acao, "", acac, "", aceh, "", acam, "", acah, "", acma, "", "Vary", "Accept, Origin")

	x = simple(t, strict, evil, "Origin", "https://www.bar.com")
	expect(t, "replaced", x, acao, "https://www.bar.com", aceh, "x-header-3, x-header-4", acam, "")

	x = simple(t, strict, []string{"Vary", "accept, ORIGIN"})
	expect(t, "no origin", x, acao, "", "Vary", "accept, ORIGIN")

	x = simple(t, &ir.CORS{AllowOrigins: []string{"*"}}, nil, "Origin", "https://a")
	expect(t, "any", x, acao, "*", "Vary", "")

	x = simple(t, &ir.CORS{AllowOrigins: []string{"*"}, AllowCredentials: true}, nil, "Origin", "https://a")
	expect(t, "any with credentials", x, acao, "https://a", acac, "true", "Vary", "Origin")
}

// A header modifier that changes Origin does not change who asked.
func TestOriginIsTheClients(t *testing.T) {
	p := cors.New(strict)
	x := exchange("GET", "Origin", "https://www.foo.com")
	p.OnRequest(x)
	x.Req.Header.Set(httpmsg.NameOrigin, []byte("https://inner"))
	p.OnResponse(x)
	expect(t, "changed", x, acao, "https://www.foo.com")
}

func TestOrigins(t *testing.T) {
	for _, c := range []struct {
		allow, origin string
		want          bool
	}{
		{"https://a.com", "https://a.com", true},
		{"https://a.com", "HTTPS://A.com", true},
		{"https://A.com", "https://a.com", true},
		{"https://a.com", "http://a.com", false},
		{"https://a.com", "https://a.com:443", true},
		{"https://a.com:443", "https://a.com", true},
		{"http://a.com:80", "http://a.com", true},
		{"http://a.com", "http://a.com:8080", false},
		{"http://a.com:8080", "http://a.com:8080", true},
		{"http://a.com:8080", "http://a.com", false},
		{"https://a.com", "https://a.com.evil.org", false},
		{"https://a.com", "https://xa.com", false},
		{"https://a.com", "https://a.com/", false},
		{"https://*.a.com", "https://a.com", false},
		{"https://*.a.com", "https://.a.com", false},
		{"https://*.a.com", "https://xa.com", false},
		{"https://*.a.com", "https://x.y.a.com", true},
		{"https://*.a.com:8443", "https://x.a.com:8443", true},
		{"https://*.a.com:8443", "https://x.a.com", false},
		{"https://*.a.com", "https://evil.org/.a.com", false},
		{"https://*.a.com", "https://evil.org?.a.com", false},
		{"https://*.a.com", "https://evil.org#.a.com", false},
		{"https://*.a.com", "https://user@x.a.com", false},
		{"https://*.a.com", "https://evil.org:80.a.com", false},
		{"https://*.a.com", "https://x_y-z.a.com", true},
		{"https://*", "https://[::1]", true},
		{"https://*", "https://[::1/]", false},
		{"https://*", "https://a b", false},
		{"https://*", "https://anything", true},
		{"https://*", "http://anything", false},
		{"https://[::1]:8443", "https://[::1]:8443", true},
		{"https://[::1]", "https://[::1]:443", true},
		{"https://a.com", "null", false},
		{"https://a.com", "", false},
		{"*", "null", true},
	} {
		x := simple(t, &ir.CORS{AllowOrigins: []string{c.allow}, AllowCredentials: true}, nil, "Origin", c.origin)
		if got := x.Resp.Header.Has(httpmsg.NameAccessControlAllowOrigin); got != c.want {
			t.Errorf("%s allows %s: %v, want %v", c.allow, c.origin, got, c.want)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	p := cors.New(strict)
	x := exchange("GET", "Origin", "https://x.bar.com")
	if n := testing.AllocsPerRun(100, func() {
		x.Resp.Header.Reset()
		p.OnRequest(x)
		p.OnResponse(x)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzOrigin: an origin that is let in is one that net/url reads as one of those
// that are allowed.
func FuzzOrigin(f *testing.F) {
	for _, s := range []string{
		"https://www.foo.com", "HTTPS://WWW.FOO.COM:443", "https://a.bar.com", "https://evil.org/.bar.com", "https://evil.org?.bar.com", "https://[::1].bar.com",
		"http://foo.com:8080", "http://foo.com", "null", "https://www.foo.com:", "https://user@a.bar.com", "https://bar.com", "https://a.bar.com.",
	} {
		f.Add(s)
	}
	p := cors.New(&ir.CORS{AllowOrigins: []string{"https://www.foo.com", "https://*.bar.com", "http://foo.com:8080"}, AllowCredentials: true})
	f.Fuzz(func(t *testing.T, origin string) {
		x := exchange("GET", "Origin", origin)
		p.OnRequest(x)
		p.OnResponse(x)
		got := string(x.Resp.Header.AppendJoined(nil, httpmsg.LookupName([]byte(acao))))
		if got == "" {
			return
		}
		u, err := url.Parse(origin)
		if err != nil || got != origin || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
			t.Fatalf("%q is let in as %q: %+v, %v", origin, got, u, err)
		}
		host, port := strings.ToLower(u.Hostname()), u.Port()
		switch {
		case u.Scheme == "https" && (port == "" || port == "443") && (host == "www.foo.com" || strings.HasSuffix(host, ".bar.com")):
		case u.Scheme == "http" && port == "8080" && host == "foo.com":
		default:
			t.Fatalf("%q is let in", origin)
		}
	})
}
