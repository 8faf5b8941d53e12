package redirect_test

import (
	"net/netip"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/redirect"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

func exchange(scheme string, port uint16, host, path, query string) *filter.Exchange {
	x := &filter.Exchange{Match: &ir.Match{Path: ir.PathMatch{Type: ir.Prefix, Value: "/"}}}
	x.Req.Scheme, x.Req.Host, x.Req.Path = scheme, []byte(host), []byte(path)
	x.Req.Query, x.Req.HasQuery = []byte(query), query != ""
	x.LocalAddr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
	return x
}

func TestRedirect(t *testing.T) {
	prefix := &ir.PathModifier{Type: ir.Prefix, Value: "/new"}
	for _, c := range []struct {
		name string
		r    ir.Redirect
		x    *filter.Exchange
		want string
	}{
		{"status only", ir.Redirect{}, exchange("http", 80, "h", "/a", ""), "http://h/a"},
		{"query stays", ir.Redirect{}, exchange("http", 80, "h", "/a", "b=1"), "http://h/a?b=1"},
		{"hostname", ir.Redirect{Hostname: "new.example"}, exchange("http", 80, "h", "/a", ""), "http://new.example/a"},
		{"host header's port does not count", ir.Redirect{}, exchange("http", 80, "h:1234", "/", ""), "http://h/"},
		{"IPv6 host", ir.Redirect{}, exchange("http", 8080, "[::1]:80", "/", ""), "http://[::1]:8080/"},
		{"full path", ir.Redirect{Path: &ir.PathModifier{Type: ir.Exact, Value: "/x"}}, exchange("http", 80, "h", "/a", "q"), "http://h/x?q"},
		{"prefix", ir.Redirect{Path: prefix}, exchange("http", 80, "h", "/a", ""), "http://h/new/a"},
		{"OPTIONS *", ir.Redirect{Path: prefix}, exchange("http", 80, "h", "*", ""), "http://h"},

		// The Gateway API's conformance test for ports and schemes.
		{"80: no scheme, no port", ir.Redirect{}, exchange("http", 80, "h", "/", ""), "http://h/"},
		{"80: no scheme, 80", ir.Redirect{Port: 80}, exchange("http", 80, "h", "/", ""), "http://h/"},
		{"80: no scheme, 8080", ir.Redirect{Port: 8080}, exchange("http", 80, "h", "/", ""), "http://h:8080/"},
		{"80: https, no port", ir.Redirect{Scheme: "https"}, exchange("http", 80, "h", "/", ""), "https://h/"},
		{"80: https, 443", ir.Redirect{Scheme: "https", Port: 443}, exchange("http", 80, "h", "/", ""), "https://h/"},
		{"80: https, 8443", ir.Redirect{Scheme: "https", Port: 8443}, exchange("http", 80, "h", "/", ""), "https://h:8443/"},
		{"8080: no scheme, no port", ir.Redirect{}, exchange("http", 8080, "h", "/", ""), "http://h:8080/"},
		{"8080: no scheme, 80", ir.Redirect{Port: 80}, exchange("http", 8080, "h", "/", ""), "http://h/"},
		{"8080: https, no port", ir.Redirect{Scheme: "https"}, exchange("http", 8080, "h", "/", ""), "https://h/"},
		{"443: no scheme, no port", ir.Redirect{}, exchange("https", 443, "h", "/", ""), "https://h/"},
		{"443: no scheme, 443", ir.Redirect{Port: 443}, exchange("https", 443, "h", "/", ""), "https://h/"},
		{"443: no scheme, 8443", ir.Redirect{Port: 8443}, exchange("https", 443, "h", "/", ""), "https://h:8443/"},
		{"443: http, no port", ir.Redirect{Scheme: "http"}, exchange("https", 443, "h", "/", ""), "http://h/"},
		{"443: http, 80", ir.Redirect{Scheme: "http", Port: 80}, exchange("https", 443, "h", "/", ""), "http://h/"},
		{"443: http, 8080", ir.Redirect{Scheme: "http", Port: 8080}, exchange("https", 443, "h", "/", ""), "http://h:8080/"},
		{"443: no scheme, 80", ir.Redirect{Port: 80}, exchange("https", 443, "h", "/", ""), "https://h:80/"},
		{"unknown scheme has the listener's port", ir.Redirect{Scheme: "ftp"}, exchange("http", 8080, "h", "/", ""), "ftp://h:8080/"},
	} {
		if v := redirect.New(&c.r).OnRequest(c.x); v != filter.Reply || c.x.Local.Status != 302 || c.x.Local.Reason != filter.ReasonNone {
			t.Errorf("%s: verdict %v, status %d, reason %v", c.name, v, c.x.Local.Status, c.x.Local.Reason)
		}
		if got := string(c.x.Resp.Header.Get(httpmsg.NameLocation)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestStatus(t *testing.T) {
	for given, want := range map[int]int{0: 302, 301: 301, 302: 302, 303: 303, 307: 307, 308: 308, 200: 302} {
		x := exchange("http", 80, "h", "/", "")
		redirect.New(&ir.Redirect{Status: given}).OnRequest(x)
		if x.Local.Status != want {
			t.Errorf("%d: %d, want %d", given, x.Local.Status, want)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	x := exchange("http", 8080, "h", "/a/b/c", "q=1")
	r := redirect.New(&ir.Redirect{Hostname: "new.example", Path: &ir.PathModifier{Type: ir.Prefix, Value: "/v1"}})
	if n := testing.AllocsPerRun(100, func() {
		x.Req.Arena.Reset()
		x.Resp.Header.Reset()
		r.OnRequest(x)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
