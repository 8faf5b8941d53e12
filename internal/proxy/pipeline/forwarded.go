package pipeline

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"strconv"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// hops are the forwarding proxies that may be believed, and what they say.
type hops struct {
	// trusted: the peer is one of them.
	trusted bool
	// addrs are the addresses that they vouch for, the nearest first; the last
	// is the client's.
	addrs []netip.Addr
	// proto and host are what the client's own Forwarded element says, if that
	// is the header to believe.
	proto, host []byte
}

// resolveClient finds the client behind the trusted hops. Only one family of
// headers is believed: proxies that maintain the one pass on what clients write
// into the other.
func (x *Exchange) resolveClient(c *ir.ClientPolicy) {
	x.Client = x.PeerAddr.Addr().Unmap()
	h := &x.hops
	*h = hops{addrs: h.addrs[:0]}
	var more func(netip.Addr) bool
	left := c.TrustedHops
	switch {
	case len(c.TrustedProxies) > 0:
		if !contains(c.TrustedProxies, x.Client) {
			return
		}
		more = func(a netip.Addr) bool { return contains(c.TrustedProxies, a) }
	case left > 0:
		more = func(netip.Addr) bool { left--; return left > 0 }
	default:
		return
	}
	h.trusted = true
	take := func(a netip.Addr) bool {
		x.Client = a
		h.addrs = append(h.addrs, a)
		return more(a)
	}
	if c.FromForwarded {
		x.eachForwarded(take)
	} else {
		x.eachForwardedFor(take)
	}
}

// forwardingHeaders sets what the upstream learns of the way here. A header that
// is not to be sent is removed: what is in it, nobody here vouches for.
func (x *Exchange) forwardingHeaders(c *ir.ClientPolicy) {
	h := &x.Req.Header
	xf := c.XForwarded
	standard := c.Forwarded
	// Each may be made of the other, so both are made before either is set.
	b := x.scratch[:0]
	if xf {
		b = x.appendForwardedFor(b, c)
	}
	split := len(b)
	if standard {
		b = x.appendForwarded(b, c)
	}
	x.scratch = b[:0]
	if xf {
		x.setXForwarded(c, b[:split])
	} else {
		for _, id := range xForwarded {
			h.Del(id)
		}
	}
	if standard {
		h.Set(httpmsg.NameForwarded, x.Req.Arena.Copy(b[split:]))
	} else {
		h.Del(httpmsg.NameForwarded)
	}
}

var xForwarded = [...]httpmsg.Name{
	httpmsg.NameXForwardedFor, httpmsg.NameXForwardedProto, httpmsg.NameXForwardedHost,
	httpmsg.NameXForwardedPort, httpmsg.NameXForwardedPrefix,
}

// appendForwardedFor appends the addresses from the client to the peer.
func (x *Exchange) appendForwardedFor(b []byte, c *ir.ClientPolicy) []byte {
	switch {
	case !x.hops.trusted:
	case !c.FromForwarded:
		if x.Req.Header.Has(httpmsg.NameXForwardedFor) {
			b = append(x.Req.Header.AppendJoined(b, httpmsg.NameXForwardedFor), ", "...)
		}
	default:
		for _, a := range slices.Backward(x.hops.addrs) {
			b = append(a.AppendTo(b), ", "...)
		}
	}
	return x.PeerAddr.Addr().Unmap().AppendTo(b)
}

func (x *Exchange) setXForwarded(c *ir.ClientPolicy, chain []byte) {
	h, arena := &x.Req.Header, &x.Req.Arena
	h.Set(httpmsg.NameXForwardedFor, arena.Copy(chain))
	kept := x.hops.trusted && !c.FromForwarded
	if !kept {
		h.Del(httpmsg.NameXForwardedPrefix)
	}
	if !kept || !h.Has(httpmsg.NameXForwardedProto) {
		proto := arena.CopyString(x.Req.Scheme)
		if x.hops.proto != nil {
			proto = x.hops.proto
		}
		h.Set(httpmsg.NameXForwardedProto, proto)
	}
	if !kept || !h.Has(httpmsg.NameXForwardedHost) {
		host := x.Req.Host
		if x.hops.host != nil {
			host = x.hops.host
		}
		h.Set(httpmsg.NameXForwardedHost, host)
	}
	if !kept || !h.Has(httpmsg.NameXForwardedPort) {
		h.Set(httpmsg.NameXForwardedPort, strconv.AppendUint(arena.Alloc(5)[:0], uint64(x.LocalAddr.Port()), 10))
	}
}

// appendForwarded appends the standard header, RFC 7239, with an element for
// each hop that is vouched for and one for the peer.
func (x *Exchange) appendForwarded(b []byte, c *ir.ClientPolicy) []byte {
	switch {
	case !x.hops.trusted:
	case c.FromForwarded:
		if x.Req.Header.Has(httpmsg.NameForwarded) {
			b = append(x.Req.Header.AppendJoined(b, httpmsg.NameForwarded), ", "...)
		}
	default:
		for _, a := range slices.Backward(x.hops.addrs) {
			b = append(appendNode(b, a), ", "...)
		}
	}
	b = appendNode(b, x.PeerAddr.Addr().Unmap())
	b = append(append(append(b, `;host="`...), x.Req.Host...), `";proto=`...)
	return append(b, x.Req.Scheme...)
}

