package file

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/config/store"
)

// assemble puts the documents of a generation together: one object per key,
// last good versions for what is broken, and the list of problems.
func (r *reader) assemble(g *generation, f found) {
	a := assembler{g: g, chosen: make(map[store.Key]*store.Object)}
	if r.now != nil {
		a.before, a.owner = r.now.snapshot.Set, r.now.owner
		a.chosen = make(map[store.Key]*store.Object, a.before.Len())
	}
	g.owner = make(map[store.Key]string, len(a.chosen))
	for _, path := range f.files {
		s := g.files[path]
		if s.err != nil {
			a.unreadable(path, s.err)
			continue
		}
		for i := range s.docs {
			for _, o := range s.docs[i].result.Objects {
				a.add(path, o)
			}
		}
	}
	for _, path := range f.files {
		if s := g.files[path]; s.err == nil {
			a.problems(path, s)
		}
	}
	for _, e := range f.errs {
		a.unreadable(e.path, e.err)
	}
	for _, path := range f.missing {
		p := store.Problem{
			Severity: store.Error, Code: "FileGone", Position: store.Position{File: path},
			Message: "there is no such file or folder any more",
			Remedy:  "put it back, or start Gridway without it",
		}
		if n := a.lastGoodBelow(path); n > 0 {
			p.Remedy += "; until then " + kept(n)
		}
		g.errors++
		g.snapshot.Problems = append(g.snapshot.Problems, p)
	}
	a.finish()
	g.plain = len(g.snapshot.Problems) == 0
}

type assembler struct {
	g      *generation
	chosen map[store.Key]*store.Object
	order  []*store.Object
	before *store.Set
	owner  map[store.Key]string
}

// add takes an object, unless another document has given one of that key. Of
// two documents the one that was there before wins, and otherwise the first.
func (a *assembler) add(path string, o *store.Object) {
	first, twice := a.chosen[o.Key]
	if !twice {
		a.choose(path, o)
		return
	}
	keep, drop := first, o
	if a.before != nil {
		if b := a.before.Get(o.Key); b != nil && a.owner[o.Key] == path && a.g.owner[o.Key] != path && b.Hash == o.Hash {
			keep, drop = o, first
			a.replace(path, first, o)
		}
	}
	a.g.errors++
	a.g.snapshot.Problems = append(a.g.snapshot.Problems, store.Problem{
		Severity: store.Error, Code: "DuplicateObject", Object: o.Key, Field: "metadata.name",
		Position: drop.Locate("metadata.name"),
		Message:  fmt.Sprintf("the same object is also at %v, which stays in use", keep.Locate("metadata.name")),
		Remedy:   "take one of them out, or rename it",
	})
}

func (a *assembler) choose(path string, o *store.Object) {
	a.chosen[o.Key] = o
	a.g.owner[o.Key] = path
	a.order = append(a.order, o)
}

func (a *assembler) replace(path string, old, o *store.Object) {
	a.chosen[o.Key] = o
	a.g.owner[o.Key] = path
	a.order[slices.Index(a.order, old)] = o
}

// lastGood keeps the version of an object that was in use before.
func (a *assembler) lastGood(k store.Key) bool {
	if a.before == nil || a.chosen[k] != nil {
		return false
	}
	o := a.before.Get(k)
	if o == nil {
		return false
	}
	a.choose(a.owner[k], o)
	return true
}

// standIn takes what stands for a broken object that has no good version.
func (a *assembler) standIn(path string, o *store.Object) bool {
	if a.chosen[o.Key] != nil {
		return false
	}
	a.choose(path, o)
	return true
}

// stoodIn tells whether the version of an object that was in use is none, but
// what stood for it.
func (a *assembler) stoodIn(k store.Key) bool {
	o := a.before
	return o != nil && o.Get(k) != nil && o.Get(k).Broken
}

// lastGoodOf keeps every object of a file that nobody gives any more.
func (a *assembler) lastGoodOf(path string) int {
	n := 0
	for k, owner := range a.owner {
		if owner == path && a.lastGood(k) {
			n++
		}
	}
	return n
}

