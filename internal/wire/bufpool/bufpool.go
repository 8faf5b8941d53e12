// Package bufpool hands out byte buffers of a few size classes, so that
// connections hold memory only while bytes are moving. Getting and releasing
// allocates nothing in steady state; buffers that nobody uses go back to the
// garbage collector after two of its cycles. It owns no goroutines, imports the
// standard library only, and any package of wire or proxy may import it.
package bufpool

import "sync"

// The size classes in bytes.
const (
	Small  = 4 << 10
	Medium = 16 << 10
	Large  = 64 << 10
)

// Buf is a buffer on loan. B has the full length of its class at first; its
// owner may reslice it.
type Buf struct {
	B []byte

	whole []byte // B as it was handed out
	pool  *sync.Pool
}

// The pools are shared by the whole process on purpose: memory that one
// listener gives back must serve the next.
var (
	small  = newPool(Small)
	medium = newPool(Medium)
	large  = newPool(Large)
)

func newPool(size int) *sync.Pool {
	p := new(sync.Pool)
	p.New = func() any { return &Buf{whole: make([]byte, size), pool: p} }
	return p
}

// Get returns a buffer of at least size bytes with arbitrary content. Sizes
// above Large are allocated for this one use, so callers bound them first.
func Get(size int) *Buf {
	var p *sync.Pool
	switch {
	case size <= Small:
		p = small
	case size <= Medium:
		p = medium
	case size <= Large:
		p = large
	default:
		whole := make([]byte, size)
		return &Buf{B: whole, whole: whole}
	}
	b := p.Get().(*Buf)
	b.B = b.whole
	return b
}

// Release gives the buffer back; nobody may touch its bytes afterwards. A nil
// Buf is ignored. Releasing twice panics, for it would hand one buffer to two.
func (b *Buf) Release() {
	if b == nil {
		return
	}
	if b.B == nil {
		panic("bufpool: buffer released twice")
	}
	b.B = nil
	if b.pool != nil {
		b.pool.Put(b)
	}
}
