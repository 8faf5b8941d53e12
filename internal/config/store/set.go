package store

import (
	"cmp"
	"maps"
	"slices"
)

// Set is an immutable collection of objects. Its zero value is empty.
type Set struct {
	byKey  map[Key]*Object
	byKind map[GroupKind][]*Object // sorted by namespace, then name
}

// GroupKind names a kind in its group; the core group is "".
type GroupKind struct{ Group, Kind string }

// NewSet builds a Set. Of objects with equal keys the last wins; sources report duplicates themselves.
func NewSet(objects []*Object) *Set {
	s := &Set{byKey: make(map[Key]*Object, len(objects)), byKind: map[GroupKind][]*Object{}}
	for _, o := range objects {
		s.byKey[o.Key] = o
	}
	for _, o := range s.byKey {
		gk := GroupKind{o.Key.Group, o.Key.Kind}
		s.byKind[gk] = append(s.byKind[gk], o)
	}
	for _, list := range s.byKind {
		slices.SortFunc(list, func(a, b *Object) int {
			return cmp.Or(cmp.Compare(a.Key.Namespace, b.Key.Namespace), cmp.Compare(a.Key.Name, b.Key.Name))
		})
	}
	return s
}

// Get returns the object with that key, or nil.
func (s *Set) Get(k Key) *Object { return s.byKey[k] }

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
func (s *Set) Len() int { return len(s.byKey) }
