package httpsig

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

// kind is what a bare item of RFC 9651 §3.3 is.
type kind uint8

const (
	integer kind = iota
	decimal
	text
	token
	octets
	boolean
	date
	display
)

// item is a bare item. Its text is what it stands for: the digits of a number, the
// characters of a string, the bytes of a byte sequence.
type item struct {
	kind kind
	text string
	// number is of an integer, a date, or a boolean, where 1 is true.
	number int64
}

// parameter is RFC 9651 §3.1.2.
type parameter struct {
	name  string
	value item
}

// appendTo writes the item in the only form that RFC 9651 §4.1 knows.
func (i *item) appendTo(b []byte) []byte {
	switch i.kind {
	case integer:
		return strconv.AppendInt(b, i.number, 10)
	case date:
		return strconv.AppendInt(append(b, '@'), i.number, 10)
	case boolean:
		return append(b, '?', '0'+byte(i.number))
	case octets:
		b = append(b, ':')
		b = base64.StdEncoding.AppendEncode(b, []byte(i.text))
		return append(b, ':')
	case display:
		return appendDisplay(b, i.text)
	case text:
		b = append(b, '"')
		for _, c := range []byte(i.text) {
			if c == '"' || c == '\\' {
				b = append(b, '\\')
			}
			b = append(b, c)
		}
		return append(b, '"')
	}
	return append(b, i.text...)
}

// Quote is a string as structured fields have it (RFC 9651 §4.1.6); it is of visible
// ASCII characters and spaces.
func Quote(s string) string {
	v := item{kind: text, text: s}
	return string(v.appendTo(nil))
}

func appendParameters(b []byte, list []parameter) []byte {
	for i := range list {
		p := &list[i]
		b = append(append(b, ';'), p.name...)
		if p.value.kind != boolean || p.value.number != 1 {
			b = p.value.appendTo(append(b, '='))
		}
	}
	return b
}

// scanner reads structured fields (RFC 9651 §4.2).
type scanner struct {
	s  string
	at int
	// lastCounts takes a parameter that is there twice, and many of them, as the RFC
	// has it. Else they are refused: what says how something is signed must have one
	// meaning.
	lastCounts bool
}

func (s *scanner) peek() byte {
	if s.at < len(s.s) {
		return s.s[s.at]
	}
	return 0
}

