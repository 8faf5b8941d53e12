package file

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/gridway/gridway/internal/config/store"
)

// Watcher reads files again when they change. It watches folders, so that
// files which are replaced by renaming, as most editors and Kubernetes do it,
// are seen, and looks at everything now and then in case the system missed a
// change.
//
// Load and Run are called from one goroutine at a time.
type Watcher struct {
	reader *reader
}

// New returns a watcher of files and folders. "-" is standard input, which is
// read once.
func New(paths []string, opts Options) *Watcher {
	return &Watcher{reader: newReader(slices.Clone(paths), opts.withDefaults())}
}

// Load reads everything for the first time. The error is about paths that
// cannot be read at all, as with the function Load.
func (w *Watcher) Load() (Snapshot, error) { return w.reader.first() }

// Run calls deliver with a snapshot after each change, until the context ends,
// and then returns nil. If Load was not called before, Run begins with the
// first snapshot, and returns an error if there is none. Deliver is called in
// Run's goroutine; changes during the call are seen after it.
//
// A change is read when nothing has changed for Options.Quiet, or a fifth of
// that if files were only renamed into place, since those are whole. If it would
// take objects away or bring errors, it must also be Options.Settle old, since
// files that are written in place are short for a moment.
//
// When a line more or less moves thousands of objects, what really changed is
// delivered at once, and the new places of the others in a second snapshot after
// Options.Moved.
func (w *Watcher) Run(ctx context.Context, deliver func(Snapshot)) error {
	if w.reader.now == nil {
		snapshot, err := w.Load()
		if err != nil {
			return err
		}
		deliver(snapshot)
	}
	run := &watchRun{reader: w.reader, deliver: deliver, touched: map[string]bool{}, delivered: w.reader.now.snapshot.Set}
	defer run.close()
	return run.loop(ctx)
}

// watchRun is the state of one Run.
type watchRun struct {
	reader  *reader
	deliver func(Snapshot)

	notify *fsnotify.Watcher // nil if the system cannot report changes

	touched map[string]bool // files that the system said have changed
	first   time.Time       // of the changes that are not yet read; zero if there are none
	last    time.Time
	written bool // some of them were made in place

	delivered *store.Set  // as the receiver has it
	lagging   bool        // delivered lacks new places of objects
	moved     *time.Timer // runs while lagging
}

func (r *watchRun) close() {
	if r.notify != nil {
		_ = r.notify.Close() // nothing is left to do if closing fails
	}
}

func (r *watchRun) loop(ctx context.Context) error {
	opts := r.reader.opts
	var events chan fsnotify.Event
	var failures chan error
	if n, err := fsnotify.NewWatcher(); err == nil {
		r.notify, events, failures = n, n.Events, n.Errors
	}
	r.watch(r.reader.now.found.dirs)
	poll := opts.Poll
	if poll == 0 {
		poll = 5 * time.Second
		if r.notify == nil {
			poll = 500 * time.Millisecond
		}
	}
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	// What changed between the first reading and the start of the watch.
	quiet := time.NewTimer(0)
	defer quiet.Stop()
	r.moved = time.NewTimer(time.Hour)
	r.moved.Stop()
	defer r.moved.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			if !e.Has(fsnotify.Create|fsnotify.Remove|fsnotify.Rename) && !r.reader.now.concerns(filepath.Clean(e.Name)) {
				continue // somebody else's file beside ours
			}
			r.touch(e.Name)
			r.written = r.written || e.Has(fsnotify.Write)
			quiet.Reset(r.pause(r.quiet()))
		case err, ok := <-failures:
			if !ok {
				failures = nil
				continue
			}
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				// Which files changed is lost: open them all.
				for path := range r.reader.now.files {
					r.touched[path] = true
				}
			}
			r.touch("")
			r.written = true
			quiet.Reset(r.pause(r.quiet()))
		case <-ticker.C:
			if r.first.IsZero() {
				r.read(quiet)
			}
		case <-quiet.C:
			r.read(quiet)
		case <-r.moved.C:
			places := r.reader.now.snapshot
			places.Changed = nil
			r.hand(places)
		}
	}
}

