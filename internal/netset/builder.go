package netset

import (
	"cmp"
	"net/netip"
	"slices"
)

// Builder collects what a set has. The zero Builder is empty.
type Builder struct {
	v4 []span4
	v6 []span6
}

type span4 struct{ first, last uint32 }

type span6 struct{ first, last wide }

// Len is how many ranges were added.
func (b *Builder) Len() int { return len(b.v4) + len(b.v6) }

// Add adds a range. Both ends have to be of one family, and in order; otherwise
// nothing is added.
func (b *Builder) Add(r Range) {
	switch {
	case !r.valid():
	case is4(r.First) && is4(r.Last):
		b.v4 = append(b.v4, span4{key4(r.First), key4(r.Last)})
	default:
		b.v6 = append(b.v6, span6{key6(r.First), key6(r.Last)})
	}
}

// AddPrefix adds a network; bits behind its length do not count.
func (b *Builder) AddPrefix(p netip.Prefix) {
	if p.IsValid() {
		b.Add(ofPrefix(p))
	}
}

// AddSet adds all that another set has.
func (b *Builder) AddSet(s *Set) {
	for r := range s.All() {
		b.Add(r)
	}
}

// Set builds the set.
func (b *Builder) Set() *Set {
	return &Set{v4: newTable(bounds4(b.v4), nil), v6: newTable(bounds6(b.v6))}
}

// Of is the set of some networks.
func Of(prefixes ...netip.Prefix) *Set {
	var b Builder
	for _, p := range prefixes {
		b.AddPrefix(p)
	}
	return b.Set()
}

func bounds4(spans []span4) []uint32 {
	slices.SortFunc(spans, func(a, b span4) int { return cmp.Compare(a.first, b.first) })
	var out []uint32
	for i := 0; i < len(spans); {
		first, last := spans[i].first, spans[i].last
		for i++; i < len(spans) && (last == ^uint32(0) || spans[i].first <= last+1); i++ {
			last = max(last, spans[i].last)
		}
		out = append(out, first)
		if last != ^uint32(0) {
			out = append(out, last+1)
		}
	}
	return slices.Clip(out)
}

func bounds6(spans []span6) (keys, lows []uint64) {
	slices.SortFunc(spans, func(a, b span6) int {
		return cmp.Or(cmp.Compare(a.first.hi, b.first.hi), cmp.Compare(a.first.lo, b.first.lo))
	})
	add := func(w wide) { keys, lows = append(keys, w.hi), append(lows, w.lo) }
	for i := 0; i < len(spans); {
		first, last := spans[i].first, spans[i].last
		after, ok := last.next()
		for i++; i < len(spans) && (!ok || !after.less(spans[i].first)); i++ {
			if last.less(spans[i].last) {
				last = spans[i].last
				after, ok = last.next()
			}
		}
		add(first)
		if ok {
			add(after)
		}
	}
	return slices.Clip(keys), slices.Clip(lows)
}

// ofPrefix is a valid network as a range. One of IPv4 that is mapped into IPv6
// is one of IPv4.
func ofPrefix(p netip.Prefix) Range {
	a, length := p.Addr().WithZone(""), p.Bits()
	if a.Is4In6() && length >= 96 {
		a, length = a.Unmap(), length-96
	}
	if a.Is4() {
		host := uint32(1)<<(32-length) - 1
		n := key4(a)
		return Range{addr4(n &^ host), addr4(n | host)}
	}
	host := wide{^uint64(0) >> length, ^uint64(0)}
	if length > 64 {
		host = wide{0, ^uint64(0) >> (length - 64)}
	}
	n := key6(a)
	return Range{addr6(wide{n.hi &^ host.hi, n.lo &^ host.lo}), addr6(wide{n.hi | host.hi, n.lo | host.lo})}
}
