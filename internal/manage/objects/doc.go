// Package objects says what may be asked of, and is answered by, those who keep objects
// of the configuration in the state store, and the revisions that they and the files have
// gone through. Package objectsdb keeps them; Recent remembers the last changes of files
// where there is no store.
//
// It is data that the admin API, its client and commands carry, and reaches neither the
// state store nor the compiler, so that a proxy without them can have an admin API.
package objects

import (
	"errors"
	"fmt"
	"strings"
)

// Bounds of what is kept.
const (
	// MaxObject is how long the text of one object may be, in bytes.
	MaxObject = 1 << 20
	// MaxChange is how long the text of one change may be, in bytes, and MaxChanged how
	// many objects it may have.
	MaxChange  = 10 << 20
	MaxChanged = 1000
	// MaxObjects is how many objects may be managed altogether.
	MaxObjects = 20000
	// MaxMessage is how long the message of a revision may be, in bytes.
	MaxMessage = 1000
	// MaxPage bounds the revisions of one page.
	MaxPage = 1000
	// DefaultRevisions is how many are kept unless somebody says otherwise.
	DefaultRevisions = 1000
)

// Errors of changes, besides those of the state store.
var (
	// ErrInFile: a file has the object, and holds.
	ErrInFile = errors.New("it is in a file")
	// ErrChanged: the configuration has another revision than was expected.
	ErrChanged = errors.New("the configuration has changed since")
	// ErrFiles: a revision of files cannot be rolled back here.
	ErrFiles = errors.New("it is a change of files")
	// ErrRole: the change needs another role.
	ErrRole = errors.New("the change needs the role admin")
	// ErrTooMuch: the bounds above.
	ErrTooMuch = errors.New("it is too much")
	// ErrSeal: Secrets cannot be sealed, or not be opened.
	ErrSeal = errors.New("a Secret cannot be kept")
	// ErrForgotten: revisions that would be needed are not kept any more.
	ErrForgotten = errors.New("it is not kept any more")
)

// Name is what an object is known by. Namespace is empty for cluster-scoped kinds.
type Name struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// String is "Kind/namespace/name", or "Kind/name" for cluster-scoped kinds.
func (n Name) String() string {
	if n.Namespace == "" {
		return n.Kind + "/" + n.Name
	}
	return n.Kind + "/" + n.Namespace + "/" + n.Name
}

// ParseName reads what String writes.
func ParseName(text string) (Name, error) {
	parts := strings.Split(text, "/")
	if len(parts) == 3 && parts[1] == "-" { // as paths of the admin API write it
		parts = []string{parts[0], parts[2]}
	}
	n := Name{Kind: parts[0], Name: parts[len(parts)-1]}
	if len(parts) == 3 {
		n.Namespace = parts[1]
	}
	if len(parts) < 2 || len(parts) > 3 || n.Kind == "" || n.Name == "" || len(parts) == 3 && n.Namespace == "" {
		return Name{}, fmt.Errorf("%q is no object: write KIND/NAMESPACE/NAME, or KIND/NAME for kinds without namespaces", text)
	}
	return n, nil
}

// Diagnostic is one thing that is wrong, or suspicious, with a change.
type Diagnostic struct {
	// Line and Column, from 1, are a place in what was sent, or in File where that is
	// not empty; zero is that the place is not known.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// File is where the place is, if it is not in what was sent: a file of the gateway,
	// or "managed/KIND/NAMESPACE/NAME".
	File string `json:"file,omitempty"`
	// Code is stable, in CamelCase.
	Code string `json:"code"`
	// Object is "Kind/namespace/name" if it could be told.
	Object  string `json:"object,omitempty"`
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
	// Hint says what to do about it.
	Hint string `json:"hint,omitempty"`
}

// String is the diagnostic in one line.
func (d *Diagnostic) String() string {
	var b strings.Builder
	switch {
	case d.Line > 0 && d.File != "":
		fmt.Fprintf(&b, "%s:%d:%d: ", d.File, d.Line, d.Column)
	case d.Line > 0:
		fmt.Fprintf(&b, "line %d, column %d: ", d.Line, d.Column)
	case d.File != "":
		b.WriteString(d.File + ": ")
	}
	for _, part := range []string{d.Object, d.Field} {
		if part != "" {
			b.WriteString(part + ": ")
		}
	}
	b.WriteString(d.Message)
	if d.Hint != "" {
		b.WriteString("; " + d.Hint)
	}
	return b.String()
}

// InvalidError lists what a change is refused for.
type InvalidError struct{ Errors []Diagnostic }

func (e *InvalidError) Error() string {
	var list []string
	for i := range e.Errors {
		list = append(list, e.Errors[i].String())
	}
	return strings.Join(list, "\n")
}

// Invalid is an InvalidError about no place.
func Invalid(code, hint, format string, args ...any) error {
	return &InvalidError{Errors: []Diagnostic{{Code: code, Message: fmt.Sprintf(format, args...), Hint: hint}}}
}
