// Package objectsdb keeps objects of the configuration in the state store, and the
// revisions that they and the files have gone through. What is to be changed is decoded,
// judged together with the whole configuration, and written only if that is valid, in one
// transaction with the revision and the entries of the audit log.
//
// It owns no goroutines. The admin API is its user; the gateway gets the objects from the
// source managed.
package objectsdb

import (
	"context"
	"time"

	"github.com/gridway/gridway/internal/config/source/managed"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/seal"
	"github.com/gridway/gridway/internal/statedb"
)

// Audit keeps what was changed by whom; accessdb.Service does.
type Audit interface {
	Note(ctx context.Context, tx *statedb.Tx, by access.Actor, action, object string, before, after any) error
}

// Options of a Service.
type Options struct {
	DB     *statedb.DB
	Source *managed.Source
	Audit  Audit
	// Seals are the secrets by which Secrets are sealed; it is asked when there is one.
	Seals func() (seal.Keys, error)
	// InFile tells where an object stands that a file has, which holds.
	InFile func(k store.Key) (place string, found bool)
	// Trial tells what would be wrong with the configuration if these were the managed
	// objects.
	Trial func(objects []*store.Object) []store.Problem
	// Stored is called when a change was written, and returns when it is in service in
	// this process, or why it is not.
	Stored func(ctx context.Context) error
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Service changes and reads the store. Its methods may be called at the same time.
type Service struct {
	opt Options
	// turn has a place for the one change that is judged: each takes a compiler's work.
	turn chan struct{}
}

// New makes a Service.
func New(o Options) *Service {
	if o.InFile == nil {
		o.InFile = func(store.Key) (string, bool) { return "", false }
	}
	if o.Trial == nil {
		o.Trial = func([]*store.Object) []store.Problem { return nil }
	}
	if o.Stored == nil {
		o.Stored = func(context.Context) error { return nil }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{opt: o, turn: make(chan struct{}, 1)}
}

// time is the present, as precisely as the store keeps it.
func (s *Service) time() time.Time { return s.opt.Now().UTC().Truncate(time.Millisecond) }
