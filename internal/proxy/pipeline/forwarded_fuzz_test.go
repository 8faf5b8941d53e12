package pipeline

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// FuzzForwarded: whatever clients write into the forwarding headers, as many hops
// are believed as were configured; and who reads what is passed on, with this
// proxy as one more hop, finds the same client.
func FuzzForwarded(f *testing.F) {
	for _, s := range []string{
		"192.0.2.1", "192.0.2.1, 10.0.0.1:5000,10.0.0.2", `for=192.0.2.1;proto=https;host="a.example:80", for="[2001:db8::1]:7";by=x`,
		`for=unknown, for=_hidden`, `for="192.0.2.1", a="b\",c"`, "[2001:db8::1]", "::ffff:192.0.2.1", "fe80::1%eth0", ",,", `"`, "for=1.2.3.4;for=5.6.7.8",
	} {
		f.Add([]byte(s), uint8(2))
	}
	f.Fuzz(func(t *testing.T, value []byte, hops uint8) {
		for _, standard := range []bool{false, true} {
			c := ir.ClientPolicy{TrustedHops: int(hops) % 5, FromForwarded: standard, XForwarded: true, Forwarded: true}
			x := forwardedExchange(value)
			x.resolveClient(&c)
			if !x.Client.IsValid() || x.Client.Is4In6() || x.Client.Zone() != "" || len(x.hops.addrs) > c.TrustedHops || x.hops.trusted != (c.TrustedHops > 0) {
				t.Fatalf("%q, %d hops: client %v of %v", value, c.TrustedHops, x.Client, x.hops.addrs)
			}
			client := x.Client
			x.forwardingHeaders(&c)
			h := &x.Req.Header
			for _, id := range []httpmsg.Name{httpmsg.NameXForwardedFor, httpmsg.NameForwarded, httpmsg.NameXForwardedProto, httpmsg.NameXForwardedHost, httpmsg.NameXForwardedPort} {
				if h.Count(id) != 1 {
					t.Fatalf("%q: %s is there %d times", value, id, h.Count(id))
				}
			}
			if p := h.Get(httpmsg.NameXForwardedProto); c.TrustedHops == 0 && string(p) != "https" || len(p) == 0 {
				t.Fatalf("%q: protocol %q", value, p)
			}
			for _, read := range []bool{false, true} {
				next := forwardedExchange()
				for _, id := range []httpmsg.Name{httpmsg.NameXForwardedFor, httpmsg.NameForwarded} {
					next.Req.Header.AddID(id, bytes.Clone(h.Get(id)))
				}
				next.resolveClient(&ir.ClientPolicy{TrustedHops: c.TrustedHops + 1, FromForwarded: read})
				if next.Client != client {
					t.Fatalf("%q, %d hops, standard %v: client %v, but who reads %q, standard %v, finds %v",
						value, c.TrustedHops, standard, client, next.Req.Header.Get(httpmsg.NameForwarded), read, next.Client)
				}
			}
		}
	})
}

func forwardedExchange(values ...[]byte) *Exchange {
	x := &Exchange{}
	x.PeerAddr, x.LocalAddr = netip.MustParseAddrPort("203.0.113.9:4000"), netip.MustParseAddrPort("203.0.113.1:443")
	x.Req.Host, x.Req.Scheme = []byte("a.example"), "https"
	for _, v := range values {
		x.Req.Header.AddID(httpmsg.NameXForwardedFor, v)
		x.Req.Header.AddID(httpmsg.NameForwarded, v)
	}
	return x
}
