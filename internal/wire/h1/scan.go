package h1

import "bytes"

// SkipBlank returns how many bytes of empty lines (CRLF) stand at the start of
// buf; a server ignores them before a request line (RFC 9112 §2.2).
func SkipBlank(buf []byte) int {
	n := 0
	for n+1 < len(buf) && buf[n] == '\r' && buf[n+1] == '\n' {
		n += 2
	}
	return n
}

// Scanner looks for the end of a head that arrives in pieces. It remembers how
// far it has looked, so that a byte at a time costs no more than all at once.
// The zero value is ready.
type Scanner struct {
	pos     int // everything before was looked at
	started bool
}

// Reset makes the scanner ready for the next head.
func (s *Scanner) Reset() { *s = Scanner{} }

// HeadEnd returns the length of the head at the start of buf with its blank
// line and the empty lines before it, and -1 while it is not complete. buf is
// what was given before, plus what has arrived since. Lines that end with a bare
// LF end a head too, so that they are refused at once rather than by a timeout.
func (s *Scanner) HeadEnd(buf []byte) int {
	if !s.started {
		s.pos += SkipBlank(buf[s.pos:])
		if rest := buf[s.pos:]; len(rest) == 0 || len(rest) == 1 && rest[0] == '\r' {
			return -1
		}
		s.started = true
	}
	for {
		i := bytes.IndexByte(buf[s.pos:], '\n')
		if i < 0 {
			s.pos = len(buf)
			return -1
		}
		lf := s.pos + i
		switch next := buf[lf+1:]; {
		case len(next) == 0 || len(next) == 1 && next[0] == '\r':
			s.pos = lf
			return -1
		case next[0] == '\n':
			return lf + 2
		case next[0] == '\r' && next[1] == '\n':
			return lf + 3
		}
		s.pos = lf + 1
	}
}
