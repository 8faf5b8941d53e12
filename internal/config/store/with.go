package store

import (
	"cmp"
	"maps"
	"slices"
)

// With returns a set in which the given objects are added or replace those of
// their keys, and the removed keys are gone. The receiver is unchanged, and
// kinds that nothing happened to are shared with it.
func (s *Set) With(put []*Object, removed []Key) *Set {
	if len(put) == 0 && len(removed) == 0 {
		return s
	}
	out := &Set{byKind: maps.Clone(s.byKind), size: s.size}
	if out.byKind == nil {
		out.byKind = map[GroupKind][]*Object{}
	}
	own := map[GroupKind]bool{} // lists that are no longer shared
	list := func(k Key) (GroupKind, []*Object) {
		gk := GroupKind{k.Group, k.Kind}
		if !own[gk] {
			own[gk] = true
			out.byKind[gk] = slices.Clone(out.byKind[gk])
		}
		return gk, out.byKind[gk]
	}
	gone := map[GroupKind]map[Key]bool{}
	for _, k := range removed {
		if s.Get(k) != nil {
			gk, _ := list(k)
			if gone[gk] == nil {
				gone[gk] = map[Key]bool{}
			}
			gone[gk][k] = true
		}
	}
	for gk, keys := range gone {
		out.byKind[gk] = slices.DeleteFunc(out.byKind[gk], func(o *Object) bool { return keys[o.Key] })
	}
	// Replace first, while the kinds are in order; then add, and sort once.
	grown := map[GroupKind][]*Object{}
	for _, o := range put {
		gk, in := list(o.Key)
		if i, found := position(in, o.Key); found {
			in[i] = o // given twice: the last wins
		} else {
			grown[gk] = append(grown[gk], o)
		}
	}
	for gk, more := range grown {
		out.byKind[gk] = ordered(append(out.byKind[gk], more...))
	}
	for gk := range own {
		out.size += len(out.byKind[gk]) - len(s.byKind[gk])
		if len(out.byKind[gk]) == 0 {
			delete(out.byKind, gk)
		}
	}
	return out
}

func compareObjects(a, b *Object) int {
	return cmp.Or(cmp.Compare(a.Key.Namespace, b.Key.Namespace), cmp.Compare(a.Key.Name, b.Key.Name))
}

// position finds a key in the sorted objects of its kind.
func position(list []*Object, k Key) (int, bool) {
	return slices.BinarySearchFunc(list, k, func(o *Object, k Key) int {
		return cmp.Or(cmp.Compare(o.Key.Namespace, k.Namespace), cmp.Compare(o.Key.Name, k.Name))
	})
}
