package lb

import "math/bits"

// maglev is the lookup table of Maglev hashing (Eisenbud et al., NSDI 2016,
// §3.4), with weights.
type maglev struct {
	owners []int32 // positions in tier.all
}

// Table sizes by default. A change of size moves most keys, so there are few of
// them, far apart: at least 16 places per member up to 4,096 members, then 5.
var maglevSizes = [...]int{65537, 524309, 4194319, 33554467}

// maxMaglev bounds what configuration may ask for: 64 MiB a table.
const maxMaglev = 1 << 24

func maglevSize(want, members int) int {
	if want > 0 {
		return nextPrime(max(min(want, maxMaglev), members, 2))
	}
	switch {
	case members <= 4096:
		return maglevSizes[0]
	case members <= 104857:
		return maglevSizes[1]
	case members <= 838861:
		return maglevSizes[2]
	}
	return max(maglevSizes[3], nextPrime(members))
}

func newMaglev(v *View, all []int32) *maglev {
	size := maglevSize(v.cfg.Balance.RingSize, len(all))
	t := &maglev{owners: make([]int32, size)}
	f := filler{owners: t.owners, taken: make([]uint64, size/64+1), size: uint32(size)}
	f.next = make([]uint32, len(all))
	f.skip = make([]uint32, len(all))
	f.weight = make([]uint64, len(all))
	for i, m := range all {
		h := v.members[m].Hash
		f.next[i] = uint32(below(mix64(h), uint64(size)))
		f.skip[i] = uint32(below(mix64(h^0x5bd1e9955bd1e995), uint64(size-1))) + 1
		f.weight[i] = v.tableWeight(m)
	}
	f.fill()
	return t
}

type filler struct {
	owners []int32
	taken  []uint64 // a bit per place: the search stays in the cache
	size   uint32
	next   []uint32 // each member's next wish
	skip   []uint32 // distance to the one after it
	weight []uint64
}

// fill lets members take places in turn, each the next free one on its own
// list. Members of equal weight take turns in rounds; otherwise member i takes
// its count of places at even intervals, which is the same for equal counts.
func (f *filler) fill() {
	counts, equal := f.counts()
	if equal {
		for left := f.size; left > 0; {
			for i := range f.weight {
				f.take(i)
				if left--; left == 0 {
					return
				}
			}
		}
		return
	}
	for _, i := range turns(counts, int(f.size)) {
		f.take(int(i))
	}
}

// counts divides the places by weight, so that they add up to size.
func (f *filler) counts() (counts []uint32, equal bool) {
	var sum uint64
	equal = true
	for _, w := range f.weight {
		sum += w
		equal = equal && w == f.weight[0]
	}
	counts = make([]uint32, len(f.weight))
	var acc, given uint64
	for i, w := range f.weight {
		acc += w
		hi, lo := bits.Mul64(acc, uint64(f.size))
		upto, _ := bits.Div64(hi, lo, sum)
		counts[i] = uint32(upto - given)
		given = upto
	}
	return counts, equal
}

// turns sorts the members' turns: the k-th of c turns is due at (k+½)/c.
func turns(counts []uint32, size int) []int32 {
	due := make([]int32, size+1)
	each := func(visit func(i int, at uint64)) {
		for i, c := range counts {
			for k := range uint64(c) {
				visit(i, (2*k+1)*uint64(size)/(2*uint64(c)))
			}
		}
	}
	each(func(_ int, at uint64) { due[at+1]++ })
	for k := 1; k < len(due); k++ {
		due[k] += due[k-1]
	}
	order := make([]int32, size)
	each(func(i int, at uint64) {
		order[due[at]] = int32(i)
		due[at]++
	})
	return order
}

func (f *filler) take(i int) {
	p, skip := f.next[i], f.skip[i]
	for f.taken[p>>6]&(1<<(p&63)) != 0 {
		if p += skip; p >= f.size || p < skip {
			p -= f.size
		}
	}
	f.taken[p>>6] |= 1 << (p & 63)
	f.owners[p] = int32(i)
	if p += skip; p >= f.size || p < skip {
		p -= f.size
	}
	f.next[i] = p
}

func (t *maglev) at(h uint64) int32 { return t.owners[below(mix64(h), uint64(len(t.owners)))] }

func nextPrime(n int) int {
	for ; ; n++ {
		if isPrime(n) {
			return n
		}
	}
}

func isPrime(n int) bool {
	if n < 4 {
		return n > 1
	}
	if n%2 == 0 {
		return false
	}
	for d := 3; d*d <= n; d += 2 {
		if n%d == 0 {
			return false
		}
	}
	return true
}
