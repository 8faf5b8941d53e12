package snapshot

import (
	"net"
	"net/netip"
	"testing"

	"github.com/gridway/gridway/internal/ir"
)

// outlets are an outbound listener's, each with a protocol that names it.
func outlets(destinations, authorities map[string]ir.Protocol) *Outbound {
	o := &Outbound{destinations: map[netip.AddrPort]*Outlet{}, authorities: map[string]*Outlet{}}
	for at, p := range destinations {
		o.destinations[netip.MustParseAddrPort(at)] = &Outlet{Protocol: p}
	}
	for at, p := range authorities {
		o.authorities[at] = &Outlet{Protocol: p}
	}
	return o
}

func (o *Outlet) name() ir.Protocol {
	if o == nil {
		return ""
	}
	return o.Protocol
}

func TestDestination(t *testing.T) {
	o := outlets(map[string]ir.Protocol{"10.0.0.1:80": "a", "0.0.0.0:80": "any4", "[::]:80": "any6", "[fd00::1]:80": "b"}, nil)
	for to, want := range map[string]ir.Protocol{
		"10.0.0.1:80": "a", "10.0.0.2:80": "any4", "10.0.0.1:81": "", "[fd00::1]:80": "b", "[fd00::2]:80": "any6", "[fd00::1]:81": "",
	} {
		if got := o.Destination(netip.MustParseAddrPort(to)).name(); got != want {
			t.Errorf("%s: %q, want %q", to, got, want)
		}
	}
}

func TestAuthority(t *testing.T) {
	o := outlets(nil, map[string]ir.Protocol{
		"db": "any", "db:5432": "db", "web:80": "web", "[fd00::1]": "six", "[fd00::1]:81": "six81",
	})
	for authority, want := range map[string]ir.Protocol{
		"db": "any", "db:1": "any", "db:5432": "db", "web": "web", "web:80": "web", "web:81": "",
		"[fd00::1]": "six", "[fd00::1]:80": "six", "[fd00::1]:81": "six81", "": "", ":80": "", "d": "",
	} {
		if got := o.Authority([]byte(authority)).name(); got != want {
			t.Errorf("%q: %q, want %q", authority, got, want)
		}
	}
}

// The choice is made for each request of an HTTP proxy, and for each of a captured
// connection.
func TestChoiceAllocatesNothing(t *testing.T) {
	o := outlets(map[string]ir.Protocol{"10.0.0.1:80": "a"}, map[string]ir.Protocol{"reviews.shop:80": "b"})
	name, named, to := []byte("reviews.shop"), []byte("reviews.shop:9080"), netip.MustParseAddrPort("10.0.0.1:80")
	if n := testing.AllocsPerRun(100, func() {
		o.Authority(name)
		o.Authority(named)
		o.Destination(to)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzAuthority(f *testing.F) {
	for _, s := range []string{"db", "db:5432", "[fd00::1]:80", "[fd00::1]", "", ":", "a:b:c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, port := splitAuthority([]byte(s))
		wantHost, wantPort, err := net.SplitHostPort(s)
		if err == nil && (string(port) != wantPort || string(host) != wantHost && string(host) != "["+wantHost+"]") {
			t.Errorf("%q: %q %q, want %q %q", s, host, port, wantHost, wantPort)
		}
		if len(s) > maxAuthority { // no parser lets it through
			return
		}
		o := outlets(nil, map[string]ir.Protocol{string(host): "any"})
		if string(host) != "" && o.Authority([]byte(s)).name() != "any" {
			t.Errorf("%q is not taken by its host", s)
		}
		o = outlets(nil, map[string]ir.Protocol{s: "exact", string(host): "any"})
		if port != nil && o.Authority([]byte(s)).name() != "exact" && string(host) != s {
			t.Errorf("%q is not taken by itself", s)
		}
	})
}
