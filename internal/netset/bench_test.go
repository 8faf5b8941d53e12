package netset_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/netset"
)

// The set beside the two usual ways: a search through sorted ranges, and a trie.
// Half of the addresses are inside.
func BenchmarkContains(b *testing.B) {
	for _, size := range []int{10, 1000, 100_000} {
		for _, family := range []string{"IPv4", "IPv6"} {
			rnd := rand.New(rand.NewPCG(5, 6))
			of := func(p netip.Prefix) bool { return p.Addr().Is4() != (family == "IPv4") }
			prefixes := slices.DeleteFunc(randomPrefixes(rnd, 2*size), of)
			addrs := make([]netip.Addr, 0, 1<<12)
			for len(addrs) < cap(addrs) {
				for _, p := range slices.DeleteFunc(randomPrefixes(rnd, 8), of) {
					addrs = append(addrs, prefixes[rnd.IntN(len(prefixes))].Addr(), p.Addr())
				}
			}
			benchmark(b, fmt.Sprintf("%s/%d", family, size), prefixes, addrs[:1<<12])
		}
	}
}

func benchmark(b *testing.B, name string, prefixes []netip.Prefix, addrs []netip.Addr) {
	set := netset.Of(prefixes...)
	ranges := slices.Collect(set.All())
	search := func(a netip.Addr) bool {
		i := sort.Search(len(ranges), func(i int) bool { return a.Less(ranges[i].First) })
		return i > 0 && !ranges[i-1].Last.Less(a)
	}
	for way, has := range map[string]func(netip.Addr) bool{"set": set.Contains, "ranges": search, "trie": newTrie(prefixes).contains} {
		b.Run(name+"/"+way, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				has(addrs[i&(len(addrs)-1)])
			}
			if way == "set" {
				b.ReportMetric(float64(set.Bytes())/float64(len(prefixes)), "B/prefix")
			}
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	prefixes := randomPrefixes(rand.New(rand.NewPCG(7, 8)), 100_000)
	var text strings.Builder
	for _, p := range prefixes {
		fmt.Fprintln(&text, p)
	}
	list := []byte(text.String())
	b.ReportAllocs()
	for b.Loop() {
		var builder netset.Builder
		if err := builder.AddList(list); err != nil {
			b.Fatal(err)
		}
		builder.Set()
	}
}

// trie is a binary one, a node for each bit.
type trie struct{ four, six *node }

type node struct {
	child [2]*node
	full  bool
}

func newTrie(prefixes []netip.Prefix) *trie {
	t := &trie{four: &node{}, six: &node{}}
	for _, p := range prefixes {
		n := t.root(p.Addr())
		raw := p.Addr().AsSlice()
		for i := range p.Bits() {
			bit := raw[i/8] >> (7 - i%8) & 1
			if n.child[bit] == nil {
				n.child[bit] = &node{}
			}
			n = n.child[bit]
		}
		n.full = true
	}
	return t
}

func (t *trie) root(a netip.Addr) *node {
	if a.Is4() {
		return t.four
	}
	return t.six
}

func (t *trie) contains(a netip.Addr) bool {
	n := t.root(a)
	raw, skip := a.As16(), 0
	if a.Is4() {
		skip = 96
	}
	for i := skip; n != nil; i++ {
		if n.full {
			return true
		}
		if i == 128 {
			return false
		}
		n = n.child[raw[i/8]>>(7-i%8)&1]
	}
	return false
}
