package link

import "github.com/gridway/gridway/internal/wire/bufpool"

// Inbox keeps the content of a stream that has come until somebody wants it.
// Flow control bounds it. The link's lock guards it.
type Inbox struct {
	bufs []*bufpool.Buf // B is what is in there
	cur  *bufpool.Buf   // what Take has returned
}

// Put adds a copy of p.
func (i *Inbox) Put(p []byte) {
	if n := len(i.bufs); n > 0 {
		last := i.bufs[n-1]
		room := min(cap(last.B)-len(last.B), len(p))
		last.B = append(last.B, p[:room]...)
		p = p[room:]
	}
	for len(p) > 0 {
		b := bufpool.Get(min(len(p), bufpool.Large))
		n := copy(b.B, p)
		b.B = b.B[:n]
		p = p[n:]
		i.bufs = append(i.bufs, b)
	}
}

// Empty tells whether there is nothing to take.
func (i *Inbox) Empty() bool { return len(i.bufs) == 0 }

// Pieces is how many calls of Take it takes.
func (i *Inbox) Pieces() int { return len(i.bufs) }

// Taken is how much of what Take has returned was not given back.
func (i *Inbox) Taken() int {
	if i.cur == nil {
		return 0
	}
	return len(i.cur.B)
}

// Give gives what Take has returned back.
func (i *Inbox) Give() {
	i.cur.Release()
	i.cur = nil
}

// Take returns the next piece, which is valid until Give; nil if there is none.
func (i *Inbox) Take() []byte {
	if i.cur != nil {
		i.Give()
	}
	if len(i.bufs) == 0 {
		return nil
	}
	i.cur = i.bufs[0]
	n := copy(i.bufs, i.bufs[1:])
	i.bufs[n] = nil
	i.bufs = i.bufs[:n]
	return i.cur.B
}

// Drop gives back what was not taken.
func (i *Inbox) Drop() {
	for n, b := range i.bufs {
		b.Release()
		i.bufs[n] = nil
	}
	i.bufs = i.bufs[:0]
}

// Clear gives everything back.
func (i *Inbox) Clear() {
	for i.Take() != nil {
	}
}
