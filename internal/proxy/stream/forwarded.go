package stream

import (
	"bytes"
	"net/netip"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// ParseSource reads the client that a value of Forwarded names first (RFC 7239 §4): its
// parameter "for", an address with or without a port, of which IPv6 is in brackets. It
// is zero for anything else.
func ParseSource(value []byte) netip.AddrPort {
	element, _, _ := bytes.Cut(value, []byte(","))
	for len(element) > 0 {
		var pair []byte
		pair, element, _ = bytes.Cut(element, []byte(";"))
		name, node, _ := bytes.Cut(httpmsg.TrimOWS(pair), []byte("="))
		if !httpmsg.EqualFold(name, "for") {
			continue
		}
		if n := len(node); n >= 2 && node[0] == '"' && node[n-1] == '"' {
			node = node[1 : n-1]
		}
		return parseNode(string(node))
	}
	return netip.AddrPort{}
}

func parseNode(s string) netip.AddrPort {
	const longest = len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535")
	if len(s) > longest {
		return netip.AddrPort{}
	}
	if ap, err := netip.ParseAddrPort(s); err == nil && ap.Addr().Zone() == "" {
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	if n := len(s); n > 2 && s[0] == '[' && s[n-1] == ']' {
		s = s[1 : n-1]
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.AddrPortFrom(a.Unmap(), 0)
	}
	return netip.AddrPort{}
}