// touch notes a change.
func (r *watchRun) touch(path string) {
	r.last = time.Now()
	if r.first.IsZero() {
		r.first = r.last
	}
	if path != "" {
		r.touched[filepath.Clean(path)] = true
	}
}

// quiet is how long there must be no further change. Files that were renamed
// into place are whole, so a short pause is enough for others that come along.
func (r *watchRun) quiet() time.Duration {
	if r.written {
		return r.reader.opts.Quiet
	}
	return r.reader.opts.Quiet / 5
}

// pause is the wait before the changes are read: d, but no longer than
// MaxWait after the first of them.
func (r *watchRun) pause(d time.Duration) time.Duration {
	return max(0, min(d, time.Until(r.first.Add(r.reader.opts.MaxWait))))
}

// read reads what changed, and delivers it unless it had better wait.
func (r *watchRun) read(again *time.Timer) {
	opts := r.reader.opts
	f := find(r.reader.paths)
	// Watch first, so that no change between reading and watching is lost.
	r.watch(slices.Concat(f.dirs, r.reader.now.beyond))
	g := r.reader.read(f, r.touched)
	if !slices.Equal(g.beyond, r.reader.now.beyond) {
		r.watch(g.found.dirs)
		defer again.Reset(opts.Settle) // for what changed there meanwhile
	}
	if r.reader.worse(g) {
		now := time.Now()
		if r.first.IsZero() { // found by polling
			r.first, r.last = now, now
		}
		// MaxWait bounds the wait for a pause; once there is one, a change
		// still gets its time to settle.
		if left := opts.Settle - now.Sub(r.last); left > 0 && now.Sub(r.first) < opts.MaxWait+opts.Settle {
			again.Reset(left)
			return
		}
	}
	clear(r.touched)
	r.first, r.last, r.written = time.Time{}, time.Time{}, false
	before := r.reader.now.snapshot
	r.reader.accept(g)
	if g.snapshot.Set == before.Set && slices.Equal(g.snapshot.Problems, before.Problems) {
		return
	}
	r.lagging = r.lagging || g.moved >= manyMoved
	if !r.lagging || len(g.snapshot.Changed) == 0 {
		r.hand(g.snapshot)
		return
	}
	soon := g.snapshot
	soon.Set = pick(r.delivered, g.snapshot.Set, g.snapshot.Changed)
	r.hand(soon)
	r.lagging = true
	r.moved.Reset(opts.Moved)
}

// hand delivers a snapshot.
func (r *watchRun) hand(s Snapshot) {
	r.moved.Stop()
	r.lagging = false
	r.delivered = s.Set
	r.deliver(s)
}

// manyMoved is how many objects must have moved for their places to come later.
const manyMoved = 100

// pick returns before with the objects of after that have these keys.
func pick(before, after *store.Set, keys []store.Key) *store.Set {
	var put []*store.Object
	var removed []store.Key
	for _, k := range keys {
		if o := after.Get(k); o != nil {
			put = append(put, o)
		} else {
			removed = append(removed, k)
		}
	}
	return before.With(put, removed)
}

// watch makes the watched folders these. A folder that cannot be watched is
// left to polling.
func (r *watchRun) watch(dirs []string) {
	if r.notify == nil {
		return
	}
	watched := map[string]bool{}
	for _, d := range r.notify.WatchList() { // a folder that was deleted is no longer in it
		watched[d] = true
	}
	want := make(map[string]bool, len(dirs))
	for _, d := range dirs {
		want[d] = true
		if !watched[d] {
			_ = r.notify.Add(d)
		}
	}
	for d := range watched {
		if !want[d] {
			_ = r.notify.Remove(d) // it may be gone by now
		}
	}
}

// Errors counts the problems that are errors.
func Errors(problems []store.Problem) int {
	n := 0
	for _, p := range problems {
		if p.Severity == store.Error {
			n++
		}
	}
	return n
}
