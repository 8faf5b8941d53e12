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
	out := &Set{byKey: maps.Clone(s.byKey), byKind: maps.Clone(s.byKind)}
	if out.byKey == nil {
		out.byKey, out.byKind = map[Key]*Object{}, map[GroupKind][]*Object{}
	}
	replaced := map[GroupKind]bool{}
	own := func(gk GroupKind) {
		if !replaced[gk] {
			replaced[gk] = true
			out.byKind[gk] = slices.Clone(out.byKind[gk])
		}
	}
	for _, k := range removed {
		if out.byKey[k] == nil {
			continue
		}
		gk := GroupKind{k.Group, k.Kind}
		delete(out.byKey, k)
		own(gk)
		if i, found := position(out.byKind[gk], k); found {
			out.byKind[gk] = slices.Delete(out.byKind[gk], i, i+1)
		}
	}
	// Replace first, while the kinds are in order; then add, and sort once.
	grown := map[GroupKind]bool{}
	was := make(map[Key]bool, len(put))
	for _, o := range put {
		if old := out.byKey[o.Key]; old != nil {
			was[o.Key] = true
			gk := GroupKind{o.Key.Group, o.Key.Kind}
			own(gk)
			if i, found := position(out.byKind[gk], o.Key); found {
				out.byKind[gk][i] = o
			}
			out.byKey[o.Key] = o
		}
	}
	for _, o := range put {
		gk := GroupKind{o.Key.Group, o.Key.Kind}
		switch old := out.byKey[o.Key]; {
		case old == nil:
			own(gk)
			out.byKind[gk] = append(out.byKind[gk], o)
			grown[gk] = true
		case old != o && !was[o.Key]:
			out.byKind[gk][slices.Index(out.byKind[gk], old)] = o // given twice: the last wins
		default:
			continue
		}
		out.byKey[o.Key] = o
	}
	for gk := range grown {
		slices.SortFunc(out.byKind[gk], compareObjects)
	}
	for gk := range replaced {
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
