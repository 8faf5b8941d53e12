// Package store is the versioned set of objects in memory: what the user
// wrote, decoded, with the place of every field. Sources fill it, compile reads
// it. It owns no goroutines. Sources, compile, the CLI and app may import it;
// the data plane may not.
package store

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
)

// Key identifies an object. Version is not part of it: two versions of a kind
// name the same object.
type Key struct {
	Group, Kind, Namespace, Name string
}

// String returns "Kind/namespace/name", or "Kind/name" for cluster-scoped kinds.
func (k Key) String() string {
	if k.Namespace == "" {
		return k.Kind + "/" + k.Name
	}
	return k.Kind + "/" + k.Namespace + "/" + k.Name
}

// Position is a place in a file. Line and Column start at 1; zero is unknown.
type Position struct {
	File         string
	Line, Column int
}

// String returns "file:line:column", leaving out what is unknown.
func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Locator finds the place of a field by its path, as in "spec.rules[0].matches[1].path.value".
// For a path that is not in the document it answers the nearest parent's place.
type Locator interface {
	Locate(path string) Position
}

// Object is one decoded object. It is immutable once it is in a Set.
type Object struct {
	Key     Key
	Version string // API version without group: "v1"
	// Value is the typed object, for example *gatewayv1.HTTPRoute.
	Value runtime.Object
	// Source names where it came from: "file", "api", "kubernetes".
	Source string
	// Hash is a digest of the object's canonical content (not of its place):
	// equal hashes mean equal objects.
	Hash    uint64
	Locator Locator
	// Broken: the object has errors, and never had a version without. Value has
	// nothing of it but what it attaches to; whoever needs it is closed.
	Broken bool
	// Files are the paths of the files that data of a ConfigMap or Secret was read
	// from, by key.
	Files map[string]string
}

// Locate returns the place of a field; an empty path is the object itself.
func (o *Object) Locate(path string) Position {
	if o.Locator == nil {
		return Position{}
	}
	return o.Locator.Locate(path)
}

// Severity orders problems.
type Severity string

const (
	// Error: the object is not accepted; its last good version goes on serving.
	Error Severity = "error"
	// Warning: valid, but probably not what was meant.
	Warning Severity = "warning"
	// Note: information, such as an object that is not ours.
	Note Severity = "note"
)

// Problem is something the user should know about one place of one object.
type Problem struct {
	Severity Severity
	// Code is stable, in CamelCase, and doubles as a metric label: "UnknownField".
	Code     string
	Object   Key // zero when the document could not be identified
	Field    string
	Position Position
	// Message says what is wrong; Remedy what to do about it.
	Message string
	Remedy  string
}

// String is the one-line form: "file:line:column: error: field: message; remedy".
func (p Problem) String() string {
	s := ""
	if pos := p.Position.String(); pos != "" {
		s = pos + ": "
	}
	s += string(p.Severity) + ": "
	if p.Object != (Key{}) {
		s += p.Object.String() + ": "
	}
	if p.Field != "" {
		s += p.Field + ": "
	}
	s += p.Message
	if p.Remedy != "" {
		s += "; " + p.Remedy
	}
	return s
}
