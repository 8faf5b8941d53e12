package file

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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
	spare []byte // memory for the next long file to be read
}

// generation is the outcome of one reading.
type generation struct {
	files    map[string]*fileState
	found    found
	snapshot Snapshot
	owner    map[store.Key]string // the file of each object
	errors   int
	moved    int // objects that are elsewhere and have not changed
	// beyond are folders of files that objects name.
	beyond []string
	// plain: every object of every document is in the set, and nothing else is.
	plain bool
}

// fileState is what one file held.
type fileState struct {
	stamp stamp
	read  time.Time
	docs  []document
	text  []byte // of the long file that was read last, to find out what changes in it
	err   error
}

// document is one document and what came of it.
type document struct {
	hash          uint64
	start, length int
	line          int
	result        *decode.Result

	// base is the result without the data of the files that its objects name;
	// nil if they name none.
	base  *decode.Result
	named []named
}

// concerns tells whether what is written to a file can matter.
func (g *generation) concerns(path string) bool {
	return g.files[path] != nil || g.found.concerns(path)
}

func newReader(paths []string, opts Options) *reader {
	return &reader{paths: paths, opts: opts, once: map[string][]byte{}}
}

// first reads everything; a path that cannot be read is an error.
func (r *reader) first() (Snapshot, error) {
	f := find(r.paths)
	var errs []error
	for _, path := range f.missing {
		errs = append(errs, missingError(path))
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
	r.accept(g)
	return g.snapshot, nil
}

// accept makes a generation the present one.
func (r *reader) accept(g *generation) {
	var latest *fileState // with a text
	for path, s := range g.files {
		if old := r.old(path); old != nil && old != s && old.text != nil {
			r.spare, old.text = old.text, nil // decoding kept nothing of it
		}
		if s.text != nil && (latest == nil || s.read.After(latest.read)) {
			latest = s
		}
	}
	for _, s := range g.files {
		if s != latest {
			s.text = nil
		}
	}
	r.now = g
}

// read makes the next generation from the files as they are now. Files whose
// stamp is the same are not opened, unless they are in touched.
func (r *reader) read(f found, touched map[string]bool) *generation {
	g := &generation{files: make(map[string]*fileState, len(f.files)), found: f}
	var todo []job
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
		todo = append(todo, s.fill(path, data, old)...)
		if len(data) >= minText && len(data) <= maxText && r.once[path] == nil {
			s.text = data
		}
		patchable = patchable && old != nil && len(s.docs) == len(old.docs)
	}
	decodeAll(todo)
	if r.fillNamed(g, touched) {
		patchable = false
	}
	g.beyond = g.found.dirs[len(f.dirs):]
	g.snapshot.Files, g.snapshot.Documents = len(f.files), len(todo)
	if !patchable || !r.patch(g) {
		r.assemble(g, g.found)
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

func (j *job) decode() {
	r := decode.Decode(j.doc)
	j.to.result = &r
	if namesFiles(&r) {
		j.to.base = &r
	}
}

// decodeAll decodes documents on every processor.
func decodeAll(todo []job) {
	workers := min(runtime.GOMAXPROCS(0), (len(todo)+15)/16)
	if workers <= 1 {
		for _, j := range todo {
			j.decode()
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
				todo[i].decode()
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

// missingError is a path that was given and is not there.
type missingError string

func (e missingError) Error() string { return string(e) + ": there is no such file or folder" }
func (e missingError) Unwrap() error { return fs.ErrNotExist }
