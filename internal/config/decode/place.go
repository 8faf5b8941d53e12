package decode

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gridway/gridway/internal/config/store"
)

// place is where one value stands. The places of an object are a tree in
// preorder: the children of place i begin at i+1, and the next sibling of a
// place is at its end.
type place struct {
	key          string // of a field; empty for items of a list
	line, column uint32 // line within the document, from 1
	end          uint32
}

// locator answers where the fields of one object stand.
type locator struct {
	file   string
	offset int // lines of the file before the document
	places []place
}

// Locate implements store.Locator.
func (l *locator) Locate(path string) store.Position {
	if len(l.places) == 0 {
		return store.Position{File: l.file}
	}
	at := uint32(0)
	for path != "" {
		var key string
		var isIndex bool
		key, isIndex, path = nextStep(path)
		child, ok := l.child(at, key, isIndex)
		if !ok {
			break
		}
		at = child
	}
	p := l.places[at]
	return store.Position{File: l.file, Line: l.offset + int(p.line), Column: int(p.column)}
}

func (l *locator) child(parent uint32, key string, isIndex bool) (uint32, bool) {
	index := -1
	if isIndex {
		if n, err := strconv.Atoi(key); err == nil && n >= 0 {
			index = n
		}
	}
	for c, i := parent+1, 0; c < l.places[parent].end; c, i = l.places[c].end, i+1 {
		k := l.places[c].key
		if k == key && key != "" || k == "" && i == index {
			return c, true
		}
	}
	return 0, false
}

// nextStep cuts the first step off a path: "a.b", "[0].c", "labels[x.y/z]".
func nextStep(path string) (key string, isIndex bool, rest string) {
	path = strings.TrimPrefix(path, ".")
	if strings.HasPrefix(path, "[") {
		key, rest, _ = strings.Cut(path[1:], "]")
		return key, true, rest
	}
	end := strings.IndexAny(path, ".[")
	if end < 0 {
		return path, false, ""
	}
	return path[:end], false, path[end:]
}

// Shift returns the object as it is when its document has moved by so many
// lines and has not changed otherwise: the same value and hash with other
// positions.
func Shift(o *store.Object, lines int) *store.Object {
	l, ok := o.Locator.(*locator)
	if !ok || lines == 0 {
		return o
	}
	moved := *o
	moved.Locator = &locator{file: l.file, offset: l.offset + lines, places: l.places}
	return &moved
}

// position is the place of a node in its file; without a node, of the document.
func (w *walker) position(n *yaml.Node) store.Position {
	if n == nil {
		return store.Position{File: w.doc.File, Line: w.doc.Line, Column: 1}
	}
	return store.Position{File: w.doc.File, Line: w.doc.Line + n.Line - 1, Column: n.Column}
}

// enter opens the place of a field or an item, and returns its number.
// A scalar stands where its value does, a field with more in it where its name does.
func (w *walker) enter(key string, name, value *yaml.Node) int {
	at := value
	if name != nil && value.Kind != yaml.ScalarNode {
		at = name
	}
	w.places = append(w.places, place{key: key, line: uint32(at.Line), column: uint32(at.Column)})
	return len(w.places) - 1
}

func (w *walker) leave(place int) { w.places[place].end = uint32(len(w.places)) }
