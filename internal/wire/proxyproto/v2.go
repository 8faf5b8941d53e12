package proxyproto

import (
	"encoding/binary"
	"net/netip"
)

// Version, command, family and protocol bytes of §2.2.
const (
	v2Local   = 0x20
	v2Proxy   = 0x21
	v2Unspec  = 0x00
	v2TCP4    = 0x11
	v2UDP4    = 0x12
	v2TCP6    = 0x21
	v2UDP6    = 0x22
	v2Unix    = 0x31
	v2UnixDgr = 0x32

	v2Fixed   = 16
	addrsTCP4 = 12
	addrsTCP6 = 36
	addrsUnix = 216
)

func parseV2(in []byte) (Header, int, error) {
	// Refuse as early as the bytes tell, so that nothing wrong is waited for.
	if len(in) > 12 && in[12] != v2Local && in[12] != v2Proxy {
		return malformed("version 2 header with an unknown version or command")
	}
	if len(in) < v2Fixed {
		return Header{}, 0, ErrMore
	}
	length := int(binary.BigEndian.Uint16(in[14:]))
	total := v2Fixed + length
	if total > MaxV2 {
		return malformed("version 2 header longer than 4096 bytes")
	}
	need, ok := v2AddrLen(in[13])
	if in[12] == v2Proxy {
		if !ok {
			return malformed("version 2 header with an unknown address family or protocol")
		}
		if length < need {
			return malformed("version 2 header too short for its addresses")
		}
	}
	if len(in) < total {
		return Header{}, 0, ErrMore
	}
	h := Header{Version: 2}
	if in[12] == v2Local { // §2.2: the receiver must ignore the addresses, and the family
		h.Local = true
		return h, total, nil
	}
	a := in[v2Fixed:total]
	switch in[13] {
	case v2TCP4:
		h.Source = addrPort4(a[0:4], a[8:10])
		h.Destination = addrPort4(a[4:8], a[10:12])
	case v2TCP6:
		h.Source = addrPort6(a[0:16], a[32:34])
		h.Destination = addrPort6(a[16:32], a[34:36])
	}
	return h, total, nil
}

// v2AddrLen is how many bytes the addresses of a family take.
func v2AddrLen(family byte) (int, bool) {
	switch family {
	case v2Unspec:
		return 0, true
	case v2TCP4, v2UDP4:
		return addrsTCP4, true
	case v2TCP6, v2UDP6:
		return addrsTCP6, true
	case v2Unix, v2UnixDgr:
		return addrsUnix, true
	}
	return 0, false
}

func addrPort4(a, port []byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a)), binary.BigEndian.Uint16(port))
}

func addrPort6(a, port []byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(a)).Unmap(), binary.BigEndian.Uint16(port))
}

// AppendV2 appends a version 2 header without TLVs to dst. Without two valid
// addresses the command is LOCAL; if one is IPv4 and one IPv6, both are written
// as IPv6.
func AppendV2(dst []byte, source, destination netip.AddrPort) []byte {
	dst = append(dst, signature2...)
	s, d, ok := sameFamily(source, destination)
	switch {
	case !ok:
		return append(dst, v2Local, v2Unspec, 0, 0)
	case s.Is4():
		dst = append(dst, v2Proxy, v2TCP4, 0, addrsTCP4)
		s4, d4 := s.As4(), d.As4()
		dst = append(append(dst, s4[:]...), d4[:]...)
	default:
		dst = append(dst, v2Proxy, v2TCP6, 0, addrsTCP6)
		s6, d6 := s.As16(), d.As16()
		dst = append(append(dst, s6[:]...), d6[:]...)
	}
	dst = binary.BigEndian.AppendUint16(dst, source.Port())
	return binary.BigEndian.AppendUint16(dst, destination.Port())
}
