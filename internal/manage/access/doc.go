// Package access keeps who may call, and who may manage, in the state store:
// consumers with their credentials, tokens of the admin API with their roles, and
// the audit log of what was changed by whom. What is changed is in the audit log,
// in the same transaction.
//
// It owns no goroutines. The admin API is its user; proxies get consumers as
// objects of the source state, and nothing else of it.
package access

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/config/store"
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

// Actor is who asks for a change.
type Actor struct {
	// Name is the token's, or says how somebody was known without one.
	Name string `json:"name"`
	Role Role   `json:"role"`
	// Peer is the address that the request came from.
	Peer string `json:"peer,omitempty"`
}

// Errors of the service besides those of package statedb.
var (
	ErrExists  = errors.New("it exists already")
	ErrChanged = errors.New("it has changed since it was read")
	ErrInFile  = errors.New("it is in a file")
	ErrInvalid = errors.New("it is not valid")
	ErrTaken   = errors.New("a credential belongs to somebody else")
)

// InvalidError lists what is wrong with what was sent.
type InvalidError struct{ Problems []store.Problem }

func (e *InvalidError) Error() string {
	var list []string
	for _, p := range e.Problems {
		list = append(list, p.String())
	}
	return strings.Join(list, "\n")
}

// Is makes it an ErrInvalid.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

func invalid(field, format string, args ...any) error {
	return &InvalidError{Problems: []store.Problem{{Severity: store.Error, Code: "InvalidValue", Field: field, Message: fmt.Sprintf(format, args...)}}}
}

// found gives ErrNotFound a name.
func named(err error, what string) error {
	if errors.Is(err, statedb.ErrNotFound) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return err
}
