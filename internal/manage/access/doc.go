// Package access says who may call, and who may manage: what is asked of, and answered
// by, those who keep consumers with their credentials, tokens of the admin API with their
// roles, and the audit log. Package accessdb keeps them, in the state store.
//
// It is data that the admin API, its client and commands carry, and reaches neither the
// state store nor objects, so that a proxy without them can have an admin API.
package access

import (
	"errors"
	"fmt"
	"strings"
)

// MaxPage bounds the items of one page.
const MaxPage = 1000

// Actor is who asks for a change.
type Actor struct {
	// Name is the token's, or says how somebody was known without one.
	Name string `json:"name"`
	// Subject is who it is for certain, where names may change: whose sessions of the console
	// end together.
	Subject string `json:"-"`
	Role    Role   `json:"role"`
	// Peer is the address that the request came from.
	Peer string `json:"peer,omitempty"`
}

// Errors of changes, besides those of the state store.
var (
	ErrExists  = errors.New("it exists already")
	ErrChanged = errors.New("it has changed since it was read")
	ErrInFile  = errors.New("it is in a file")
	ErrInvalid = errors.New("it is not valid")
	ErrTaken   = errors.New("a credential belongs to somebody else")
	// ErrToken: nobody has such a token, or not any more.
	ErrToken = errors.New("the token is not known, or has expired")
	// ErrLast: what nobody could do without stays.
	ErrLast = errors.New("it is the last one")
)

// Problem is one thing that is wrong with what was sent.
type Problem struct {
	Severity, Code string
	// Object is what it is about, KIND NAMESPACE/NAME, if that could be told.
	Object string
	Field  string
	// File, Line and Column are where it stands, as far as that is known.
	File            string
	Line, Column    int
	Message, Remedy string
}

// InvalidError lists what is wrong with what was sent.
type InvalidError struct{ Problems []Problem }

func (e *InvalidError) Error() string {
	var list []string
	for _, p := range e.Problems {
		list = append(list, p.String())
	}
	return strings.Join(list, "\n")
}

// Is makes it an ErrInvalid.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// Invalid says what is wrong with a field; an empty one is all.
func Invalid(field, format string, args ...any) error {
	return &InvalidError{Problems: []Problem{{Severity: "error", Code: "InvalidValue", Field: field, Message: fmt.Sprintf(format, args...)}}}
}

// String is the problem in one line.
func (p *Problem) String() string {
	text := p.Severity + ": "
	if p.Line > 0 {
		text = fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, text)
	}
	for _, part := range []string{p.Object, p.Field} {
		if part != "" {
			text += part + ": "
		}
	}
	text += p.Message
	if p.Remedy != "" {
		text += "; " + p.Remedy
	}
	return text
}
