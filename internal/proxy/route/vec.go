package route

import "slices"

// vec is a list of which a copy with a few other items costs little: the copy
// shares all chunks but those that hold one. Short lists are one chunk, without
// the way over the spine.
type vec[T any] struct {
	flat  []T
	spine [][]T // of chunkLen items each; nil for a short list
}

const (
	chunkBits = 7
	chunkLen  = 1 << chunkBits
)

// newVec takes over the items.
func newVec[T any](items []T) vec[T] {
	if len(items) <= chunkLen {
		return vec[T]{flat: items}
	}
	v := vec[T]{spine: make([][]T, 0, (len(items)+chunkLen-1)/chunkLen)}
	for len(items) > 0 {
		n := min(chunkLen, len(items))
		v.spine = append(v.spine, items[:n:n])
		items = items[n:]
	}
	return v
}

func (v *vec[T]) len() int {
	if v.spine == nil {
		return len(v.flat)
	}
	last := len(v.spine) - 1
	return last<<chunkBits + len(v.spine[last])
}

// at returns an item, which is read-only.
func (v *vec[T]) at(i int32) *T {
	if v.spine == nil {
		return &v.flat[i]
	}
	return &v.spine[i>>chunkBits][i&(chunkLen-1)]
}

// editor changes a copy of a list.
type editor[T any] struct {
	vec[T]
	own map[int32]bool // chunks that were copied
}

func (v vec[T]) edit() *editor[T] {
	return &editor[T]{vec: vec[T]{flat: v.flat, spine: slices.Clone(v.spine)}, own: map[int32]bool{}}
}

// item returns an item that may be changed.
func (e *editor[T]) item(i int32) *T {
	if chunk := i >> chunkBits; !e.own[chunk] {
		e.own[chunk] = true
		if e.spine == nil {
			e.flat = slices.Clone(e.flat)
		} else {
			e.spine[chunk] = slices.Clone(e.spine[chunk])
		}
	}
	return e.at(i)
}
