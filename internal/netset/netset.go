// Package netset holds sets of IP networks, as lists of allowed and refused
// addresses have them, and tells in nanoseconds whether an address is in one.
//
// A set is immutable and may be shared by everybody. It has no goroutines. It
// imports nothing of Gridway; anybody may import it.
//
// A set is kept as the sorted addresses at which it begins and ends: an address
// is inside where an odd number of them lies at or below it. An index by the
// leading bits bounds the search to a few of them, so that a large set costs
// hardly more than a small one. Networks that overlap or touch become one.
package netset

import (
	"encoding/binary"
	"iter"
	"net/netip"
)

// Range is a stretch of addresses of one family, both ends included.
type Range struct {
	First, Last netip.Addr
}

// String is the network, where the range is one, or both ends.
func (r Range) String() string {
	if p, ok := r.prefix(); ok {
		if p.IsSingleIP() {
			return p.Addr().String()
		}
		return p.String()
	}
	return r.First.String() + "-" + r.Last.String()
}

// valid tells whether both ends are addresses of one family, and in order.
func (r Range) valid() bool {
	switch {
	case !r.First.IsValid() || !r.Last.IsValid():
		return false
	case is4(r.First) && is4(r.Last):
		return key4(r.First) <= key4(r.Last)
	case r.First.Is4() || r.Last.Is4():
		return false
	default:
		return !key6(r.Last).less(key6(r.First))
	}
}

// prefix returns the network that the range is, if it is one.
func (r Range) prefix() (netip.Prefix, bool) {
	for bits := r.First.BitLen(); bits >= 0; bits-- {
		p := netip.PrefixFrom(r.First, bits)
		if p.Masked().Addr() != r.First {
			return netip.Prefix{}, false
		}
		if ofPrefix(p).Last == r.Last {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

// Set is a set of addresses. The nil Set and the zero Set are empty.
type Set struct {
	v4 table[uint32]
	v6 table[uint64]
}

// Contains tells whether the set has the address. An IPv4 address that is mapped
// into IPv6 is taken as the IPv4 address; zones do not count. It allocates nothing.
func (s *Set) Contains(a netip.Addr) bool {
	if s == nil {
		return false
	}
	if is4(a) {
		return s.v4.rank(key4(a), 0)&1 == 1
	}
	w := key6(a)
	return a.IsValid() && s.v6.rank(w.hi, w.lo)&1 == 1
}

// Find returns the range of the set that has the address: all networks that
// overlap or touch there, taken together.
func (s *Set) Find(a netip.Addr) (Range, bool) {
	if !s.Contains(a) {
		return Range{}, false
	}
	if is4(a) {
		return s.range4(s.v4.rank(key4(a), 0) - 1), true
	}
	w := key6(a)
	return s.range6(s.v6.rank(w.hi, w.lo) - 1), true
}

// Len is how many ranges the set has, after those that overlap or touch became one.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return s.v4.len() + s.v6.len()
}

// Bytes is the memory that the set takes.
func (s *Set) Bytes() int {
	if s == nil {
		return 0
	}
	return s.v4.bytes() + s.v6.bytes()
}

// All yields the ranges, those of IPv4 first, in the order of their addresses.
func (s *Set) All() iter.Seq[Range] {
	return func(yield func(Range) bool) {
		if s == nil {
			return
		}
		for i := 0; i < len(s.v4.keys); i += 2 {
			if !yield(s.range4(i)) {
				return
			}
		}
		for i := 0; i < len(s.v6.keys); i += 2 {
			if !yield(s.range6(i)) {
				return
			}
		}
	}
}

// range4 is the range that begins at the bound with this even number.
func (s *Set) range4(i int) Range {
	last := ^uint32(0)
	if i+1 < len(s.v4.keys) {
		last = s.v4.keys[i+1] - 1
	}
	return Range{addr4(s.v4.keys[i]), addr4(last)}
}

func (s *Set) range6(i int) Range {
	last := wide{^uint64(0), ^uint64(0)}
	if i+1 < len(s.v6.keys) {
		last = wide{s.v6.keys[i+1], s.v6.lows[i+1]}.before()
	}
	return Range{addr6(wide{s.v6.keys[i], s.v6.lows[i]}), addr6(last)}
}

// is4 tells whether the address is one of IPv4, or such a one mapped into IPv6.
func is4(a netip.Addr) bool { return a.Is4() || a.Is4In6() }

func key4(a netip.Addr) uint32 {
	b := a.Unmap().As4()
	return binary.BigEndian.Uint32(b[:])
}

// wide is an IPv6 address as a number.
type wide struct{ hi, lo uint64 }

func key6(a netip.Addr) wide {
	b := a.As16()
	return wide{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (w wide) less(v wide) bool { return w.hi < v.hi || w.hi == v.hi && w.lo < v.lo }

// next is the number after w; ok is false where there is none.
func (w wide) next() (n wide, ok bool) {
	n = wide{w.hi, w.lo + 1}
	if n.lo == 0 {
		n.hi++
	}
	return n, n != wide{}
}

func (w wide) before() wide {
	if w.lo == 0 {
		w.hi--
	}
	w.lo--
	return w
}

func addr4(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

func addr6(w wide) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], w.hi)
	binary.BigEndian.PutUint64(b[8:], w.lo)
	return netip.AddrFrom16(b)
}
