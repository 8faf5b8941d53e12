package decode

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

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
	places []packedPlace
	wide   []place // instead, where something does not fit
}

// packedPlace is a place in 8 bytes: there are some thirty for each object, and
// all stay in memory.
type packedPlace struct {
	key          uint16 // a symbol; zero for items of a list
	line, column uint16
	size         uint16 // up to the place's end
}

// symbols number the names of fields. There are about a thousand; what users
// name themselves, such as labels, may join them until they are full.
var symbols = struct {
	mu     sync.RWMutex
	number map[string]uint16 // guarded by mu
}{number: map[string]uint16{"": 0}}

const maxSymbols = 8192

func symbol(name string, add bool) (uint16, bool) {
	symbols.mu.RLock()
	n, ok := symbols.number[name]
	symbols.mu.RUnlock()
	if ok || !add {
		return n, ok
	}
	symbols.mu.Lock()
	defer symbols.mu.Unlock()
	if n, ok = symbols.number[name]; ok {
		return n, true
	}
	if len(symbols.number) >= maxSymbols {
		return 0, false
	}
	n = uint16(len(symbols.number))
	symbols.number[strings.Clone(name)] = n
	return n, true
}

// locate returns the locator for the places that were found. It keeps none of
// their memory.
func (w *walker) locate() *locator {
	l := &locator{file: w.doc.File, offset: w.doc.Line - 1, places: make([]packedPlace, len(w.places))}
	for i, p := range w.places {
		key, ok := symbol(p.key, true)
		if !ok || max(p.line, p.column, p.end-uint32(i)) > math.MaxUint16 {
			l.places, l.wide = nil, slices.Clone(w.places)
			return l
		}
		l.places[i] = packedPlace{key: key, line: uint16(p.line), column: uint16(p.column), size: uint16(p.end - uint32(i))}
	}
	return l
}

// Locate implements store.Locator.
func (l *locator) Locate(path string) store.Position {
	if len(l.places)+len(l.wide) == 0 {
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
	line, column, _ := l.at(at)
	return store.Position{File: l.file, Line: l.offset + int(line), Column: int(column)}
}

func (l *locator) at(i uint32) (line, column, end uint32) {
	if l.wide != nil {
		return l.wide[i].line, l.wide[i].column, l.wide[i].end
	}
	p := l.places[i]
	return uint32(p.line), uint32(p.column), i + uint32(p.size)
}

func (l *locator) child(parent uint32, key string, isIndex bool) (uint32, bool) {
	index := -1
	if isIndex {
		if n, err := strconv.Atoi(key); err == nil && n >= 0 {
			index = n
		}
	}
	number, known := symbol(key, false)
	known = known && number > 0
	_, _, last := l.at(parent)
	for c, i := parent+1, 0; c < last; i++ {
		var item, same bool
		if l.wide != nil {
			item, same = l.wide[c].key == "", key != "" && l.wide[c].key == key
		} else {
			item, same = l.places[c].key == 0, known && l.places[c].key == number
		}
		if same || item && i == index {
			return c, true
		}
		_, _, c = l.at(c)
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
	moved.Locator = &locator{file: l.file, offset: l.offset + lines, places: l.places, wide: l.wide}
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
