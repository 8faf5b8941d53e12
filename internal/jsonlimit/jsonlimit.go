// Package jsonlimit checks that a text is JSON (RFC 8259) and keeps within limits,
// piece by piece as it passes. It keeps no value: what it remembers is a few bytes
// for each object and array that is open and, where names may not repeat, a number
// for each name in those objects.
//
// It owns no goroutines and imports the standard library only.
package jsonlimit

import (
	"fmt"
	"hash/maphash"
)

// Limits of a text; zero is no limit, but of Depth.
type Limits struct {
	// Depth is how many objects and arrays may be inside each other; zero is
	// DefaultDepth.
	Depth int
	// Members is how many an object may have, Elements how many an array.
	Members, Elements int
	// Values is how many there may be in all, objects and arrays counted too.
	Values int
	// NameBytes, StringBytes and NumberBytes bound what is written between quotes,
	// escapes as they are, and the digits of a number.
	NameBytes, StringBytes, NumberBytes int
	// UniqueNames refuses objects in which a name is there twice, however written.
	UniqueNames bool
	// Sequence allows any number of values, also none, with white space between
	// them, as application/x-ndjson has. Values then bounds each of them.
	Sequence bool
}

const (
	// DefaultDepth is what Limits.Depth is if it says nothing.
	DefaultDepth = 64
	// maxNames bounds the memory for names in open objects: 8 bytes each.
	maxNames = 1 << 17
)

// Error says why a text is refused.
type Error struct {
	// Offset counts the bytes before the one that is refused.
	Offset int64
	// Over: the text is over a limit. Otherwise it is not JSON.
	Over bool
	// What is for people. It repeats nothing of the text.
	What string
}

func (e *Error) Error() string { return fmt.Sprintf("%s, at byte %d", e.What, e.Offset+1) }

// Checker reads one text. It is made by New.
type Checker struct {
	limits Limits
	state  state
	// length is that of the name, string or number that is being read; values are
	// those that have begun.
	length, values int
	isName         bool
	offset         int64
	err            *Error

	open []container
	// names are the hashes of the names in open objects, the innermost last.
	names []uint64
	name  maphash.Hash

	literal string // what is left of true, false or null
	code    uint32 // of an escape
	digits  int
	high    uint32 // the first half of a surrogate pair
	utf8    utf8State
}

// container is an object or array that is open.
type container struct {
	array bool
	count int
	// names is where those of the object begin; seen has them too once they are many.
	names int
	seen  map[uint64]struct{}
}

type state uint8

const (
	value         state = iota // a value must come
	firstElement               // a value or ]
	firstMember                // a name or }
	member                     // a name
	colon                      // :
	after                      // , or the end of the container
	ended                      // nothing more
	inString                   // between quotes
	escape                     // after a backslash
	hex                        // digits of \u
	literal                    // of true, false, null
	minus                      // after -
	zero                       // after a leading 0
	integer                    // digits before a dot
	point                      // after the dot
	fraction                   // digits after it
	exponent                   // after e
	exponentSign               // after its sign
	exponentDigit              // its digits
)

// New makes a Checker for one text.
func New(l Limits) *Checker {
	if l.Depth <= 0 {
		l.Depth = DefaultDepth
	}
	return &Checker{limits: l}
}

// Write takes the next piece of the text. An error is an *Error, and the same for
// whatever follows.
func (c *Checker) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	for i := 0; i < len(p); {
		if c.state == inString {
			n := c.plain(p[i:])
			if c.err != nil {
				c.err.Offset = c.offset + int64(i) + c.err.Offset
				return i, c.err
			}
			if i += n; i == len(p) {
				break
			}
		}
		if c.byte(p[i]); c.err != nil {
			c.err.Offset = c.offset + int64(i)
			return i, c.err
		}
		i++
	}
	c.offset += int64(len(p))
	return len(p), nil
}

// Close says that the text is over; an error says that it may not be.
func (c *Checker) Close() error {
	if c.err != nil {
		return c.err
	}
	c.endNumber()
	if c.err == nil && c.state != ended && (!c.limits.Sequence || c.state != value || len(c.open) > 0) {
		c.malformed("the text ends before the value is complete")
	}
	if c.err == nil {
		return nil
	}
	c.err.Offset = c.offset
	return c.err
}

func (c *Checker) malformed(what string) { c.err = &Error{What: what} }

func (c *Checker) over(format string, limit int) {
	c.err = &Error{Over: true, What: fmt.Sprintf(format, limit)}
}

// plain passes over what needs no look in a string, and says how much it was.
func (c *Checker) plain(p []byte) int {
	if room := 1 - c.excess(); c.limit() > 0 && len(p) > room {
		p = p[:room]
	}
	n := 0
	for n < len(p) {
		b := p[n]
		if b == '"' || b == '\\' || b < ' ' {
			break
		}
		if c.high != 0 {
			c.malformed("an escape in a string is half of a surrogate pair")
			return n
		}
		if (b >= 0x80 || c.utf8.inside()) && !c.utf8.next(b) {
			c.err = &Error{Offset: int64(n), What: "a string is not UTF-8"}
			return n
		}
		n++
	}
	if n == 0 {
		return 0
	}
	if c.lengthen(n); c.err != nil {
		c.err.Offset = int64(n - 1)
	}
	if c.isName && c.limits.UniqueNames {
		c.name.Write(p[:n])
	}
	return n
}

