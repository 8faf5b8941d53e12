package h1

import (
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/syntax"
)

// parseFields parses field lines from b[i:] up to the blank line (RFC 9112 §5)
// and returns the index after it; 0 without an error means that the blank line
// has not arrived yet. Only what a single line shows is checked here, and that
// the fields that decide framing and routing are not repeated. With host not
// nil the Host field goes there instead of into h.
func parseFields(b []byte, i int, h *httpmsg.Header, maxCount int, host *[]byte) (int, *Error) {
	for count := 0; ; count++ {
		j := endOfName(b, i)
		if j == i || j == len(b) {
			return notName(b, i, count == 0)
		}
		name := b[i:j:j]
		id := httpmsg.LookupName(name)
		if id == httpmsg.NameOther && !syntax.IsToken(name) {
			return notName(b, i, count == 0)
		}

		j++
		for j < len(b) && (b[j] == ' ' || b[j] == '\t') {
			j++
		}
		start := j
		j = syntax.EndOfText(b, j)
		if j+1 >= len(b) {
			if j < len(b) && b[j] != '\r' {
				return 0, notValue(b[j])
			}
			return 0, nil
		}
		if b[j] != '\r' {
			return 0, notValue(b[j])
		}
		if b[j+1] != '\n' {
			return 0, errBareCR
		}
		i = j + 2
		for j > start && (b[j-1] == ' ' || b[j-1] == '\t') {
			j--
		}
		if count == maxCount {
			return 0, errTooManyFields
		}
		value := b[start:j:j]
		if id == httpmsg.NameHost && host != nil {
			if *host != nil {
				return 0, errDuplicateHost
			}
			*host = value
			continue
		}
		if (id == httpmsg.NameContentLength || id == httpmsg.NameTransferEncoding) && h.Has(id) {
			return 0, repeated(id)
		}
		h.AddField(name, value, id)
	}
}

// endOfName returns the index of the first colon at or after i, i itself if an
// end of line is there, and len(b) if neither is. What is before it may be no
// name at all.
func endOfName(b []byte, i int) int {
	if i < len(b) && b[i] == '\r' {
		return i
	}
	for ; i+8 <= len(b); i += 8 {
		x := load(b, i) ^ ':'*eachByte
		if m := (x - eachByte) &^ x & topBits; m != 0 {
			return i + firstMark(m)
		}
	}
	for i < len(b) && b[i] != ':' {
		i++
	}
	return i
}

// notName tells what stands at b[i] where a field name should have been: the
// blank line, a mistake, or too little yet to say.
func notName(b []byte, i int, first bool) (int, *Error) {
	j := i
	for j < len(b) && syntax.IsTokenByte(b[j]) {
		j++
	}
	if j == len(b) {
		return 0, nil
	}
	switch c := b[j]; {
	case c == '\r':
		switch {
		case j+1 == len(b):
			return 0, nil
		case b[j+1] != '\n':
			return 0, errBareCR
		case j > i:
			return 0, errMissingColon
		}
		return j + 2, nil
	case c == '\n':
		return 0, errBareLF
	case c == ':':
		return 0, errEmptyName
	case c != ' ' && c != '\t':
		return 0, errName
	case j > i:
		return 0, errSpaceInName
	case first:
		return 0, errLeadingSpace
	}
	return 0, errObsFold
}

func notValue(c byte) *Error {
	if c == '\n' {
		return errBareLF
	}
	return errControl
}

func repeated(id httpmsg.Name) *Error {
	if id == httpmsg.NameContentLength {
		return errDuplicateLength
	}
	return errDuplicateCoding
}
