package netx

import (
	"encoding/binary"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Send sends datagrams without waiting, at most BatchSize, and returns how many
// were taken. Where the socket has many addresses, Local of each says from which
// it is to go. The batch is scratch space, and may be the one that they are in.
func (d *Datagrams) Send(b *Batch, packets []Packet) (int, error) {
	packets = packets[:min(len(packets), BatchSize)]
	for i := range packets {
		b.address(i, &packets[i], d)
	}
	var n int
	var err error
	if cerr := d.sock.Control(func(fd uintptr) { n, err = sendNow(fd, b, len(packets)) }); cerr != nil {
		return 0, cerr
	}
	return n, err
}

func sendNow(fd uintptr, b *Batch, count int) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&b.heads)), uintptr(count), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
			continue
		}
		return 0, os.NewSyscallError("sendmmsg", errno)
	}
}

// address fills in what the system needs to know of a datagram to send.
func (b *Batch) address(i int, p *Packet, d *Datagrams) {
	v := &b.vectors[i]
	v.Base = unsafe.SliceData(p.Data)
	v.SetLen(len(p.Data))
	h := &b.heads[i].head
	*h = syscall.Msghdr{Iov: v}
	h.Iovlen = 1
	if p.Remote.IsValid() {
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Namelen = d.name(&b.names[i], p.Remote)
	}
	if d.infos && p.Local.IsValid() {
		h.Control = &b.controls[i][0]
		h.SetControllen(b.controls[i].set(p.Local, d.v6))
	}
}

// name writes a socket address of the socket's family and returns its length.
func (d *Datagrams) name(sa *syscall.RawSockaddrInet6, to netip.AddrPort) uint32 {
	if !d.v6 {
		in := (*syscall.RawSockaddrInet4)(unsafe.Pointer(sa))
		*in = syscall.RawSockaddrInet4{Family: syscall.AF_INET, Port: swapped(to.Port()), Addr: to.Addr().Unmap().As4()}
		return syscall.SizeofSockaddrInet4
	}
	*sa = syscall.RawSockaddrInet6{Family: syscall.AF_INET6, Port: swapped(to.Port()), Addr: to.Addr().As16()}
	if zone := to.Addr().Zone(); zone != "" {
		sa.Scope_id = zoneNumber(zone)
	}
	return syscall.SizeofSockaddrInet6
}

func zoneNumber(zone string) (n uint32) {
	for _, c := range zone {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + uint32(c-'0')
	}
	return n
}

const (
	controlHead = syscall.SizeofCmsghdr
	infoSize4   = 12 // struct in_pktinfo
	infoSize6   = 20 // struct in6_pktinfo
)

// set writes the address to send from and returns the length of the message.
func (c *control) set(from netip.Addr, v6 bool) int {
	*c = control{}
	h := (*syscall.Cmsghdr)(unsafe.Pointer(c))
	if !v6 { // ipi_ifindex, ipi_spec_dst, ipi_addr
		h.Level, h.Type = syscall.IPPROTO_IP, syscall.IP_PKTINFO
		h.SetLen(controlHead + infoSize4)
		a := from.Unmap().As4()
		copy(c[controlHead+4:], a[:])
		return syscall.CmsgSpace(infoSize4)
	}
	h.Level, h.Type = syscall.IPPROTO_IPV6, syscall.IPV6_PKTINFO
	h.SetLen(controlHead + infoSize6)
	a := from.As16()
	copy(c[controlHead:], a[:])
	if zone := from.Zone(); zone != "" {
		binary.NativeEndian.PutUint32(c[controlHead+16:], zoneNumber(zone))
	}
	return syscall.CmsgSpace(infoSize6)
}

// local reads the address that a datagram was sent to, of n bytes of messages.
func (c *control) local(n int) netip.Addr {
	h := (*syscall.Cmsghdr)(unsafe.Pointer(c))
	switch {
	case n >= controlHead+infoSize4 && h.Level == syscall.IPPROTO_IP && h.Type == syscall.IP_PKTINFO:
		return netip.AddrFrom4([4]byte(c[controlHead+4:]))
	case n >= controlHead+infoSize6 && h.Level == syscall.IPPROTO_IPV6 && h.Type == syscall.IPV6_PKTINFO:
		return netip.AddrFrom16([16]byte(c[controlHead:])).Unmap()
	}
	return netip.Addr{}
}
