// Package managed is the source of the objects in the state store: those that were
// applied through the admin API. It reads all of them once, and from then on what has
// changed, whichever process has changed it. An object that cannot be read keeps its last
// good version, and a problem says why.
//
// Run is the package's only goroutine's work, and its caller's. Sources may be imported
// by manage, app and the CLI.
package managed

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/seal"
	"github.com/gridway/gridway/internal/statedb"
)

// Name is what objects of this source say where they came from.
const Name = "managed"

// Options of a Source.
type Options struct {
	DB  *statedb.DB
	Log *slog.Logger
	// Seals are the secrets by which Secrets are sealed; it is asked when there is one to
	// be opened. Nil is none.
	Seals func() (seal.Keys, error)
	// Changed is called when Load has found something new; it must not block.
	Changed func()
}

// Object is one of the state store's.
type Object struct {
	*store.Object
	// Text is the object as it was applied, in YAML.
	Text string
	// Revision made it what it is.
	Revision int64
}

// Source has the objects of a state store. Its methods may be called at the same time.
type Source struct {
	opt Options

	loading sync.Mutex // held while the store is read; taken before mu

	mu      sync.Mutex
	state   State       // guarded by mu, as is what follows
	changed []store.Key // since Changes
}

// State is what a source has at one moment. It is not changed any more.
type State struct {
	// Revision is how far the store had come.
	Revision int64
	// Objects are ordered by kind, namespace and name.
	Objects []*Object
	// Problems are those of objects that cannot be read.
	Problems []store.Problem
}

// Find returns the object with a key, or nil.
func (s *State) Find(k store.Key) *Object {
	n, found := slices.BinarySearchFunc(s.Objects, k, func(o *Object, k store.Key) int { return Compare(o.Key, k) })
	if !found {
		return nil
	}
	return s.Objects[n]
}

// Plain are the objects without what the store knows of them.
func (s State) Plain() []*store.Object {
	out := make([]*store.Object, len(s.Objects))
	for i, o := range s.Objects {
		out[i] = o.Object
	}
	return out
}

// New makes a Source, which has nothing before Load.
func New(o Options) *Source {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	return &Source{opt: o}
}

// Load reads what has changed since it was called last; at first everything.
func (s *Source) Load(ctx context.Context) (changed bool, err error) {
	s.loading.Lock()
	defer s.loading.Unlock()
	before := s.State()
	var (
		version int64
		rows    []statedb.Object
	)
	err = s.opt.DB.Read(ctx, func(tx *statedb.Tx) (err error) {
		rows = rows[:0]
		if version, err = tx.Version(ctx, statedb.Objects); err != nil || version == before.Revision {
			return err
		}
		since := before.Revision
		if version < since { // it is another store than it was: a backup
			since = 0
		}
		return tx.ObjectsChanged(ctx, since, func(o statedb.Object) error {
			rows = append(rows, o)
			return nil
		})
	})
	if err != nil || version == before.Revision {
		return false, err
	}
	var touched []store.Key
	if version < before.Revision {
		for _, o := range before.Objects {
			touched = append(touched, o.Key)
		}
		before = State{}
	}
	after := State{Revision: version}
	changes := make(map[store.Key]*Object, len(rows))
	problems := map[store.Key][]store.Problem{}
	for i := range rows {
		o, wrong := s.read(&rows[i], &before)
		k := key(rows[i].ObjectKey)
		changes[k], problems[k] = o, wrong
		touched = append(touched, k)
	}
	after.Objects = merge(before.Objects, changes)
	for _, p := range before.Problems {
		if _, again := problems[p.Object]; !again {
			after.Problems = append(after.Problems, p)
		}
	}
	for i := range rows { // in their order
		after.Problems = append(after.Problems, problems[key(rows[i].ObjectKey)]...)
	}
	s.mu.Lock()
	s.state, s.changed = after, append(s.changed, touched...)
	s.mu.Unlock()
	if len(touched) > 0 {
		s.opt.Changed()
	}
	return len(touched) > 0, nil
}

func key(k statedb.ObjectKey) store.Key { return store.Key(k) }

// merge puts objects in the places of those of their keys; nil takes one out.
func merge(before []*Object, changes map[store.Key]*Object) []*Object {
	out := make([]*Object, 0, len(before)+len(changes))
	for _, o := range before {
		if _, again := changes[o.Key]; !again {
			out = append(out, o)
		}
	}
	for _, o := range changes {
		if o != nil {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b *Object) int { return Compare(a.Key, b.Key) })
	return out
}

// Compare orders keys by kind, namespace and name.
func Compare(a, b store.Key) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// State is what was read last. Its lists are shared: do not change them.
func (s *Source) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Changes are the keys of what has changed since it was called last. It is called
// before State: what comes in between is a change the next time.
func (s *Source) Changes() (changed []store.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed, s.changed = s.changed, nil
	return changed
}

// Run reads what changes until ctx ends. A store that cannot be read is tried again;
// until then what was read goes on.
func (s *Source) Run(ctx context.Context) {
	s.opt.DB.Follow(ctx, s.opt.Log, "managed objects", statedb.Objects, func(ctx context.Context) error {
		_, err := s.Load(ctx) // which tells of what has changed
		return err
	})
}
