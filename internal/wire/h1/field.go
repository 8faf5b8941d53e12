package h1

import "github.com/gridway/gridway/internal/wire/httpmsg"

// parseFields parses field lines from b[i:] up to the blank line (RFC 9112 §5)
// and returns the index after it; 0 without an error means that the blank line
// has not arrived yet. Only what a single line shows is checked here, and that
// the fields that decide framing and routing are not repeated. With host not
// nil the Host field goes there instead of into h.
func parseFields(b []byte, i int, h *httpmsg.Header, maxCount int, host *[]byte) (int, *Error) {
	for count := 0; ; count++ {
		// Names are short: a byte at a time through a table beats words.
		j := i
		for j < len(b) && isToken[b[j]] {
			j++
		}
		if j == len(b) {
			return 0, nil
		}
		if b[j] != ':' || j == i {
			return notName(b, i, j, count == 0)
		}
		name := b[i:j]
		id := httpmsg.LookupName(name)

		j++
		for j < len(b) && (b[j] == ' ' || b[j] == '\t') {
			j++
		}
		start := j
		j = endOfText(b, j)
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
		if singleton.Has(id) && h.Has(id) {
			return 0, repeated(id)
		}
		h.AddField(name, value, id)
	}
}

// notName tells what stands at b[j] where a field name, which started at i,
// should have gone on or ended: the blank line, or a mistake.
func notName(b []byte, i, j int, first bool) (int, *Error) {
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

// singleton are the fields that two parsers must never choose between, besides Host.
var singleton = httpmsg.MakeNameSet(httpmsg.NameContentLength, httpmsg.NameTransferEncoding)

func repeated(id httpmsg.Name) *Error {
	if id == httpmsg.NameContentLength {
		return errDuplicateLength
	}
	return errDuplicateCoding
}
