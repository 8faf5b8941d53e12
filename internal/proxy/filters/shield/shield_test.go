package shield_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/accesslist"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/shield"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

type counts map[string]int

type counter struct {
	all  counts
	name string
}

func (c counter) Decided(d int) {
	if c.all != nil {
		c.all[c.name+" "+filter.DecisionNames()[d]]++
	}
}

// build makes a shield over some lists of addresses, "first-last", and User-Agents.
func build(t *testing.T, s ir.Shield, cors *ir.CORS, lists map[string]string) (*shield.Shield, counts) {
	t.Helper()
	var addresses []*ir.AddressList
	var agents []*ir.UserAgentList
	for name, value := range lists {
		policy := name[:strings.LastIndexByte(name, '/')]
		if strings.Contains(name, "/userAgents.") {
			agents = append(agents, &ir.UserAgentList{Name: name, Policy: policy, Substrings: strings.Fields(value)})
			continue
		}
		l := &ir.AddressList{Name: name, Policy: policy}
		for r := range strings.FieldsSeq(value) {
			if r == "broken" {
				l.Broken = true
				continue
			}
			first, last, _ := strings.Cut(r, "-")
			l.Ranges = append(l.Ranges, ir.AddressRange{First: netip.MustParseAddr(first), Last: netip.MustParseAddr(last)})
		}
		addresses = append(addresses, l)
	}
	d := accesslist.New()
	d.Apply(addresses, agents)
	c := counts{}
	return shield.New(&s, shield.Deps{Lists: d, CORS: cors, Policy: func(name string) filter.Decisions { return counter{c, name} }}), c
}

func request(method, client string, headers ...string) *filter.Exchange {
	x := &filter.Exchange{Client: netip.MustParseAddr(client)}
	x.Req.Method, x.Req.MethodID = []byte(method), httpmsg.LookupMethod([]byte(method))
	x.Req.Scheme, x.Req.Host, x.Req.Path = "https", []byte("app.example"), []byte("/x")
	for i := 0; i < len(headers); i += 2 {
		x.Req.Header.Add([]byte(headers[i]), []byte(headers[i+1]))
	}
	return x
}

func result(v filter.Verdict, x *filter.Exchange) string {
	if v == filter.Continue {
		return "pass"
	}
	return fmt.Sprintf("%d %s %s %s", x.Local.Status, x.Local.Reason, x.Policy, x.PolicyRule)
}

func TestAddresses(t *testing.T) {
	s, n := build(t, ir.Shield{DenyAddresses: []string{"d/a/addresses.deny", "d/b/addresses.deny"}, AllowAddresses: "d/a/addresses.allow"}, nil, map[string]string{
		"d/a/addresses.deny": "10.1.0.0-10.1.255.255", "d/b/addresses.deny": "192.0.2.1-192.0.2.1", "d/a/addresses.allow": "10.0.0.0-10.255.255.255 2001:db8::-2001:db8::ffff",
	})
	for client, want := range map[string]string{
		"10.2.0.1": "pass", "2001:db8::9": "pass",
		"10.1.0.1":       "403 AddressDenied d/a addresses.deny",
		"192.0.2.1":      "403 AddressDenied d/b addresses.deny",
		"203.0.113.1":    "403 AddressDenied d/a addresses.allow",
		"2001:db9::1":    "403 AddressDenied d/a addresses.allow",
		"::ffff:1.2.3.4": "403 AddressDenied d/a addresses.allow",
	} {
		x := request("GET", client)
		if got := result(s.OnRequest(x), x); got != want {
			t.Errorf("%s: %s, want %s", client, got, want)
		}
	}
	if n["d/a allowed"] != 2 || n["d/b allowed"] != 2 || n["d/a denied"] != 4 || n["d/b denied"] != 1 {
		t.Errorf("%v", n)
	}
}

// What is known of a list counts; what is not known lets nobody through.
func TestClosed(t *testing.T) {
	for _, c := range []struct {
		shield ir.Shield
		lists  map[string]string
		want   string
	}{
		{ir.Shield{Broken: "d/a"}, nil, "503 ShieldUnavailable d/a "},
		{ir.Shield{DenyAddresses: []string{"d/a/addresses.deny"}}, map[string]string{"d/a/addresses.deny": "broken"}, "503 ShieldUnavailable d/a addresses.deny"},
		{ir.Shield{DenyAddresses: []string{"d/a/addresses.deny"}}, map[string]string{"d/a/addresses.deny": "broken 10.0.0.1-10.0.0.1"}, "403 AddressDenied d/a addresses.deny"},
		{ir.Shield{AllowAddresses: "d/a/addresses.allow"}, map[string]string{"d/a/addresses.allow": "broken"}, "503 ShieldUnavailable d/a addresses.allow"},
		{ir.Shield{AllowAddresses: "d/a/addresses.allow"}, map[string]string{"d/a/addresses.allow": "broken 10.0.0.1-10.0.0.1"}, "pass"},
		{ir.Shield{AllowAddresses: "d/a/addresses.allow"}, nil, "503 ShieldUnavailable  "},
	} {
		s, _ := build(t, c.shield, nil, c.lists)
		x := request("GET", "10.0.0.1")
		if got := result(s.OnRequest(x), x); got != c.want {
			t.Errorf("%+v: %s, want %s", c.shield, got, c.want)
		}
	}
}