func appendNode(b []byte, a netip.Addr) []byte {
	b = append(b, "for="...)
	if a.Is6() {
		return append(a.AppendTo(append(b, '"', '[')), ']', '"')
	}
	return a.AppendTo(b)
}

// eachForwardedFor calls f for the addresses of X-Forwarded-For, the nearest
// hop first, until f is false or an entry is not an address.
func (x *Exchange) eachForwardedFor(f func(netip.Addr) bool) {
	h := &x.Req.Header
	for i := h.Len() - 1; i >= 0; i-- {
		field := h.At(i)
		if field.ID != httpmsg.NameXForwardedFor {
			continue
		}
		v := field.Value
		for end := len(v); end >= 0; {
			start := bytes.LastIndexByte(v[:end], ',') + 1
			addr, err := parseHop(httpmsg.TrimOWS(v[start:end]))
			if err != nil || !f(addr) {
				return
			}
			end = start - 1
		}
	}
}

// eachForwarded calls f for the addresses of Forwarded, the nearest hop first,
// until f is false or an element has no address. It reads from the right: what
// is left of the trusted elements is the client's, and may be anything.
func (x *Exchange) eachForwarded(f func(netip.Addr) bool) {
	h := &x.Req.Header
	for i := h.Len() - 1; i >= 0; i-- {
		field := h.At(i)
		if field.ID != httpmsg.NameForwarded {
			continue
		}
		v := field.Value
		for end := len(v); end >= 0; {
			start := elementStart(v[:end])
			e := httpmsg.TrimOWS(v[start:end])
			end = start - 1
			if len(e) == 0 { // lists may have empty elements, RFC 9110 §5.6.1.2
				continue
			}
			addr, proto, host, err := parseElement(e)
			if err != nil {
				return
			}
			x.hops.proto, x.hops.host = proto, host
			if !f(addr) {
				return
			}
		}
	}
}

// elementStart finds where the last element of a list begins, past the last
// comma that is not quoted.
func elementStart(v []byte) int {
	quoted := false
	for i := len(v) - 1; i >= 0; i-- {
		switch {
		case v[i] == '"' && !escaped(v[:i]):
			quoted = !quoted
		case v[i] == ',' && !quoted:
			return i + 1
		}
	}
	return 0
}

// escaped tells whether what follows v is escaped by an odd number of backslashes.
func escaped(v []byte) bool {
	n := len(v) - len(bytes.TrimRight(v, `\`))
	return n%2 == 1
}

var errElement = errors.New("not an element of Forwarded with an address")

// parseElement reads one element of Forwarded, RFC 7239 §4. Proto and host are
// nil unless they are there and plain.
func parseElement(e []byte) (addr netip.Addr, proto, host []byte, err error) {
	for len(e) > 0 {
		name, rest, ok := bytes.Cut(e, []byte{'='})
		if !ok {
			return addr, nil, nil, errElement
		}
		var value []byte
		if value, e, ok = parameterValue(rest); !ok {
			return addr, nil, nil, errElement
		}
		switch name = httpmsg.TrimOWS(name); {
		case httpmsg.EqualFold(name, "for"):
			if addr.IsValid() { // no parameter occurs twice
				return netip.Addr{}, nil, nil, errElement
			}
			if addr, err = parseHop(value); err != nil { // "unknown", or an obfuscated name
				return netip.Addr{}, nil, nil, err
			}
		case httpmsg.EqualFold(name, "proto"):
			if httpmsg.EqualFold(value, "http") || httpmsg.EqualFold(value, "https") {
				proto = value
			}
		case httpmsg.EqualFold(name, "host"):
			if plainHost(value) {
				host = value
			}
		}
	}
	if !addr.IsValid() {
		err = errElement
	}
	return addr, proto, host, err
}

// parameterValue takes a value up to its semicolon, without its quotes. A value
// with escapes is no address, host or protocol, and is refused.
func parameterValue(b []byte) (value, rest []byte, ok bool) {
	if len(b) > 0 && b[0] == '"' {
		end := bytes.IndexByte(b[1:], '"') + 1
		if end == 0 || bytes.IndexByte(b[1:end], '\\') >= 0 {
			return nil, nil, false
		}
		value, rest = b[1:end], httpmsg.TrimOWS(b[end+1:])
		if len(rest) > 0 && rest[0] != ';' {
			return nil, nil, false
		}
		return value, bytes.TrimPrefix(rest, []byte{';'}), true
	}
	value, rest, _ = bytes.Cut(b, []byte{';'})
	value = httpmsg.TrimOWS(value)
	return value, rest, bytes.IndexByte(value, '"') < 0
}

func plainHost(b []byte) bool {
	for _, c := range b {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '-', c == '_', c == ':', c == '[', c == ']':
		default:
			return false
		}
	}
	return len(b) > 0 && len(b) <= 260
}

// parseHop reads "IP", "IP:port", "[IPv6]" or "[IPv6]:port".
func parseHop(b []byte) (netip.Addr, error) {
	const longest = len("[0000:0000:0000:0000:0000:0000:255.255.255.255]:65535")
	if len(b) > longest || bytes.IndexByte(b, '%') >= 0 { // a zone means nothing here
		return netip.Addr{}, errElement
	}
	s := string(b)
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap(), nil
	}
	if len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']' {
		s = s[1 : len(s)-1]
	}
	addr, err := netip.ParseAddr(s)
	return addr.Unmap(), err
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
