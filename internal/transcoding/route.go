package transcoding

import (
	"fmt"
	"slices"
	"strings"
)

// node is a place in the tree of templates. A literal goes before "*", and that
// before "**", segment by segment.
type node struct {
	literals map[string]*node
	star     *node
	rest     *leaf
	leaf     leaf
}

// leaf holds what ends at a place, by verb.
type leaf struct {
	verbs map[string]*methods
}

// methods are the bindings of one path, by HTTP method; "*" is any.
type methods struct {
	byName map[string]*Binding
}

// add puts a binding into the tree; it is an error if another has its place.
func (n *node) add(b *Binding) error {
	at := &n.leaf
	for _, s := range b.template.segments {
		switch s.kind {
		case literal:
			if n.literals == nil {
				n.literals = map[string]*node{}
			}
			next := n.literals[s.text]
			if next == nil {
				next = &node{}
				n.literals[s.text] = next
			}
			n = next
		case star:
			if n.star == nil {
				n.star = &node{}
			}
			n = n.star
		case rest:
			if n.rest == nil {
				n.rest = &leaf{}
			}
			at = n.rest
			continue
		}
		at = &n.leaf
	}
	if at.verbs == nil {
		at.verbs = map[string]*methods{}
	}
	m := at.verbs[b.template.verb]
	if m == nil {
		m = &methods{byName: map[string]*Binding{}}
		at.verbs[b.template.verb] = m
	}
	if other := m.byName[b.HTTPMethod]; other != nil {
		return fmt.Errorf("%s %s is the path of %s already", b.HTTPMethod, b.pattern, other.Method.Name)
	}
	m.byName[b.HTTPMethod] = b
	return nil
}

// lookup walks the tree. Whatever the path, each node is visited at most once.
type lookup struct {
	segments []string
	verb     string
	method   string
	// others are bindings of the path for other methods.
	others *methods
}

func (l *lookup) find(n *node, depth int) *Binding {
	if depth == len(l.segments) {
		if b := l.at(&n.leaf); b != nil {
			return b
		}
	} else {
		if len(n.literals) > 0 {
			if text, ok := decode(l.segments[depth], false); ok {
				if next := n.literals[text]; next != nil {
					if b := l.find(next, depth+1); b != nil {
						return b
					}
				}
			}
		}
		if n.star != nil && l.segments[depth] != "" {
			if b := l.find(n.star, depth+1); b != nil {
				return b
			}
		}
	}
	if n.rest != nil {
		return l.at(n.rest)
	}
	return nil
}

func (l *lookup) at(leaf *leaf) *Binding {
	m := leaf.verbs[l.verb]
	if m == nil {
		return nil
	}
	if b := m.byName[l.method]; b != nil {
		return b
	}
	if b := m.byName["*"]; b != nil {
		return b
	}
	l.others = m
	return nil
}

// Match is a binding and where its variables are in the path.
type Match struct {
	*Binding
	segments []string
}

// Find finds the binding for a request, whose path has its escapes. If there is
// none, allowed are the methods that the path has bindings for.
func (s *Schema) Find(method, path string) (m Match, allowed []string, ok bool) {
	if path == "" || path[0] != '/' || strings.Count(path, "/") > maxPathSegments {
		return Match{}, nil, false
	}
	l := lookup{method: method}
	if path != "/" {
		l.segments = strings.Split(path[1:], "/")
	}
	// A verb goes first: "*" would match it, too.
	if last := len(l.segments) - 1; last >= 0 {
		if at := strings.LastIndexByte(l.segments[last], ':'); at >= 0 {
			whole := l.segments[last]
			l.segments[last], l.verb = whole[:at], whole[at+1:]
			if b := l.find(&s.root, 0); b != nil {
				return Match{b, l.segments}, nil, true
			}
			l.segments[last], l.verb = whole, ""
		}
	}
	if b := l.find(&s.root, 0); b != nil {
		return Match{b, l.segments}, nil, true
	}
	if l.others != nil {
		for name := range l.others.byName {
			allowed = append(allowed, name)
		}
		slices.Sort(allowed)
	}
	return Match{}, allowed, false
}

// maxPathSegments bounds what is taken apart of a request's path.
const maxPathSegments = 256

// value is what a variable has taken of the path.
func (m *Match) value(v *variable) (string, bool) {
	to := v.to
	if to < 0 {
		to = len(m.segments)
	}
	if v.single {
		return decode(m.segments[v.from], false)
	}
	// google.api.http: in several segments "%2F" stays what it is.
	return decode(strings.Join(m.segments[v.from:to], "/"), true)
}
