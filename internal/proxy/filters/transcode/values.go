package transcode

import (
	"io"

	"github.com/gridway/gridway/internal/proxy/filter"
)

// values makes a message of each JSON value of a body: one on each line, one behind
// the other, or the elements of one array. It finds where they end; whether they
// are JSON is found out when they become messages.
type values struct {
	c      *call
	source io.Reader
	split  splitter
	rest   []byte // what was made and not returned
	err    error
}

// valuesPiece is how much is read at a time.
const valuesPiece = 4 << 10

func (v *values) Read(p []byte) (int, error) {
	for len(v.rest) == 0 {
		value, err := v.split.next(v.err == io.EOF)
		switch {
		case err != nil:
			return 0, err
		case int64(len(value)) > v.c.t.maxMessage || value == nil && int64(v.split.waiting()) > v.c.t.maxMessage:
			return 0, errTooLarge
		case value != nil:
			if v.rest, err = v.c.message(value); err != nil {
				return 0, err
			}
			continue
		case v.err != nil:
			return 0, v.err
		}
		n, err := v.source.Read(v.split.room(valuesPiece))
		v.split.filled(n)
		if v.err = err; n == 0 && err == nil {
			return 0, nil
		}
	}
	n := copy(p, v.rest)
	v.rest = v.rest[n:]
	return n, nil
}

// splitter finds the values at the top of a text in JSON.
type splitter struct {
	// noArray: an array is a value itself.
	noArray bool

	text  []byte
	at    int // what was looked at of text
	begin int // where the value begins that at is in
	begun bool
	array bool
	// between: a value of the array has ended, and a comma has not come. comma: one
	// has, and a value must. closed: the array has ended.
	between, comma, closed bool
	inside                 bool // of a value
	depth                  int
	quoted, escaped        bool
}

// room is where more text can be read to.
func (s *splitter) room(n int) []byte {
	// A copy, so that what was taken of the beginning is given back.
	from := s.at
	if s.inside {
		from = s.begin
	}
	waiting := len(s.text) - from
	text := make([]byte, waiting, max(2*waiting, n))
	copy(text, s.text[from:])
	s.text, s.at, s.begin = text, s.at-from, 0
	return text[waiting:cap(text)]
}

func (s *splitter) filled(n int) { s.text = s.text[:len(s.text)+n] }

// waiting is how long the value is of which the end has not come.
func (s *splitter) waiting() int {
	if !s.inside {
		return 0
	}
	return len(s.text) - s.begin
}

var errValues error = &filter.Malformed{Detail: "the body is neither JSON values one after the other nor one array of them"}

// next is the next value, or nil if more text is needed; at the end of the text,
// if there is none.
func (s *splitter) next(end bool) ([]byte, error) {
	for s.at < len(s.text) {
		c := s.text[s.at]
		if !s.inside {
			if err := s.outside(c); err != nil {
				return nil, err
			}
			continue
		}
		if s.within(c) {
			return s.take(), nil
		}
	}
	switch {
	case !end:
		return nil, nil
	case s.inside:
		return s.take(), nil // a number ends here; what else is there is cut off
	case s.array && !s.closed:
		return nil, errValues
	}
	return nil, nil
}

func (s *splitter) take() []byte {
	s.inside, s.depth, s.quoted, s.escaped = false, 0, false, false
	s.between = s.array
	return s.text[s.begin:s.at]
}

// outside looks at what stands between values.
func (s *splitter) outside(c byte) error {
	switch {
	case c == ' ' || c == '\t' || c == '\r' || c == '\n':
	case s.closed:
		return errValues
	case c == '[' && !s.begun && !s.noArray:
		s.array, s.begun = true, true
	case s.array && c == ']' && !s.comma:
		s.closed = true
	case s.between && c == ',':
		s.between, s.comma = false, true
	case s.between, c == ',', c == ']', c == '}', c == ':':
		return errValues
	default:
		s.begun, s.inside, s.comma = true, true, false
		s.begin = s.at
		return nil
	}
	s.at++
	return nil
}

// within looks at a byte of a value, and is true at its end.
func (s *splitter) within(c byte) bool {
	first := s.at == s.begin
	switch {
	case s.escaped:
		s.escaped = false
	case s.quoted && c == '\\':
		s.escaped = true
	case s.quoted && c == '"':
		s.quoted = false
		if s.depth == 0 {
			s.at++
			return true
		}
	case s.quoted:
	case c == '"', c == '{', c == '[':
		if s.depth == 0 && !first {
			return true // a number or a name has ended
		}
		if s.quoted = c == '"'; !s.quoted {
			s.depth++
		}
	case c == '}', c == ']':
		if s.depth == 0 {
			return true
		}
		if s.depth--; s.depth == 0 {
			s.at++
			return true
		}
	case s.depth == 0 && (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',' || c == ':'):
		return true
	}
	s.at++
	return false
}
