package netset_test

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/gridway/gridway/internal/netset"
)

func TestContains(t *testing.T) {
	set := netset.Of(
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.1.0.0/16"),
		netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("192.0.2.129/25"),
		netip.MustParsePrefix("255.255.255.0/24"), netip.MustParsePrefix("::ffff:203.0.113.0/120"),
		netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2001:db9::1/128"), netip.MustParsePrefix("ffff::/16"),
	)
	for address, want := range map[string]bool{
		"9.255.255.255": false, "10.0.0.0": true, "10.255.255.255": true, "11.0.0.0": false, "::ffff:10.9.9.9": true,
		"192.0.2.6": false, "192.0.2.7": true, "192.0.2.8": false, "192.0.2.128": true, "192.0.2.255": true,
		"255.255.255.255": true, "255.255.254.255": false, "0.0.0.0": false, "203.0.113.9": true, "::203.0.113.9": false,
		"2001:db8::": true, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff": true, "2001:db9::": false, "2001:db9::1": true, "2001:db9::2": false,
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": true, "fffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff": false, "::": false, "2001:db8::1%eth0": true,
	} {
		if got := set.Contains(netip.MustParseAddr(address)); got != want {
			t.Errorf("Contains(%s) = %t, want %t", address, got, want)
		}
	}
	if set.Contains(netip.Addr{}) {
		t.Error("no address at all is in the set")
	}
	if r, ok := set.Find(netip.MustParseAddr("10.1.2.3")); !ok || r.String() != "10.0.0.0/8" {
		t.Errorf("Find = %s, %t", r, ok)
	}
}

// All of a family, and nothing of the other.
func TestWholeFamilies(t *testing.T) {
	four, six := netset.Of(netip.MustParsePrefix("0.0.0.0/0")), netset.Of(netip.MustParsePrefix("::/0"))
	for _, a := range []string{"0.0.0.0", "128.1.2.3", "255.255.255.255", "::ffff:1.2.3.4"} {
		if addr := netip.MustParseAddr(a); !four.Contains(addr) || six.Contains(addr) {
			t.Errorf("%s is one of IPv4", a)
		}
	}
	for _, a := range []string{"::", "8000::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"} {
		if addr := netip.MustParseAddr(a); four.Contains(addr) || !six.Contains(addr) {
			t.Errorf("%s is one of IPv6", a)
		}
	}
}

func TestEmptySets(t *testing.T) {
	for _, set := range []*netset.Set{nil, {}, netset.Of()} {
		if set.Contains(netip.MustParseAddr("::1")) || set.Contains(netip.MustParseAddr("127.0.0.1")) || set.Len() != 0 || set.Bytes() != 0 {
			t.Error("an empty set has something")
		}
		for r := range set.All() {
			t.Errorf("an empty set has %s", r)
		}
	}
}

// What touches or overlaps becomes one range, at both ends of the addresses too.
func TestMerge(t *testing.T) {
	var b netset.Builder
	for _, s := range []string{
		"10.0.0.0/9", "10.128.0.0/9", "10.5.0.0/16", "0.0.0.0-0.0.0.9", "0.0.0.10", "255.255.255.255", "255.255.255.250-255.255.255.254",
		"::", "::1-::5", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124",
		"2001:db8:0:1::/64", "2001:db8::/64", "2001:db8:0:3::/64",
	} {
		r, err := netset.ParseRange(s)
		if err != nil {
			t.Fatal(err)
		}
		b.Add(r)
	}
	var got []string
	for r := range b.Set().All() {
		got = append(got, r.String())
	}
	want := []string{
		"0.0.0.0-0.0.0.10", "10.0.0.0/8", "255.255.255.250-255.255.255.255",
		"::-::5", "2001:db8::/63", "2001:db8:0:3::/64", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124",
	}
	if !slices.Equal(got, want) {
		t.Errorf("ranges are\n%v, want\n%v", got, want)
	}
}

// A set of many networks says of addresses in and around them what a search
// through the networks says.
func TestAgainstLinearSearch(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{1, 5, 17, 300, 3000} {
		prefixes := randomPrefixes(rnd, size)
		set := netset.Of(prefixes...)
		var again netset.Builder
		again.AddSet(set)
		copied := again.Set()
		for range 3000 {
			near := prefixes[rnd.IntN(len(prefixes))].Addr()
			if rnd.IntN(2) == 0 {
				near = around(near, rnd.IntN(5)-2)
			}
			want := slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(near) })
			if got := set.Contains(near); got != want {
				t.Fatalf("%d networks: Contains(%s) = %t", size, near, got)
			}
			if copied.Contains(near) != want {
				t.Fatalf("%d networks: a copy of the set says something else of %s", size, near)
			}
			r, found := set.Find(near)
			if found != want || found && (near.Less(r.First) || r.Last.Less(near)) {
				t.Fatalf("%d networks: Find(%s) = %s, %t", size, near, r, found)
			}
		}
	}
}

// around moves an address by so many steps, without leaving its family.
func around(a netip.Addr, steps int) netip.Addr {
	for ; steps > 0 && a.Next().IsValid(); steps-- {
		a = a.Next()
	}
	for ; steps < 0 && a.Prev().IsValid(); steps++ {
		a = a.Prev()
	}
	return a
}

// randomPrefixes are as lists have them: networks of all sizes, most of them
// small, IPv6 in the blocks that registries have.
func randomPrefixes(rnd *rand.Rand, n int) []netip.Prefix {
	out := make([]netip.Prefix, 0, n)
	for len(out) < n {
		var p netip.Prefix
		if rnd.IntN(2) == 0 {
			var b [4]byte
			binary.BigEndian.PutUint32(b[:], rnd.Uint32())
			p = netip.PrefixFrom(netip.AddrFrom4(b), 32-min(rnd.IntN(9), rnd.IntN(25)))
		} else {
			var b [16]byte
			binary.BigEndian.PutUint64(b[:8], rnd.Uint64())
			binary.BigEndian.PutUint64(b[8:], rnd.Uint64())
			b[0] = []byte{0x20, 0x24, 0x26, 0x28, 0x2a}[rnd.IntN(5)]
			b[1] &= 0x1f
			p = netip.PrefixFrom(netip.AddrFrom16(b), []int{32, 48, 48, 56, 64, 64, 64, 112, 128}[rnd.IntN(9)])
		}
		out = append(out, p.Masked())
	}
	return out
}

func TestContainsAllocatesNothing(t *testing.T) {
	set := netset.Of(randomPrefixes(rand.New(rand.NewPCG(3, 4)), 1000)...)
	four, six := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2a00::1")
	if n := testing.AllocsPerRun(100, func() { set.Contains(four); set.Contains(six) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
