package file

import (
	"slices"

	"github.com/gridway/gridway/internal/config/store"
)

// patch makes the snapshot of a generation from the one before, when nothing
// happened but that documents changed in place, each with the objects that it
// had before and none with problems. This is how nearly every edit is, and it
// costs nothing for the objects that did not change. Otherwise patch returns
// false, and the generation has to be assembled.
func (r *reader) patch(g *generation) bool {
	var put []*store.Object
	var changed []store.Key
	for path, s := range g.files {
		old := r.now.files[path]
		if old == s {
			continue
		}
		if old == nil {
			return false
		}
		for i := range s.docs {
			now, before := s.docs[i].result, old.docs[i].result
			if now == before {
				continue
			}
			if len(now.Problems) > 0 || len(now.Objects) != len(before.Objects) {
				return false
			}
			for j, o := range now.Objects {
				b := before.Objects[j]
				if o == b {
					continue
				}
				if o.Key != b.Key {
					return false
				}
				put = append(put, o)
				if o.Hash != b.Hash {
					changed = append(changed, o.Key)
				} else {
					g.moved++
				}
			}
		}
	}
	slices.SortFunc(changed, compareKeys)
	g.owner, g.errors, g.plain = r.now.owner, r.now.errors, true
	g.snapshot.Problems = r.now.snapshot.Problems
	g.snapshot.Changed = changed
	g.snapshot.Set = r.now.snapshot.Set.With(put, nil)
	return true
}
