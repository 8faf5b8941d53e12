package decode

import (
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// Configurations with a hundred thousand objects keep to a small part of YAML:
// block and flow collections, and scalars on one line. plainParser reads that
// part some ten times as fast as the library, and gives up at the first sign of
// anything else, errors included, which the library then reads from the start.
// A fuzz test holds the two to the same nodes.
type plainParser struct {
	src       string
	pos       int
	line      int // from 1
	lineStart int
	depth     int
	deep      bool         // there are more levels than maxNesting
	stack     []*yaml.Node // children of collections that are not closed yet
	nodes     slab[yaml.Node]
	children  slab[*yaml.Node]
	places    []place // for the walker
}

// slab hands out memory that is used again for the next document.
type slab[T any] struct {
	chunks [][]T
	chunk  int // in use
	used   int // of it
}

func (s *slab[T]) take(n int) []T {
	for ; s.chunk < len(s.chunks); s.chunk, s.used = s.chunk+1, 0 {
		if c := s.chunks[s.chunk]; s.used+n <= len(c) {
			out := c[s.used : s.used+n : s.used+n]
			s.used += n
			return out
		}
	}
	s.chunks = append(s.chunks, make([]T, max(128, n)))
	s.used = n
	return s.chunks[s.chunk][:n:n]
}

func (s *slab[T]) reset() { s.chunk, s.used = 0, 0 }

var plainParsers = sync.Pool{New: func() any { return new(plainParser) }}

// maxPlain bounds the documents whose memory is kept for the next one.
const maxPlain = 64 << 10

// release gives the nodes of the document back. None may be used any more.
func (p *plainParser) release() {
	if len(p.src) <= maxPlain {
		p.src = ""
		plainParsers.Put(p)
	}
}

// parse returns the root of a document; nil if the library has to read it.
func (p *plainParser) parse(text []byte) *yaml.Node {
	p.deep = false
	for _, c := range text {
		if c < ' ' && c != '\n' || c > '~' {
			return nil
		}
	}
	p.src, p.pos, p.line, p.lineStart, p.depth, p.stack = string(text), 0, 1, 0, 0, p.stack[:0]
	p.nodes.reset()
	p.children.reset()
	if strings.HasPrefix(p.src, "---") {
		if p.pos = 3; !p.endOfLine() {
			return nil
		}
	}
	if !p.nextContent() || strings.HasPrefix(p.src, "...") || strings.Contains(p.src, "\n...") || strings.Contains(p.src, "\n---") {
		return nil
	}
	var root *yaml.Node
	if p.src[p.pos] == '{' {
		if root = p.flow(); root == nil || !p.endOfLine() || p.nextContent() {
			return nil
		}
		return root
	}
	if root = p.mapping(p.column()); root == nil || p.pos < len(p.src) {
		return nil
	}
	return root
}

func (p *plainParser) column() int { return p.pos - p.lineStart }

func (p *plainParser) peek(ahead int) byte {
	if p.pos+ahead < len(p.src) {
		return p.src[p.pos+ahead]
	}
	return '\n'
}

// blank tells whether a byte separates: a space, or the end of the line.
func blank(c byte) bool { return c == ' ' || c == '\n' }

// endOfLine passes over spaces and a comment. It is false if there is more.
func (p *plainParser) endOfLine() bool {
	start := p.pos
	for p.pos < len(p.src) && p.src[p.pos] == ' ' {
		p.pos++
	}
	if p.pos < len(p.src) && p.src[p.pos] == '#' {
		if p.pos == start && p.column() > 0 {
			return false
		}
		if i := strings.IndexByte(p.src[p.pos:], '\n'); i >= 0 {
			p.pos += i
		} else {
			p.pos = len(p.src)
		}
	}
	return p.pos >= len(p.src) || p.src[p.pos] == '\n'
}

// nextContent goes from the end of a line to the next line with something in
// it. It is false at the end.
func (p *plainParser) nextContent() bool {
	for p.pos < len(p.src) {
		if p.src[p.pos] == '\n' {
			p.pos++
			p.line++
			p.lineStart = p.pos
		}
		if !p.endOfLine() {
			return true
		}
	}
	return false
}

func (p *plainParser) node(kind yaml.Kind, tag string) *yaml.Node {
	n := &p.nodes.take(1)[0]
	*n = yaml.Node{Kind: kind, Tag: tag, Line: p.line, Column: p.column() + 1}
	return n
}

// close gives a collection its children, which are on the stack from mark on.
func (p *plainParser) close(n *yaml.Node, mark int) *yaml.Node {
	n.Content = p.children.take(len(p.stack) - mark)
	copy(n.Content, p.stack[mark:])
	p.stack = p.stack[:mark]
	return n
}

// dash tells whether an item of a block sequence begins here.
func (p *plainParser) dash() bool { return p.src[p.pos] == '-' && blank(p.peek(1)) }

// maxNesting bounds the levels of a document. Where there are more, nobody looks
// at the rest of it.
const maxNesting = 500

// enter is called for each collection.
func (p *plainParser) enter() bool {
	p.depth++
	p.deep = p.deep || p.depth > maxNesting
	return !p.deep
}

// mapping reads a block mapping whose keys are at a column.
func (p *plainParser) mapping(column int) *yaml.Node {
	if !p.enter() {
		return nil
	}
	defer func() { p.depth-- }()
	n, mark := p.node(yaml.MappingNode, "!!map"), len(p.stack)
	for {
		if p.dash() {
			return nil
		}
		key := p.scalar(false, true)
		if key == nil || p.peek(0) != ':' || !blank(p.peek(1)) {
			return nil
		}
		p.pos++
		value := p.value(column)
		if value == nil {
			return nil
		}
		p.stack = append(p.stack, key, value)
		if p.pos >= len(p.src) || p.column() < column {
			return p.close(n, mark)
		}
		if p.column() > column {
			return nil
		}
	}
}

// value reads what follows a key at a column, and goes on to the next content.
func (p *plainParser) value(column int) *yaml.Node {
	if !p.endOfLine() {
		return p.inline()
	}
	if !p.nextContent() {
		return nil // a null
	}
	switch at := p.column(); {
	case at > column && p.dash(), at == column && p.dash():
		return p.sequence(at)
	case at > column:
		return p.mapping(at)
	}
	return nil
}

// inline reads a value that ends on this line, or is a flow collection.
func (p *plainParser) inline() *yaml.Node {
	var n *yaml.Node
	if c := p.src[p.pos]; c == '{' || c == '[' {
		n = p.flow()
	} else {
		n = p.scalar(false, false)
	}
	if n == nil || !p.endOfLine() {
		return nil
	}
	p.nextContent()
	return n
}

// sequence reads a block sequence whose dashes are at a column.
func (p *plainParser) sequence(column int) *yaml.Node {
	if !p.enter() {
		return nil
	}
	defer func() { p.depth-- }()
	n, mark := p.node(yaml.SequenceNode, "!!seq"), len(p.stack)
	for {
		p.pos++
		if p.endOfLine() || p.dash() {
			return nil
		}
		var item *yaml.Node
		if p.keyAhead() {
			item = p.mapping(p.column())
		} else {
			item = p.inline()
		}
		if item == nil {
			return nil
		}
		p.stack = append(p.stack, item)
		switch at := p.column(); {
		case p.pos >= len(p.src) || at < column:
			return p.close(n, mark)
		case at > column:
			return nil
		case !p.dash():
			return p.close(n, mark) // the next key of the mapping around it
		}
	}
}

// keyAhead tells whether a scalar with a colon behind it is next.
func (p *plainParser) keyAhead() bool {
	if c := p.src[p.pos]; c == '{' || c == '[' {
		return false
	}
	at := p.pos
	mark, used := p.nodes.chunk, p.nodes.used
	key := p.scalar(false, true)
	is := key != nil && p.peek(0) == ':' && blank(p.peek(1))
	p.pos, p.nodes.chunk, p.nodes.used = at, mark, used
	return is
}

// flow reads a collection in brackets.
func (p *plainParser) flow() *yaml.Node {
	if !p.enter() {
		return nil
	}
	defer func() { p.depth-- }()
	isMap, end := p.src[p.pos] == '{', byte(']')
	n, mark := p.node(yaml.SequenceNode, "!!seq"), len(p.stack)
	if isMap {
		n.Kind, n.Tag, end = yaml.MappingNode, "!!map", '}'
	}
	n.Style = yaml.FlowStyle
	p.pos++
	for first := true; ; first = false {
		if !p.flowContent() {
			return nil
		}
		if p.src[p.pos] == end && first {
			p.pos++
			return p.close(n, mark)
		}
		if isMap && !p.flowKey() {
			return nil
		}
		item := p.flowItem()
		if item == nil || !p.flowContent() {
			return nil
		}
		p.stack = append(p.stack, item)
		switch p.src[p.pos] {
		case end:
			p.pos++
			return p.close(n, mark)
		case ',':
			p.pos++
		default:
			return nil
		}
	}
}

// flowKey reads a key with its colon, and puts it on the stack.
func (p *plainParser) flowKey() bool {
	key := p.scalar(true, true)
	if key == nil || p.peek(0) != ':' || !blank(p.peek(1)) && key.Style == 0 {
		return false
	}
	p.pos++
	p.stack = append(p.stack, key)
	return p.flowContent()
}

func (p *plainParser) flowItem() *yaml.Node {
	if c := p.src[p.pos]; c == '{' || c == '[' {
		return p.flow()
	}
	return p.scalar(true, false)
}

// flowContent goes to the next thing in brackets, on this line or a later one.
func (p *plainParser) flowContent() bool {
	if !p.endOfLine() {
		return true
	}
	// Below column 1 the library sees the ends of the collections around it.
	return p.nextContent() && p.column() > 0
}

// scalar reads a scalar on one line. As a key, it ends at its colon.
func (p *plainParser) scalar(inFlow, isKey bool) *yaml.Node {
	switch c := p.src[p.pos]; c {
	case '"', '\'':
		return p.quoted(c)
	case '-':
		if next := p.peek(1); blank(next) || strings.IndexByte(",[]{}", next) >= 0 {
			return nil
		}
	case ',', '[', ']', '{', '}', '#', '&', '*', '!', '|', '>', '%', '@', '`', '?', ':':
		return nil
	}
	n := p.node(yaml.ScalarNode, "")
	start, end := p.pos, p.pos
scan:
	for ; p.pos < len(p.src); p.pos++ {
		switch c := p.src[p.pos]; c {
		case '\n':
			break scan
		case ' ':
			if p.peek(1) == '#' {
				break scan
			}
			continue
		case ':':
			next := p.peek(1)
			if blank(next) {
				if !isKey {
					return nil
				}
				break scan
			}
			if inFlow && strings.IndexByte(",[]{}", next) >= 0 {
				return nil
			}
		case ',', ']', '}':
			if inFlow {
				break scan
			}
		case '[', '{', '?':
			if inFlow {
				return nil
			}
		}
		end = p.pos + 1
	}
	// Spaces before a colon are allowed in keys, but who writes them?
	if isKey && end != p.pos || end-start > 512 {
		return nil
	}
	p.pos = end
	n.Value = p.src[start:end]
	n.Tag = tagOf(n.Value)
	if n.Value == "<<" || n.Tag == "!!null" {
		return nil
	}
	return n
}

// quoted reads a scalar in quotes that has nothing to unescape.
func (p *plainParser) quoted(quote byte) *yaml.Node {
	n := p.node(yaml.ScalarNode, "!!str")
	n.Style = yaml.DoubleQuotedStyle
	if quote == '\'' {
		n.Style = yaml.SingleQuotedStyle
	}
	rest := p.src[p.pos+1:]
	end := strings.IndexByte(rest, quote)
	if end < 0 || end > 512 || strings.ContainsAny(rest[:end], "\\\n") || quote == '\'' && strings.HasPrefix(rest[end+1:], "'") {
		return nil
	}
	n.Value = rest[:end]
	p.pos += end + 2
	return n
}

// tagOf says what YAML takes a plain scalar for. Most words begin with a letter
// that nothing but text begins with.
func tagOf(s string) string {
	switch c := s[0]; {
	case c == '/', 'a' <= c && c <= 'z' && strings.IndexByte("fnoty", c) < 0, 'A' <= c && c <= 'Z' && strings.IndexByte("FNOTY", c) < 0:
		return "!!str"
	}
	n := yaml.Node{Kind: yaml.ScalarNode, Value: s}
	return n.ShortTag()
}
