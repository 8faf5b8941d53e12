package netx

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// OriginalDestination is where the client of an accepted connection meant to go
// before the kernel redirected it (netfilter's REDIRECT or DNAT); ok is false for
// a connection that was not redirected, or that has no socket. It costs one or two
// system calls.
func (c *Conn) OriginalDestination() (to netip.AddrPort, ok bool) {
	if c.raw == nil {
		return to, false
	}
	local := c.LocalAddrPort()
	// A control failure is of a connection that is closed already.
	_ = c.raw.Control(func(fd uintptr) { to, ok = originalDestination(int(fd), local.Addr().Is4()) })
	return to, ok && to != local
}

// originalDestination asks the tracking of connections. Connections of IPv4 have
// their addresses as such there, also those of sockets of both families. The
// structures that are read have the size of a sockaddr and a little more.
func originalDestination(fd int, v4 bool) (netip.AddrPort, bool) {
	if v4 {
		in, err := unix.GetsockoptIPv6Mreq(fd, unix.SOL_IP, unix.SO_ORIGINAL_DST)
		if err != nil {
			return netip.AddrPort{}, false
		}
		b := in.Multiaddr // sockaddr_in: family, port, address
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), binary.BigEndian.Uint16(b[2:])), true
	}
	in, err := unix.GetsockoptIPv6MTUInfo(fd, unix.SOL_IPV6, unix.SO_ORIGINAL_DST)
	if err != nil {
		return netip.AddrPort{}, false
	}
	var port [2]byte // in the order of the network
	binary.NativeEndian.PutUint16(port[:], in.Addr.Port)
	return netip.AddrPortFrom(netip.AddrFrom16(in.Addr.Addr), binary.BigEndian.Uint16(port[:])), true
}
