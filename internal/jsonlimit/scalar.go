package jsonlimit

import (
	"slices"
	"unicode/utf8"
)

// special takes a byte that ends the plain part of a string.
func (c *Checker) special(b byte) {
	switch {
	case c.utf8.inside():
		c.malformed("a string is not UTF-8")
	case b == '\\':
		c.lengthen(1)
		c.state = escape
	case b != '"':
		c.malformed("a string has a control character")
	case c.high != 0:
		c.malformed("an escape in a string is half of a surrogate pair")
	case !c.isName:
		c.complete()
	default:
		c.state = colon
		if c.limits.UniqueNames {
			c.endName()
		}
	}
}

// escaped takes the byte after a backslash.
func (c *Checker) escaped(b byte) {
	c.lengthen(1)
	if b == 'u' {
		c.state, c.code, c.digits = hex, 0, 0
		return
	}
	if c.high != 0 {
		c.malformed("an escape in a string is half of a surrogate pair")
		return
	}
	c.state = inString
	switch b {
	case '"', '\\', '/':
	case 'b':
		b = '\b'
	case 'f':
		b = '\f'
	case 'n':
		b = '\n'
	case 'r':
		b = '\r'
	case 't':
		b = '\t'
	default:
		c.malformed("a string has an escape that JSON does not know")
		return
	}
	if c.isName && c.limits.UniqueNames {
		c.name.WriteByte(b)
	}
}

// hexDigit takes one of the four digits of an escape. Halves of surrogate pairs
// without the other half stand for no character (RFC 8259 §8.2), and what programs
// make of them differs.
func (c *Checker) hexDigit(b byte) {
	c.lengthen(1)
	var v byte
	switch {
	case isDigit(b):
		v = b - '0'
	case 'a' <= b && b <= 'f':
		v = b - 'a' + 10
	case 'A' <= b && b <= 'F':
		v = b - 'A' + 10
	default:
		c.malformed(`an escape \u in a string needs four hexadecimal digits`)
		return
	}
	c.code = c.code<<4 | uint32(v)
	if c.digits++; c.digits < 4 {
		return
	}
	c.state = inString
	isHigh, isLow := c.code&0xfc00 == 0xd800, c.code&0xfc00 == 0xdc00
	switch {
	case isLow != (c.high != 0):
		c.malformed("an escape in a string is half of a surrogate pair")
		return
	case isHigh:
		c.high = c.code
		return
	case isLow:
		c.code = 0x10000 + (c.high&0x3ff)<<10 + c.code&0x3ff
		c.high = 0
	}
	if c.isName && c.limits.UniqueNames {
		var text [utf8.UTFMax]byte
		c.name.Write(utf8.AppendRune(text[:0], rune(c.code)))
	}
}

// many is how many names an object has before they are looked up by a map.
const many = 16

// endName refuses a name that the object has already. Names are told apart by 64
// bits of a hash whose seed nobody knows.
func (c *Checker) endName() {
	sum, in := c.name.Sum64(), &c.open[len(c.open)-1]
	if in.seen == nil {
		mine := c.names[in.names:]
		if slices.Contains(mine, sum) {
			c.malformed("an object has the same name twice")
			return
		}
		if len(mine) == many {
			in.seen = make(map[uint64]struct{}, 2*many)
			for _, other := range mine {
				in.seen[other] = struct{}{}
			}
		}
	}
	if in.seen != nil {
		if _, twice := in.seen[sum]; twice {
			c.malformed("an object has the same name twice")
			return
		}
		in.seen[sum] = struct{}{}
	}
	if len(c.names) == maxNames {
		c.over("open objects have more than %d names", maxNames)
		return
	}
	c.names = append(c.names, sum)
}

// number takes a byte in a number; it is false if the number has ended before it.
func (c *Checker) number(b byte) bool {
	next := c.state
	switch c.state {
	case minus:
		next = zero
		if b != '0' {
			next = integer
		}
		if !isDigit(b) {
			c.malformed("a number needs a digit")
			return false
		}
	case zero, integer:
		switch {
		case isDigit(b) && c.state == zero:
			c.malformed("a number begins with 0 and goes on")
			return false
		case isDigit(b):
		case b == '.':
			next = point
		case b == 'e' || b == 'E':
			next = exponent
		default:
			c.complete()
			return false
		}
	case point, fraction:
		switch {
		case isDigit(b):
			next = fraction
		case c.state == point:
			c.malformed("a number needs a digit")
			return false
		case b == 'e' || b == 'E':
			next = exponent
		default:
			c.complete()
			return false
		}
	case exponent, exponentSign, exponentDigit:
		switch {
		case isDigit(b):
			next = exponentDigit
		case c.state == exponent && (b == '+' || b == '-'):
			next = exponentSign
		case c.state != exponentDigit:
			c.malformed("a number needs a digit")
			return false
		default:
			c.complete()
			return false
		}
	}
	c.state = next
	c.length++
	if l := c.limits.NumberBytes; l > 0 && c.length > l {
		c.over("a number is longer than %d bytes", l)
	}
	return true
}

// endNumber ends a number where the text ends.
func (c *Checker) endNumber() {
	switch c.state {
	case zero, integer, fraction, exponentDigit:
		c.complete()
	}
}

// utf8State reads UTF-8 byte by byte, for characters that come in two pieces.
type utf8State struct {
	buf  [utf8.UTFMax]byte
	have int
}

func (u *utf8State) inside() bool { return u.have > 0 }

// next takes a byte; it is false if that cannot be.
func (u *utf8State) next(b byte) bool {
	u.buf[u.have] = b
	u.have++
	text := u.buf[:u.have]
	if !utf8.FullRune(text) {
		return true
	}
	r, size := utf8.DecodeRune(text)
	u.have = 0
	return r != utf8.RuneError || size == 3
}
