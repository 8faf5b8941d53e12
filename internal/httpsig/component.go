package httpsig

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Component is one that signatures must cover.
type Component struct{ component }

// ParseComponent reads a component as people write it, without quotes around its name:
// "@method", "content-digest", `example-dict;key="a"`.
func ParseComponent(written string) (Component, error) {
	name, rest, more := strings.Cut(written, ";")
	if more {
		rest = ";" + rest
	}
	s := &scanner{s: rest}
	params, err := s.parameters()
	if err != nil || s.at < len(rest) {
		return Component{}, errors.New("its parameters are not those of a structured field, as in ;sf or ;key=\"a\"")
	}
	if !fieldName(strings.TrimPrefix(name, "@")) {
		return Component{}, errors.New("its name is not that of a header in lower case")
	}
	c, err := newComponent(name, Quote(name), params)
	switch {
	case err != nil:
		return Component{}, err
	case name[0] == '@' && !slices.Contains(derivedNames, name):
		return Component{}, fmt.Errorf("requests have no component %s", name)
	case name == "@query-param" && len(params) == 0:
		return Component{}, errors.New("it needs the name of a parameter, as in @query-param;name=\"id\"")
	case c.unsupported:
		return Component{}, errors.New("it has parameters that are not supported together, or at all: there are ;sf, ;key=\"…\" and ;bs of headers, and ;name=\"…\" of @query-param")
	}
	return Component{c}, nil
}

func fieldName(s string) bool {
	for _, c := range []byte(s) {
		if !lower(c) && !digit(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// Name is without parameters.
func (c *Component) Name() string { return c.name }

// Whole tells whether it is all of a field, or a derived component.
func (c *Component) Whole() bool { return !c.keyed }

// ID is the component as Signature-Input and Accept-Signature have it.
func (c *Component) ID() string { return c.id }

// parents are the derived components that have another one in them.
var parents = map[string][]string{
	"@authority": {"@target-uri"}, "@scheme": {"@target-uri"},
	"@path": {"@target-uri", "@request-target"}, "@query": {"@target-uri", "@request-target"},
	"@query-param": {"@query", "@target-uri", "@request-target"},
}

// Covers tells whether the signature covers a component: itself, or all of what it is a
// part of. A field is covered in any form of it, for all of them say all of it.
func (g *Signature) Covers(want *Component) bool {
	return slices.ContainsFunc(g.components, func(c component) bool {
		switch {
		case c.id == want.id:
			return true
		case c.name == want.name && c.name[0] != '@':
			return !c.keyed
		}
		return slices.Contains(parents[want.name], c.name)
	})
}

// CoversField tells whether the signature covers all of a field.
func (g *Signature) CoversField(name string) bool {
	return slices.ContainsFunc(g.components, func(c component) bool { return c.name == name && !c.keyed })
}
