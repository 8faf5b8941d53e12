package store

import "maps"

// Beneath returns a set with more objects of one kind, ordered by namespace and
// name, where this set has none of their keys. Those that it has hold, and the
// ones that they hide are returned too. It takes time for the objects of that
// kind alone.
func (s *Set) Beneath(gk GroupKind, more []*Object) (merged *Set, hidden []*Object) {
	if len(more) == 0 {
		return s, nil
	}
	own, list := s.byKind[gk], more
	if len(own) > 0 {
		list = make([]*Object, 0, len(own)+len(more))
		for len(own) > 0 && len(more) > 0 {
			switch order := compareObjects(own[0], more[0]); {
			case order < 0:
				list, own = append(list, own[0]), own[1:]
			case order > 0:
				list, more = append(list, more[0]), more[1:]
			default:
				hidden, more = append(hidden, more[0]), more[1:]
			}
		}
		list = append(append(list, own...), more...)
	}
	out := &Set{byKind: maps.Clone(s.byKind), size: s.size + len(list) - len(s.byKind[gk])}
	if out.byKind == nil {
		out.byKind = map[GroupKind][]*Object{}
	}
	out.byKind[gk] = list
	return out, hidden
}
