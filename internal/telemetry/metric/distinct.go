package metric

import (
	"hash/maphash"
	"math"
	"math/bits"
	"sync/atomic"
)

// distinct estimates how many different names it has seen, by linear counting: the
// share of bits that no name has hit tells. Its 4 KiB are good for some 200,000
// names, within one per cent for a few thousand.
type distinct struct {
	seed atomic.Pointer[maphash.Seed]
	bits [512]atomic.Uint64
}

func (d *distinct) add(name []byte) {
	seed := d.seed.Load()
	if seed == nil {
		fresh := maphash.MakeSeed()
		d.seed.CompareAndSwap(nil, &fresh)
		seed = d.seed.Load()
	}
	h := maphash.Bytes(*seed, name) % uint64(len(d.bits)*64)
	if b := &d.bits[h/64]; b.Load()&(1<<(h%64)) == 0 {
		b.Or(1 << (h % 64))
	}
}

// count is how many there have been.
func (d *distinct) count() int64 {
	set := 0
	for i := range d.bits {
		set += bits.OnesCount64(d.bits[i].Load())
	}
	all := float64(len(d.bits) * 64)
	return int64(math.Round(-all * math.Log(max(all-float64(set), 1)/all)))
}
