package route

import (
	"bytes"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Conditions are matches apart from a table, for policies that are about some of
// a rule's requests.
type Conditions struct{ list []alternative }

// alternative is one match.
type alternative struct {
	kind       ir.MatchType
	path       []byte
	pattern    *pattern
	conditions *conditions
}

// NewConditions compiles matches, of which one has to hold.
func NewConditions(list []ir.Match) (*Conditions, error) {
	c := &compiler{patterns: patterns{}}
	out := &Conditions{list: make([]alternative, len(list))}
	for i := range list {
		m := &list[i]
		a := alternative{kind: m.Path.Type, path: []byte(m.Path.Value)}
		var err error
		if m.Path.Type == ir.Regex {
			if a.pattern, err = c.patterns.get(m.Path.Value, nil); err != nil {
				return nil, err
			}
		}
		if a.conditions, err = compileConditions(m, c); err != nil {
			return nil, err
		}
		out.list[i] = a
	}
	return out, nil
}

// Hold tells whether one of the matches holds for a request.
func (s *Conditions) Hold(r *httpmsg.Request) bool {
	for i := range s.list {
		if a := &s.list[i]; a.onPath(r.Path) && a.conditions.hold(r) {
			return true
		}
	}
	return false
}

func (a *alternative) onPath(path []byte) bool {
	switch a.kind {
	case ir.Exact:
		return bytes.Equal(path, a.path)
	case ir.Regex:
		return a.pattern.match(path)
	}
	if len(a.path) == 1 {
		return true
	}
	// A prefix is of whole segments; compile leaves it no slash at its end.
	rest, ok := bytes.CutPrefix(path, a.path)
	return ok && (len(rest) == 0 || rest[0] == '/')
}
