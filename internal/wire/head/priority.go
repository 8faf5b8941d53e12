package head

import (
	"bytes"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// The urgencies of RFC 9218 are 0, the most urgent, to 7.
const (
	Urgencies      = 8
	DefaultUrgency = 3
)

// ParsePriority reads a Priority field (RFC 9218 §4): a dictionary (RFC 8941
// §3.2) of which u and i are understood. What cannot be read counts as not
// there; of a key that is there twice the last one counts.
func ParsePriority(v []byte) (urgency uint8, incremental bool) {
	urgency = DefaultUrgency
	for len(v) > 0 {
		var item []byte
		item, v = nextMember(v)
		item, _, _ = bytes.Cut(item, []byte(";"))
		key, value, valued := bytes.Cut(httpmsg.TrimOWS(item), []byte("="))
		switch string(key) {
		case "u":
			if urgency = DefaultUrgency; valued {
				urgency = parseUrgency(value)
			}
		case "i":
			incremental = !valued || string(value) == "?1"
		}
	}
	return urgency, incremental
}

// nextMember splits the first member from a dictionary, at a comma that is not
// in a string.
func nextMember(v []byte) (member, rest []byte) {
	quoted := false
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == ',' && !quoted:
			return v[:i], v[i+1:]
		}
	}
	return v, nil
}

// parseUrgency reads an integer (RFC 8941 §3.3.1); one that is no urgency is the
// default.
func parseUrgency(v []byte) uint8 {
	digits := bytes.TrimPrefix(v, []byte("-"))
	if len(digits) == 0 || len(digits) > 15 {
		return DefaultUrgency
	}
	n := 0
	for _, c := range digits {
		if c < '0' || c > '9' {
			return DefaultUrgency
		}
		n = min(n*10+int(c-'0'), Urgencies)
	}
	if n >= Urgencies || len(digits) < len(v) && n > 0 {
		return DefaultUrgency
	}
	return uint8(n)
}
