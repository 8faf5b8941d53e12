package proxyproto

import (
	"bytes"
	"net/netip"
	"strconv"
)

func parseV1(in []byte) (Header, int, error) {
	line := in[:min(len(in), MaxV1)]
	end := bytes.IndexAny(line, "\r\n")
	switch {
	case end < 0 && len(line) == MaxV1:
		return malformed("version 1 header longer than 107 bytes")
	case end < 0 || line[end] == '\r' && end+1 == len(line) && len(line) < MaxV1:
		return Header{}, 0, ErrMore
	case line[end] != '\r' || end+1 == len(line) || line[end+1] != '\n':
		return malformed("version 1 header does not end in CR LF")
	}
	if end < len(signature1) {
		return malformed("version 1 header without a protocol")
	}
	h := Header{Version: 1}
	fields := bytes.Split(line[len(signature1):end], []byte(" "))
	proto := string(fields[0])
	if proto == "UNKNOWN" { // §2.1: what follows on the line is ignored
		return h, end + 2, nil
	}
	if proto != "TCP4" && proto != "TCP6" {
		return malformed("version 1 protocol is not TCP4, TCP6 or UNKNOWN")
	}
	if len(fields) != 5 {
		return malformed("version 1 header needs two addresses and two ports, one space apart")
	}
	src, ok1 := parseAddr(fields[1], proto == "TCP4")
	dst, ok2 := parseAddr(fields[2], proto == "TCP4")
	if !ok1 || !ok2 {
		return malformed("version 1 address is not one of " + proto)
	}
	sport, ok1 := parsePort(fields[3])
	dport, ok2 := parsePort(fields[4])
	if !ok1 || !ok2 {
		return malformed("version 1 port is not a number from 0 to 65535")
	}
	h.Source, h.Destination = netip.AddrPortFrom(src, sport), netip.AddrPortFrom(dst, dport)
	return h, end + 2, nil
}

func parseAddr(b []byte, v4 bool) (netip.Addr, bool) {
	a, err := netip.ParseAddr(string(b))
	if err != nil || a.Is4() != v4 || a.Zone() != "" {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

// parsePort accepts what the specification does: no sign, no leading zero.
func parsePort(b []byte) (uint16, bool) {
	if len(b) == 0 || len(b) > 5 || b[0] == '0' && len(b) > 1 {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return uint16(n), n <= 65535
}

// AppendV1 appends a version 1 header to dst. Without two valid addresses it
// says UNKNOWN; if one is IPv4 and one IPv6, both are written as IPv6.
func AppendV1(dst []byte, source, destination netip.AddrPort) []byte {
	s, d, ok := sameFamily(source, destination)
	if !ok {
		return append(dst, "PROXY UNKNOWN\r\n"...)
	}
	if s.Is4() {
		dst = append(dst, "PROXY TCP4 "...)
	} else {
		dst = append(dst, "PROXY TCP6 "...)
	}
	dst = append(s.AppendTo(dst), ' ')
	dst = append(d.AppendTo(dst), ' ')
	dst = append(strconv.AppendUint(dst, uint64(source.Port()), 10), ' ')
	dst = strconv.AppendUint(dst, uint64(destination.Port()), 10)
	return append(dst, "\r\n"...)
}

// sameFamily brings two addresses to one family and drops zones.
func sameFamily(source, destination netip.AddrPort) (s, d netip.Addr, ok bool) {
	if !source.IsValid() || !destination.IsValid() {
		return s, d, false
	}
	s, d = source.Addr().Unmap().WithZone(""), destination.Addr().Unmap().WithZone("")
	if s.Is4() != d.Is4() {
		s, d = netip.AddrFrom16(s.As16()), netip.AddrFrom16(d.As16())
	}
	return s, d, true
}