// lengthen counts bytes of the name or string that is being read.
func (c *Checker) lengthen(n int) {
	c.length += n
	switch {
	case c.excess() <= 0:
	case c.isName:
		c.over("a name is longer than %d bytes", c.limits.NameBytes)
	default:
		c.over("a string is longer than %d bytes", c.limits.StringBytes)
	}
}

// excess is how much of the name or string is over its limit.
func (c *Checker) excess() int {
	if c.limit() == 0 {
		return 0
	}
	return c.length - c.limit()
}

// limit is that of the name or string that is being read.
func (c *Checker) limit() int {
	if c.isName {
		return c.limits.NameBytes
	}
	return c.limits.StringBytes
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// byte takes one byte in any state.
func (c *Checker) byte(b byte) {
	switch c.state {
	case inString:
		c.special(b)
	case escape:
		c.escaped(b)
	case hex:
		c.hexDigit(b)
	case literal:
		if b != c.literal[0] {
			c.malformed("a value must be an object, an array, a string, a number, true, false or null")
			return
		}
		if c.literal = c.literal[1:]; c.literal == "" {
			c.complete()
		}
	case minus, zero, integer, point, fraction, exponent, exponentSign, exponentDigit:
		if !c.number(b) && c.err == nil {
			c.structure(b)
		}
	default:
		c.structure(b)
	}
}

// structure takes a byte between values.
func (c *Checker) structure(b byte) {
	if isSpace(b) {
		return
	}
	switch c.state {
	case firstElement:
		if b == ']' {
			c.close()
			return
		}
		c.begin(b)
	case value:
		c.begin(b)
	case firstMember:
		if b == '}' {
			c.close()
			return
		}
		c.beginName(b)
	case member:
		c.beginName(b)
	case colon:
		if b != ':' {
			c.malformed(`a name must be followed by ":"`)
			return
		}
		c.state = value
	case after:
		c.next(b)
	case ended:
		c.malformed("something follows the value")
	}
}

// next takes what follows a value inside a container.
func (c *Checker) next(b byte) {
	in := &c.open[len(c.open)-1]
	switch {
	case b == ',' && in.array:
		c.state = value
	case b == ',':
		c.state = member
	case b == ']' && in.array, b == '}' && !in.array:
		c.close()
	case in.array:
		c.malformed(`an element must be followed by "," or "]"`)
	default:
		c.malformed(`a member must be followed by "," or "}"`)
	}
}

// begin takes the first byte of a value.
func (c *Checker) begin(b byte) {
	c.values++
	if l := c.limits.Values; l > 0 && c.values > l {
		c.over("there are more than %d values", l)
		return
	}
	if n := len(c.open); n > 0 && c.open[n-1].array {
		c.open[n-1].count++
		if l := c.limits.Elements; l > 0 && c.open[n-1].count > l {
			c.over("an array has more than %d elements", l)
			return
		}
	}
	c.length, c.isName = 0, false
	switch {
	case b == '{' || b == '[':
		if len(c.open) == c.limits.Depth {
			c.over("objects and arrays are nested deeper than %d", c.limits.Depth)
			return
		}
		c.open = append(c.open, container{array: b == '[', names: len(c.names)})
		c.state = firstMember
		if b == '[' {
			c.state = firstElement
		}
	case b == '"':
		c.state = inString
	case b == 't':
		c.state, c.literal = literal, "true"[1:]
	case b == 'f':
		c.state, c.literal = literal, "false"[1:]
	case b == 'n':
		c.state, c.literal = literal, "null"[1:]
	case b == '-':
		c.length, c.state = 1, minus
	case b == '0':
		c.length, c.state = 1, zero
	case isDigit(b):
		c.length, c.state = 1, integer
	default:
		c.malformed("a value must be an object, an array, a string, a number, true, false or null")
	}
}

func (c *Checker) beginName(b byte) {
	if b != '"' {
		c.malformed("a name must be a string")
		return
	}
	in := &c.open[len(c.open)-1]
	in.count++
	if l := c.limits.Members; l > 0 && in.count > l {
		c.over("an object has more than %d members", l)
		return
	}
	c.length, c.isName, c.state = 0, true, inString
	if c.limits.UniqueNames {
		c.name.Reset()
	}
}

// complete ends a value.
func (c *Checker) complete() {
	switch {
	case len(c.open) > 0:
		c.state = after
	case c.limits.Sequence:
		c.state, c.values = value, 0
	default:
		c.state = ended
	}
}

// close ends the innermost container.
func (c *Checker) close() {
	last := len(c.open) - 1
	c.names = c.names[:c.open[last].names]
	c.open = c.open[:last]
	c.complete()
}
