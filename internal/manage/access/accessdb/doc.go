// Package accessdb keeps who may call, and who may manage, in the state store:
// consumers with their credentials, tokens of the admin API with their roles, and
// the audit log of what was changed by whom. What is changed is in the audit log,
// in the same transaction.
//
// It owns no goroutines. The admin API is its user; proxies get consumers as
// objects of the source state, and nothing else of it.
package accessdb

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/statedb"
)

// Options of a Service.
type Options struct {
	DB *statedb.DB
	// Elsewhere tells where a consumer stands that is no part of the store: in a
	// file, which holds. It may be nil.
	Elsewhere func(namespace, name string) (place string, found bool)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Service changes and reads the store. Its methods may be called at the same time.
type Service struct {
	db        *statedb.DB
	elsewhere func(namespace, name string) (string, bool)
	now       func() time.Time
}

// New makes a Service.
func New(o Options) *Service {
	s := &Service{db: o.DB, elsewhere: o.Elsewhere, now: o.Now}
	if s.elsewhere == nil {
		s.elsewhere = func(string, string) (string, bool) { return "", false }
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s
}

// time is the present, as precisely as the store keeps it.
func (s *Service) time() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

// invalid are the problems of what was sent.
func invalid(problems []store.Problem) error {
	out := &access.InvalidError{}
	for _, p := range problems {
		x := access.Problem{
			Severity: string(p.Severity), Code: p.Code, Field: p.Field, File: p.Position.File, Line: p.Position.Line, Column: p.Position.Column,
			Message: p.Message, Remedy: p.Remedy,
		}
		if p.Object != (store.Key{}) {
			x.Object = p.Object.String()
		}
		out.Problems = append(out.Problems, x)
	}
	return out
}

func checkRole(r access.Role) error {
	if !slices.Contains(access.Roles, r) {
		return access.Invalid("role", "must be viewer, operator or admin, not %q", r)
	}
	return nil
}

// found gives ErrNotFound a name.
func named(err error, what string) error {
	if errors.Is(err, statedb.ErrNotFound) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return err
}
