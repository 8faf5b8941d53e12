// Package state is the source of the objects in the state store: the Consumers
// that were made through the admin API. It reads all of them once, and from then
// on what has changed, whichever process has changed it.
//
// Run is the package's only goroutine's work, and its caller's. Sources may be
// imported by app and the CLI.
package state

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/statedb"
)

// Name is what objects of this source say where they came from.
const Name = "state"

// Kind is the kind of objects that are kept in the state store.
var Kind = store.GroupKind{Group: v1alpha1.GroupName, Kind: v1alpha1.KindConsumer}

// Options of a Source.
type Options struct {
	DB  *statedb.DB
	Log *slog.Logger
	// Changed is called when there is something new.
	Changed func()
}

// Source has the objects of a state store. Its methods may be called at the same
// time.
type Source struct {
	opt Options

	mu      sync.Mutex
	version int64           // guarded by mu, as is what follows
	objects []*store.Object // ordered; the slice is never changed
	changed []store.Key     // since Changes
}

// New makes a Source, which has nothing before Load.
func New(o Options) *Source { return &Source{opt: o} }

// Load reads what has changed since it was called last; at first everything.
func (s *Source) Load(ctx context.Context) (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var (
		version int64
		rows    []statedb.Consumer
	)
	err = s.opt.DB.Read(ctx, func(tx *statedb.Tx) (err error) {
		rows = rows[:0]
		if version, err = tx.Version(ctx, statedb.Consumers); err != nil || version == s.version {
			return err
		}
		since := s.version
		if version < since { // it is another store than it was: a backup
			since = 0
		}
		return tx.ConsumersChanged(ctx, since, func(c statedb.Consumer) error {
			rows = append(rows, c)
			return nil
		})
	})
	if err != nil || version == s.version {
		return false, err
	}
	before := s.objects
	if version < s.version {
		for _, o := range s.objects {
			s.changed = append(s.changed, o.Key)
		}
		before = nil
	}
	s.objects, s.version = s.merge(before, rows), version
	return true, nil
}

// merge puts rows in the places of the objects of their names.
func (s *Source) merge(before []*store.Object, rows []statedb.Consumer) []*store.Object {
	slices.SortFunc(rows, func(a, b statedb.Consumer) int { return compareNames(a.Namespace, a.Name, b.Namespace, b.Name) })
	out := make([]*store.Object, 0, len(before)+len(rows))
	for i := range rows {
		row := &rows[i]
		n, found := slices.BinarySearchFunc(before, row, func(o *store.Object, r *statedb.Consumer) int {
			return compareNames(o.Key.Namespace, o.Key.Name, r.Namespace, r.Name)
		})
		out = append(out, before[:n]...)
		before = before[n:]
		var old *store.Object
		if found {
			old, before = before[0], before[1:]
		}
		key := store.Key{Group: Kind.Group, Kind: Kind.Kind, Namespace: row.Namespace, Name: row.Name}
		s.changed = append(s.changed, key)
		if row.Deleted {
			continue
		}
		o, err := object(key, row)
		if err != nil {
			s.opt.Log.Error("an object of the state store cannot be read; what it was before goes on", "object", key.String(), "error", err)
			o = old
		}
		if o != nil {
			out = append(out, o)
		}
	}
	return append(out, before...)
}

func compareNames(namespace, name, otherNamespace, otherName string) int {
	if c := strings.Compare(namespace, otherNamespace); c != 0 {
		return c
	}
	return strings.Compare(name, otherName)
}

func object(key store.Key, row *statedb.Consumer) (*store.Object, error) {
	v := &v1alpha1.Consumer{}
	if err := json.Unmarshal(row.Manifest, v); err != nil {
		return nil, err
	}
	if v.Namespace != key.Namespace || v.Name != key.Name {
		return nil, fmt.Errorf("its manifest is one of %s/%s", v.Namespace, v.Name)
	}
	v.CreationTimestamp = metav1.NewTime(row.Created)
	v.Generation = row.Version
	return &store.Object{
		Key: key, Version: v1alpha1.Version, Value: v, Source: Name, Hash: xxhash.Sum64(row.Manifest), Locator: place{},
	}, nil
}

// place is that of all these objects.
type place struct{}

func (place) Locate(string) store.Position { return store.Position{File: "state store"} }

// Objects are the present ones, ordered by namespace and name. The slice is
// shared: do not change it.
func (s *Source) Objects() []*store.Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects
}

// Changes are the keys of what has changed since it was called last. It is called
// before Objects: what comes in between is a change the next time.
func (s *Source) Changes() (changed []store.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed, s.changed = s.changed, nil
	return changed
}

// Run reads what changes until ctx ends. A store that cannot be read is tried
// again; until then what was read goes on.
func (s *Source) Run(ctx context.Context) {
	s.opt.DB.Follow(ctx, s.opt.Log, "the state store", statedb.Consumers, func(ctx context.Context) error {
		changed, err := s.Load(ctx)
		if err == nil && changed {
			s.opt.Changed()
		}
		return err
	})
}