// lastGoodBelow is lastGoodOf for a file or all files of a folder.
func (a *assembler) lastGoodBelow(path string) int {
	n := 0
	for k, owner := range a.owner {
		if (owner == path || strings.HasPrefix(owner, path+"/")) && a.lastGood(k) {
			n++
		}
	}
	return n
}

func (a *assembler) unreadable(path string, err error) {
	p := store.Problem{
		Severity: store.Error, Code: "UnreadableFile", Position: store.Position{File: path},
		Message: fmt.Sprintf("cannot be read: %v", err),
	}
	if n := a.lastGoodOf(path); n > 0 {
		p.Remedy = kept(n)
	}
	a.g.errors++
	a.g.snapshot.Problems = append(a.g.snapshot.Problems, p)
}

func kept(n int) string {
	if n == 1 {
		return "the last good version of its object stays in use"
	}
	return fmt.Sprintf("the last good versions of its %d objects stay in use", n)
}

// problems lists what is wrong in a file, and keeps what was good before.
func (a *assembler) problems(path string, s *fileState) {
	remedy := map[store.Key]string{}
	unidentified := false
	for i := range s.docs {
		for _, k := range s.docs[i].result.Broken {
			if !a.stoodIn(k) && a.lastGood(k) {
				remedy[k] = "its last good version stays in use"
			}
		}
		for _, o := range s.docs[i].result.StandIns {
			if !a.stoodIn(o.Key) && a.lastGood(o.Key) {
				continue
			}
			if a.standIn(path, o) {
				remedy[o.Key] = "until then nothing gets through where it is to be in force"
			}
		}
		unidentified = unidentified || s.docs[i].result.Unidentified
	}
	keptHere := ""
	if unidentified {
		if n := a.lastGoodOf(path); n > 0 {
			keptHere = "until then objects of this file that are missing now stay in use as they were"
		}
	}
	for i := range s.docs {
		r := s.docs[i].result
		for _, p := range r.Problems {
			if p.Severity == store.Error {
				a.g.errors++
				extra := remedy[p.Object]
				if p.Object == (store.Key{}) && r.Unidentified {
					extra = keptHere
				}
				if extra != "" && strings.HasSuffix(p.Remedy, "?") {
					p.Remedy += " Until then " + strings.TrimPrefix(extra, "until then ")
				} else if extra != "" && p.Remedy != "" {
					p.Remedy += "; " + extra
				} else if extra != "" {
					p.Remedy = extra
				}
			}
			a.g.snapshot.Problems = append(a.g.snapshot.Problems, p)
		}
	}
}

// finish makes the set, and finds out what changed.
func (a *assembler) finish() {
	s := &a.g.snapshot
	slices.SortStableFunc(s.Problems, func(x, y store.Problem) int {
		p, q := x.Position, y.Position
		return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column))
	})
	if a.before == nil {
		s.Set = store.NewSet(a.order)
		for _, o := range a.order {
			s.Changed = append(s.Changed, o.Key)
		}
		slices.SortFunc(s.Changed, compareKeys)
		return
	}
	var put []*store.Object
	var removed []store.Key
	for _, o := range a.order {
		b := a.before.Get(o.Key)
		if b == o {
			continue
		}
		put = append(put, o)
		if b == nil || b.Hash != o.Hash {
			s.Changed = append(s.Changed, o.Key)
		} else {
			a.g.moved++
		}
	}
	if a.before.Len()+added(put, a.before) > len(a.order) {
		for k := range a.owner {
			if a.chosen[k] == nil {
				removed = append(removed, k)
			}
		}
	}
	s.Changed = append(s.Changed, removed...)
	slices.SortFunc(s.Changed, compareKeys)
	s.Set = a.before.With(put, removed)
}

func compareKeys(x, y store.Key) int {
	return cmp.Or(cmp.Compare(x.Group, y.Group), cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Name, y.Name))
}

func added(put []*store.Object, before *store.Set) int {
	n := 0
	for _, o := range put {
		if before.Get(o.Key) == nil {
			n++
		}
	}
	return n
}
