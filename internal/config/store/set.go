package store

import (
	"cmp"
	"maps"
	"slices"
)

// Set is an immutable collection of objects. Its zero value is empty. It has
// no index but the order of its lists, which costs nothing to keep when one of
// a hundred thousand objects changes.
type Set struct {
	byKind map[GroupKind][]*Object // sorted by namespace, then name
	size   int
}

// GroupKind names a kind in its group; the core group is "".
type GroupKind struct{ Group, Kind string }

// NewSet builds a Set. Of objects with equal keys the last wins; sources report duplicates themselves.
func NewSet(objects []*Object) *Set {
	s := &Set{byKind: map[GroupKind][]*Object{}}
	for _, o := range objects {
		gk := GroupKind{o.Key.Group, o.Key.Kind}
		s.byKind[gk] = append(s.byKind[gk], o)
	}
	for gk, list := range s.byKind {
		s.byKind[gk] = ordered(list)
		s.size += len(s.byKind[gk])
	}
	return s
}

// ordered sorts the objects of a kind. Of those with equal keys the last stays.
func ordered(list []*Object) []*Object {
	slices.SortStableFunc(list, compareObjects)
	out := list[:0]
	for i, o := range list {
		if i+1 == len(list) || list[i+1].Key != o.Key {
			out = append(out, o)
		}
	}
	clear(list[len(out):])
	return slices.Clip(out)
}

// Get returns the object with that key, or nil.
func (s *Set) Get(k Key) *Object {
	list := s.byKind[GroupKind{k.Group, k.Kind}]
	if i, found := position(list, k); found {
		return list[i]
	}
	return nil
}

// Kind returns the objects of one kind, ordered by namespace and name. The
// slice is shared: do not change it.
func (s *Set) Kind(group, kind string) []*Object { return s.byKind[GroupKind{group, kind}] }

// Kinds lists the kinds that have objects, in order.
func (s *Set) Kinds() []GroupKind {
	return slices.SortedFunc(maps.Keys(s.byKind), func(a, b GroupKind) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Kind, b.Kind))
	})
}

// Len is the number of objects.
func (s *Set) Len() int { return s.size }
