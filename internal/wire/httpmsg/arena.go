package httpmsg

// Arena hands out bytes that live until it is reset. The zero value is ready.
// When a block is full it takes a larger one; what was handed out earlier stays
// valid, because the garbage collector keeps the old block for its users.
type Arena struct {
	buf []byte
}

const (
	arenaFirst = 1 << 10
	// arenaKeep bounds, in bytes, what an idle arena holds on to.
	arenaKeep = 64 << 10
)

// Alloc returns n bytes of any content. Appending to them moves them elsewhere.
func (a *Arena) Alloc(n int) []byte {
	used := len(a.buf)
	if n > cap(a.buf)-used {
		a.buf = make([]byte, 0, max(n, 2*cap(a.buf), arenaFirst))
		used = 0
	}
	a.buf = a.buf[:used+n]
	return a.buf[used : used+n : used+n]
}

// Copy returns a copy of b.
func (a *Arena) Copy(b []byte) []byte {
	p := a.Alloc(len(b))
	copy(p, b)
	return p
}

// CopyString returns the bytes of s.
func (a *Arena) CopyString(s string) []byte {
	p := a.Alloc(len(s))
	copy(p, s)
	return p
}

// Concat returns the parts one after the other.
func (a *Arena) Concat(parts ...[]byte) []byte {
	n := 0
	for _, part := range parts {
		n += len(part)
	}
	p := a.Alloc(n)
	i := 0
	for _, part := range parts {
		i += copy(p[i:], part)
	}
	return p
}

// Reset makes all the memory free again: nothing handed out before may be used.
func (a *Arena) Reset() {
	if cap(a.buf) > arenaKeep {
		a.buf = nil
	}
	a.buf = a.buf[:0]
}
