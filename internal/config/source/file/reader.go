package file

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/gridway/gridway/internal/config/decode"
	"github.com/gridway/gridway/internal/config/store"
)

// Snapshot is everything the files say at one time.
type Snapshot struct {
	Set      *store.Set
	Problems []store.Problem
	// Changed are the keys of objects that were added, changed or taken away
	// since the snapshot before, in order. An object whose lines moved has not
	// changed.
	Changed []store.Key
	// Files is how many files were read, and Documents how many of their
	// documents had to be decoded.
	Files, Documents int
}

// reader reads the files and remembers what they said.
type reader struct {
	paths []string
	opts  Options
	once  map[string][]byte // what can be read only once, by path
	now   *generation
	spare []byte // memory for the next file to be read; decoding keeps nothing of the text
}

// maxSpare is how much memory is kept for the next reading.
const maxSpare = 16 << 20

// generation is the outcome of one reading.
type generation struct {
	files    map[string]*fileState
	dirs     []string
	snapshot Snapshot
	owner    map[store.Key]string // the file of each object
	errors   int
	moved    int // objects that are elsewhere and have not changed
	// plain: every object of every document is in the set, and nothing else is.
	plain bool
}

// fileState is what one file held.
type fileState struct {
	stamp stamp
	read  time.Time
	docs  []document
	err   error
}

// document is one document and what came of it.
type document struct {
	hash   uint64
	length int
	line   int
	result decode.Result
}

func newReader(paths []string, opts Options) *reader {
	return &reader{paths: paths, opts: opts, once: map[string][]byte{}}
}

// first reads everything; a path that cannot be read is an error.
func (r *reader) first() (Snapshot, error) {
	f := find(r.paths)
	var errs []error
	for _, path := range f.missing {
		errs = append(errs, fmt.Errorf("%s: there is no such file or folder", path))
	}
	for _, e := range f.errs {
		errs = append(errs, e)
	}
	if len(errs) > 0 {
		return Snapshot{}, errors.Join(errs...)
	}
	g := r.read(f, nil)
	for _, path := range f.files {
		if s := g.files[path]; s != nil && s.err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, s.err))
		}
	}
	if len(errs) > 0 {
		return Snapshot{}, errors.Join(errs...)
	}
	r.now = g
	return g.snapshot, nil
}

// read makes the next generation from the files as they are now. Files whose
// stamp is the same are not opened, unless they are in touched.
func (r *reader) read(f found, touched map[string]bool) *generation {
	g := &generation{files: make(map[string]*fileState, len(f.files)), dirs: f.dirs}
	var todo []job
	var last []byte
	var lastPath string
	patchable := r.now != nil && r.now.plain && len(f.files) == len(r.now.files) && len(f.errs)+len(f.missing) == 0
	for _, path := range f.files {
		old := r.old(path)
		stamp, err := stampOf(path)
		if err == nil && old != nil && old.err == nil && !touched[path] && stamp.same(old.stamp) && !old.racy() {
			g.files[path] = old
			continue
		}
		s := &fileState{stamp: stamp, read: time.Now()}
		g.files[path] = s
		data, err := r.readFile(path)
		if err != nil {
			s.err = err
			if old != nil {
				s.docs = old.docs
			}
			patchable = false
			continue
		}
		last, lastPath = data, path
		todo = append(todo, s.fill(path, data, old)...)
		patchable = patchable && old != nil && len(s.docs) == len(old.docs)
	}
	decodeAll(todo)
	if r.now != nil && cap(last) <= maxSpare && r.once[lastPath] == nil {
		r.spare = last
	}
	g.snapshot.Files, g.snapshot.Documents = len(f.files), len(todo)
	if !patchable || !r.patch(g) {
		r.assemble(g, f)
	}
	return g
}

func (r *reader) old(path string) *fileState {
	if r.now == nil {
		return nil
	}
	return r.now.files[path]
}

// job is a document that has to be decoded.
type job struct {
	to  *document
	doc decode.Document
}

// fill cuts a file into documents, takes those that are known from the old
// state, and returns the others.
func (s *fileState) fill(path string, data []byte, old *fileState) []job {
	expected := 0
	if old != nil {
		expected = len(old.docs) + 1
	}
	chunks := split(data, expected)
	s.docs = make([]document, len(chunks))
	var known map[uint64]*document // the old documents by hash, made when order alone does not help
	var todo []job
	for i, c := range chunks {
		d := &s.docs[i]
		*d = document{hash: xxhash.Sum64(c.text), length: len(c.text), line: c.line}
		if old != nil {
			same := func(o *document) bool { return o != nil && o.hash == d.hash && o.length == d.length }
			var o *document
			if i < len(old.docs) {
				o = &old.docs[i]
			}
			if !same(o) {
				if known == nil {
					known = make(map[uint64]*document, len(old.docs))
					for j := range old.docs {
						known[old.docs[j].hash] = &old.docs[j]
					}
				}
				o = known[d.hash]
			}
			if same(o) && d.take(o) {
				continue
			}
		}
		todo = append(todo, job{to: d, doc: decode.Document{File: path, Line: c.line, Text: c.text}})
	}
	return todo
}

// take makes the document what the old one was. One with problems that has
// moved is decoded again, since its messages name lines.
func (d *document) take(old *document) bool {
	if d.line == old.line {
		d.result = old.result
		return true
	}
	if len(old.result.Problems) > 0 {
		return false
	}
	objects := make([]*store.Object, len(old.result.Objects))
	for i, o := range old.result.Objects {
		objects[i] = decode.Shift(o, d.line-old.line)
	}
	d.result = decode.Result{Objects: objects}
	return true
}

// decodeAll decodes documents on every processor.
func decodeAll(todo []job) {
	workers := min(runtime.GOMAXPROCS(0), (len(todo)+15)/16)
	if workers <= 1 {
		for _, j := range todo {
			j.to.result = decode.Decode(j.doc)
		}
		return
	}
	var next atomic.Int64
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(todo) {
					return
				}
				todo[i].to.result = decode.Decode(todo[i].doc)
			}
		})
	}
	wait.Wait()
}

// worse reports whether a generation lacks objects that the present one has,
// or has more errors.
func (r *reader) worse(g *generation) bool {
	if r.now == nil {
		return false
	}
	if g.errors > r.now.errors {
		return true
	}
	return slices.ContainsFunc(g.snapshot.Changed, func(k store.Key) bool { return g.snapshot.Set.Get(k) == nil })
}