func TestUserAgents(t *testing.T) {
	s, _ := build(t, ir.Shield{DenyUserAgents: []string{"d/a/userAgents.deny"}, AllowUserAgents: "d/b/userAgents.allow", NoUserAgent: "d/b"}, nil,
		map[string]string{"d/a/userAgents.deny": "badbot", "d/b/userAgents.allow": "mozilla curl"})
	for agent, want := range map[string]string{
		"Mozilla/5.0": "pass", "Mozilla/5.0 BadBot": "403 UserAgentDenied d/a userAgents.deny",
		"wget": "403 UserAgentDenied d/b userAgents.allow", "": "403 UserAgentDenied d/b userAgents.missing",
	} {
		x := request("GET", "10.0.0.1", "User-Agent", agent)
		if got := result(s.OnRequest(x), x); got != want {
			t.Errorf("%q: %s, want %s", agent, got, want)
		}
	}
}

func TestCSRF(t *testing.T) {
	s, _ := build(t, ir.Shield{CSRF: &ir.CSRF{
		Policy: "d/a", TrustedOrigins: []string{"https://partner.example", "https://*.trusted.example:8443"},
		ExemptPaths: []ir.PathMatch{{Type: ir.Prefix, Value: "/hooks"}, {Type: ir.Exact, Value: "/callback"}},
	}}, &ir.CORS{AllowOrigins: []string{"https://spa.example"}}, nil)
	const refused = "403 CrossOriginRequest d/a csrf"
	for _, c := range []struct {
		method, path, want string
		headers            []string
	}{
		{"GET", "/x", "pass", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}},
		{"HEAD", "/x", "pass", []string{"Sec-Fetch-Site", "cross-site"}},
		{"OPTIONS", "/x", "pass", []string{"Origin", "https://evil.example"}},
		{"POST", "/x", "pass", nil},
		{"POST", "/x", "pass", []string{"Sec-Fetch-Site", "same-origin"}},
		{"POST", "/x", "pass", []string{"Sec-Fetch-Site", "none"}},
		{"POST", "/x", refused, []string{"Sec-Fetch-Site", "same-site"}},
		{"POST", "/x", refused, []string{"Sec-Fetch-Site", "cross-site"}},
		{"PUT", "/x", refused, []string{"Sec-Fetch-Site", "Same-Origin"}},
		// What the browser says of the site counts, whatever Origin is.
		{"DELETE", "/x", refused, []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://app.example"}},
		{"POST", "/x", "pass", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://partner.example"}},
		{"POST", "/x", "pass", []string{"Origin", "https://a.trusted.example:8443"}},
		{"POST", "/x", refused, []string{"Origin", "https://a.trusted.example"}},
		{"POST", "/x", "pass", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://spa.example"}},
		{"POST", "/x", "pass", []string{"Origin", "https://app.example"}},
		{"POST", "/x", "pass", []string{"Origin", "https://APP.example"}},
		{"POST", "/x", "pass", []string{"Origin", "https://app.example:443"}},
		{"POST", "/x", refused, []string{"Origin", "https://app.example:8443"}},
		{"POST", "/x", refused, []string{"Origin", "https://app.example.evil.example"}},
		{"POST", "/x", refused, []string{"Origin", "null"}},
		{"POST", "/x", refused, []string{"Origin", ""}},
		{"TRACE", "/x", refused, []string{"Sec-Fetch-Site", "cross-site"}},
		{"POST", "/hooks", "pass", []string{"Sec-Fetch-Site", "cross-site"}},
		{"POST", "/hooks/a", "pass", []string{"Sec-Fetch-Site", "cross-site"}},
		{"POST", "/hooksy", refused, []string{"Sec-Fetch-Site", "cross-site"}},
		{"POST", "/callback", "pass", []string{"Sec-Fetch-Site", "cross-site"}},
		{"POST", "/callback/a", refused, []string{"Sec-Fetch-Site", "cross-site"}},
	} {
		x := request(c.method, "10.0.0.1", c.headers...)
		x.Req.Path = []byte(c.path)
		if got := result(s.OnRequest(x), x); got != c.want {
			t.Errorf("%s %s %q: %s, want %s", c.method, c.path, c.headers, got, c.want)
		}
	}
	socket := request("GET", "10.0.0.1", "Origin", "https://evil.example")
	socket.Req.Upgrade = []byte("websocket")
	if got := result(s.OnRequest(socket), socket); got != refused {
		t.Errorf("a WebSocket: %s", got)
	}
}

func TestSecurityHeaders(t *testing.T) {
	set := []ir.Header{{Name: "X-Frame-Options", Value: "DENY"}, {Name: "X-New", Value: "1"}}
	for _, c := range []struct {
		headers ir.SecurityHeaders
		scheme  string
		forward string
		want    string
	}{
		{ir.SecurityHeaders{Set: set, StrictTransportSecurity: "max-age=1"}, "https", "", "X-Frame-Options=SAMEORIGIN Server=app X-New=1 Strict-Transport-Security=max-age=1"},
		{ir.SecurityHeaders{Set: set, StrictTransportSecurity: "max-age=1", Replace: true, Remove: []string{"Server"}}, "http", "", "X-Frame-Options=DENY X-New=1"},
		{ir.SecurityHeaders{StrictTransportSecurity: "max-age=1"}, "http", "https", "X-Frame-Options=SAMEORIGIN Server=app Strict-Transport-Security=max-age=1"},
	} {
		x := request("GET", "10.0.0.1")
		x.Req.Scheme = c.scheme
		if c.forward != "" {
			x.Req.Header.Add([]byte("X-Forwarded-Proto"), []byte(c.forward))
		}
		x.Resp.Header.Add([]byte("X-Frame-Options"), []byte("SAMEORIGIN"))
		x.Resp.Header.Add([]byte("Server"), []byte("app"))
		shield.NewHeaders(&c.headers).OnResponse(x)
		var got []string
		for i := range x.Resp.Header.Len() {
			f := x.Resp.Header.At(i)
			got = append(got, fmt.Sprintf("%s=%s", f.Name, f.Value))
		}
		if list := strings.Join(got, " "); list != c.want {
			t.Errorf("%+v:\n%s, want\n%s", c.headers, list, c.want)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	lists := accesslist.New()
	lists.Apply([]*ir.AddressList{{Name: "d/a/addresses.deny", Policy: "d/a"}}, []*ir.UserAgentList{{Name: "d/a/userAgents.deny", Policy: "d/a", Substrings: []string{"badbot"}}})
	s := shield.New(&ir.Shield{
		DenyAddresses: []string{"d/a/addresses.deny"}, DenyUserAgents: []string{"d/a/userAgents.deny"}, CSRF: &ir.CSRF{Policy: "d/a", TrustedOrigins: []string{"https://b.example"}},
	}, shield.Deps{Lists: lists, Policy: func(string) filter.Decisions { return counter{} }})
	h := shield.NewHeaders(&ir.SecurityHeaders{Set: []ir.Header{{Name: "X-Frame-Options", Value: "DENY"}}, StrictTransportSecurity: "max-age=1", Remove: []string{"Server"}})
	x := request("POST", "10.0.0.1", "User-Agent", "Mozilla/5.0", "Origin", "https://app.example")
	if n := testing.AllocsPerRun(100, func() {
		if s.OnRequest(x) != filter.Continue {
			t.Fatal("refused")
		}
		x.Resp.Reset()
		h.OnResponse(x)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whatever an Origin is, it passes only as that of the request or a trusted one.
func FuzzCSRF(f *testing.F) {
	f.Add("https://app.example", "", "app.example")
	f.Add("https://evil.example", "cross-site", "app.example:8443")
	f.Add("https://app.example@evil.example", "", "app.example")
	s, _ := buildForFuzz()
	f.Fuzz(func(t *testing.T, origin, site, host string) {
		if len(origin)+len(site)+len(host) > 1000 {
			return
		}
		x := request("POST", "10.0.0.1", "Origin", origin)
		x.Req.Host = []byte(host)
		if site != "" {
			x.Req.Header.Add([]byte("Sec-Fetch-Site"), []byte(site))
		}
		if s.OnRequest(x) == filter.Reply {
			return
		}
		_, rest, _ := strings.Cut(origin, "://")
		own := strings.EqualFold(rest, host) || strings.EqualFold(rest, host+":443") || strings.EqualFold(rest, host+":80") ||
			strings.EqualFold(rest+":443", host) || strings.EqualFold(rest+":80", host)
		if site != "same-origin" && site != "none" && (site != "" || !own) && !strings.EqualFold(origin, "https://partner.example") && !strings.EqualFold(origin, "https://partner.example:443") {
			t.Errorf("Origin %q, Sec-Fetch-Site %q to host %q passes", origin, site, host)
		}
	})
}

func buildForFuzz() (*shield.Shield, error) {
	d := accesslist.New()
	return shield.New(&ir.Shield{CSRF: &ir.CSRF{Policy: "d/a", TrustedOrigins: []string{"https://partner.example"}}},
		shield.Deps{Lists: d, Policy: func(name string) filter.Decisions { return counter{counts{}, name} }}), nil
}
