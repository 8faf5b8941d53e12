package compile

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Services without addresses of their own get virtual ones, which nothing on any
// network has: what a client sends there is captured by its proxy. They follow from
// the name alone, as far as no other Service has the same, so that control planes
// agree on them and clients may remember them.

var (
	// virtual4 is in what RFC 1112 §4 reserves ("class E").
	virtual4 = netip.MustParsePrefix("240.240.0.0/16")
	// virtual6 is a unique local prefix (RFC 4193): the bytes after fd are "gridway".
	virtual6 = netip.MustParsePrefix("fd67:7269:6477:6179::/64")
)

// maxVirtual4 is how many of the addresses of virtual4 are given: with more of them
// taken, finding a free one takes long. Services beyond have one of IPv6 alone.
const maxVirtual4 = 50_000

// serviceAddresses are the addresses of c.next.services, in order.
func (c *compiler) serviceAddresses() [][]netip.Addr {
	if c.prev != nil && c.prev.addressed && slices.EqualFunc(c.prev.services, c.next.services, func(a, b *serviceState) bool {
		return a.object.Key == b.object.Key && a.headless == b.headless && slices.Equal(a.own, b.own)
	}) {
		c.next.addresses, c.next.addressed = c.prev.addresses, true
		return c.next.addresses
	}
	v := virtualAddresses{taken: map[netip.Addr]bool{}}
	for _, ss := range c.next.services {
		for _, a := range ss.own {
			v.taken[a] = true
		}
	}
	out := make([][]netip.Addr, len(c.next.services))
	for i, ss := range c.next.services {
		switch {
		case ss.headless:
		case len(ss.own) > 0:
			out[i] = ss.own
		default:
			out[i] = v.next(ss.object.Key.Namespace + "/" + ss.object.Key.Name)
		}
	}
	c.next.addresses, c.next.addressed = out, true
	return out
}

// virtualAddresses gives addresses to names, in the order of the names. A name that
// meets another one goes on to a place that follows from the name, too, and not to
// the next: so only names that meet each other depend on each other.
type virtualAddresses struct {
	taken map[netip.Addr]bool
	count int
}

func (v *virtualAddresses) next(name string) []netip.Addr {
	var out []netip.Addr
	if v.count < maxVirtual4 {
		v.count++
		out = append(out, v.find(name, func(h uint64) (netip.Addr, bool) {
			b := virtual4.Addr().As4()
			binary.BigEndian.PutUint16(b[2:], uint16(h>>48))
			return netip.AddrFrom4(b), b[3] != 0 && b[3] != 255 // what looks like the end of a network confuses people
		}))
	}
	return append(out, v.find(name, func(h uint64) (netip.Addr, bool) {
		b := virtual6.Addr().As16()
		binary.BigEndian.PutUint64(b[8:], h)
		return netip.AddrFrom16(b), h != 0
	}))
}

func (v *virtualAddresses) find(name string, address func(hash uint64) (netip.Addr, bool)) netip.Addr {
	d := xxhash.New()
	var round [4]byte
	for i := uint32(0); ; i++ {
		d.Reset()
		_, _ = d.WriteString(name)
		if i > 0 {
			binary.BigEndian.PutUint32(round[:], i)
			_, _ = d.Write(round[:])
		}
		if a, good := address(d.Sum64()); good && !v.taken[a] {
			v.taken[a] = true
			return a
		}
	}
}
