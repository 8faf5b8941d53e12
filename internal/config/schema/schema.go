// Package schema knows the shape of every kind that Gridway takes: fields,
// types, defaults, ranges and cross-field rules. It is made from the CRD
// manifests of the Gateway API and of Gridway's own kinds, and from the Go
// types of the few core kinds, by internal/gen, and embedded, so that what a
// Kubernetes API server would refuse is refused offline too.
//
// The package owns no goroutines. Everything it hands out is read-only and may
// be shared. Decoders, generators and the CLI may import it; the data plane may
// not.
package schema

import (
	"regexp"
	"sync"
)

// Type is the JSON type of a value.
type Type string

// The types of values. IntOrString is a type of its own here.
const (
	Object      Type = "object"
	Array       Type = "array"
	String      Type = "string"
	Integer     Type = "integer"
	Number      Type = "number"
	Boolean     Type = "boolean"
	IntOrString Type = "int-or-string"
	// Any accepts everything without looking inside.
	Any Type = "any"
)

// Node is the schema of one value.
type Node struct {
	Type Type
	// Properties of an object; nil with Additional for maps.
	Properties map[string]*Node
	Additional *Node
	Required   []string
	// Items of an array.
	Items *Node
	// ListType is "", "atomic", "set" or "map"; ListKeys are the keys of a map.
	ListType string
	ListKeys []string

	Enum    []string
	Format  string
	Pattern *Pattern
	Minimum *int64
	Maximum *int64
	// MinLength and MaxLength count characters of a string, items of an array
	// or properties of an object.
	MinLength *int64
	MaxLength *int64

	// Default is the value taken when the field is left out, as JSON gives it
	// with whole numbers as int64; nil is none. Use CloneDefault.
	Default any
	Rules   []*Rule

	defaulted []string // the properties that have defaults
}

// CloneDefault returns a copy of the default that the caller may keep.
func (n *Node) CloneDefault() any { return clone(n.Default) }

func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = clone(e)
		}
		return m
	case []any:
		s := make([]any, len(v))
		for i, e := range v {
			s[i] = clone(e)
		}
		return s
	}
	return v
}

// Pattern is a regular expression, compiled when it is first used.
type Pattern struct {
	Source string
	once   sync.Once
	re     *regexp.Regexp
}

// Match reports whether s holds a match of the pattern (unanchored, as in JSON Schema).
func (p *Pattern) Match(s string) bool {
	p.once.Do(func() { p.re = regexp.MustCompile(p.Source) })
	return p.re.MatchString(s)
}

// Kind is one kind in one version.
type Kind struct {
	Group, Version, Kind string
	// Plural is the resource name, "httproutes".
	Plural     string
	Namespaced bool
	// Deprecated versions are accepted with a warning.
	Deprecated bool
	Root       *Node
}

// APIVersion returns "group/version", or "version" in the core group.
func (k *Kind) APIVersion() string {
	if k.Group == "" {
		return k.Version
	}
	return k.Group + "/" + k.Version
}

// Fields lists the names of an object's properties in order.
func (n *Node) Fields() []string { return sortedKeys(n.Properties) }

// ApplyDefaults fills in the fields that an object leaves out.
func (n *Node) ApplyDefaults(object map[string]any) {
	for _, name := range n.defaulted {
		if _, given := object[name]; given {
			continue
		}
		p := n.Properties[name]
		v := p.CloneDefault()
		if m, ok := v.(map[string]any); ok {
			p.ApplyDefaults(m)
		}
		object[name] = v
	}
}