// take consumes c if it comes next.
func (s *scanner) take(c byte) bool {
	if s.at < len(s.s) && s.s[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) skip(set string) {
	for s.at < len(s.s) && strings.IndexByte(set, s.s[s.at]) >= 0 {
		s.at++
	}
}

func digit(c byte) bool { return '0' <= c && c <= '9' }
func lower(c byte) bool { return 'a' <= c && c <= 'z' }
func alpha(c byte) bool { return lower(c|0x20) && c < 0x80 }

// name reads a key: RFC 9651 §4.2.3.3.
func (s *scanner) name() (string, error) {
	from := s.at
	if c := s.peek(); !lower(c) && c != '*' {
		return "", errSyntax
	}
	for s.at < len(s.s) {
		if c := s.s[s.at]; !lower(c) && !digit(c) && strings.IndexByte("_-.*", c) < 0 {
			break
		}
		s.at++
	}
	return s.s[from:s.at], nil
}

// bare reads a bare item: RFC 9651 §4.2.3.1.
func (s *scanner) bare() (item, error) {
	switch c := s.peek(); {
	case c == '-' || digit(c):
		return s.number()
	case c == '"':
		return s.string()
	case c == ':':
		return s.bytes()
	case c == '%':
		return s.display()
	case c == '?':
		s.at++
		if c := s.peek(); c == '0' || c == '1' {
			s.at++
			return item{kind: boolean, number: int64(c - '0')}, nil
		}
	case c == '@':
		s.at++
		i, err := s.number()
		if err == nil && i.kind == integer {
			return item{kind: date, number: i.number}, nil
		}
	case alpha(c) || c == '*':
		return s.token(), nil
	}
	return item{}, errSyntax
}

func (s *scanner) number() (item, error) {
	negative := s.take('-')
	from := s.at
	for digit(s.peek()) {
		s.at++
	}
	whole := s.s[from:s.at]
	if whole == "" || len(whole) > 15 {
		return item{}, errSyntax
	}
	n, _ := strconv.ParseInt(whole, 10, 64) // at most 15 digits
	if negative {
		n = -n
	}
	if !s.take('.') {
		return item{kind: integer, number: n}, nil
	}
	from = s.at
	for digit(s.peek()) {
		s.at++
	}
	fraction := s.s[from:s.at]
	if len(whole) > 12 || fraction == "" || len(fraction) > 3 {
		return item{}, errSyntax
	}
	if fraction = strings.TrimRight(fraction, "0"); fraction == "" {
		fraction = "0"
	}
	sign := ""
	if negative && (n != 0 || fraction != "0") {
		sign = "-"
	}
	if whole = strings.TrimLeft(whole, "0"); whole == "" {
		whole = "0"
	}
	return item{kind: decimal, text: sign + whole + "." + fraction}, nil
}

func (s *scanner) string() (item, error) {
	s.at++
	// Most have no escapes, and are taken as they are.
	rest := s.s[s.at:]
	for end, c := range []byte(rest) {
		if c == '"' {
			s.at += end + 1
			return item{kind: text, text: rest[:end]}, nil
		}
		if c == '\\' || c < 0x20 || c > 0x7e {
			break
		}
	}
	var b strings.Builder
	for s.at < len(s.s) {
		c := s.s[s.at]
		s.at++
		switch {
		case c == '"':
			return item{kind: text, text: b.String()}, nil
		case c == '\\':
			if c = s.peek(); c != '"' && c != '\\' {
				return item{}, errSyntax
			}
			s.at++
		case c < 0x20 || c > 0x7e:
			return item{}, errSyntax
		}
		b.WriteByte(c)
	}
	return item{}, errSyntax
}

func (s *scanner) bytes() (item, error) {
	b, err := s.octets()
	return item{kind: octets, text: string(b)}, err
}

// octets reads a byte sequence: RFC 9651 §4.2.7.
func (s *scanner) octets() ([]byte, error) {
	s.at++
	end := strings.IndexByte(s.s[s.at:], ':')
	if end < 0 {
		return nil, errSyntax
	}
	encoded := s.s[s.at : s.at+end]
	s.at += end + 1
	// DecodeString passes over line breaks, which no field has.
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") {
		return nil, errSyntax
	}
	return b, nil
}

func (s *scanner) token() item {
	from := s.at
	for s.at < len(s.s) {
		if c := s.s[s.at]; !alpha(c) && !digit(c) && strings.IndexByte("!#$%&'*+-.^_`|~:/", c) < 0 {
			break
		}
		s.at++
	}
	return item{kind: token, text: s.s[from:s.at]}
}

// parameters reads RFC 9651 §4.2.3.2.
func (s *scanner) parameters() (list []parameter, err error) {
	for s.take(';') {
		s.skip(" ")
		p := parameter{value: item{kind: boolean, number: 1}}
		if p.name, err = s.name(); err != nil {
			return nil, err
		}
		if s.take('=') {
			if p.value, err = s.bare(); err != nil {
				return nil, err
			}
		}
		at := slices.IndexFunc(list, func(other parameter) bool { return other.name == p.name })
		switch {
		case at >= 0 && !s.lastCounts:
			return nil, errTwice
		case at >= 0:
			list[at] = p
		case len(list) == maxFieldParameters || len(list) == maxParameters && !s.lastCounts:
			return nil, errTooMany
		case list == nil:
			list = append(make([]parameter, 0, usualParameters), p)
		default:
			list = append(list, p)
		}
	}
	return list, nil
}
