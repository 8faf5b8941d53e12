package signal

import "unsafe"

// near are cells that were found last, by a few bits of their edges: most exchanges of a
// processor go over the same ones, and a map takes longer.
type near [16]found

type found struct {
	key  Key
	cell *cell // nil for none
}

// of is where an edge's cell is, if it is there.
func (n *near) of(k *Key) *found {
	const golden = 0x9e3779b97f4a7c15
	h := address(&k.Source) ^ address(&k.Destination)<<1 ^ k.Route.address()<<2 ^ uint64(k.Side)
	return &n[h*golden>>60]
}

// address is where the party is kept. Parties of one name are kept once.
func address(w *Who) uint64 { return uint64(*(*uintptr)(unsafe.Pointer(w))) }

func (r *Route) address() uint64 { return uint64(*(*uintptr)(unsafe.Pointer(r))) }
