package hpack

import (
	"bytes"

	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/syntax"
)

// Field is one decoded field. Its slices are in the arena given to Begin, or
// in static memory.
type Field struct {
	Name, Value []byte
	ID          httpmsg.Name
	Pseudo      Pseudo
	Flaw        Flaw
	// Sensitive: the field was never-indexed and must be so on every hop.
	Sensitive bool
}

// Pseudo is the number of a pseudo-header field (RFC 9113 §8.3, RFC 8441 §4).
type Pseudo uint8

const (
	// PseudoNone: the field is a regular one.
	PseudoNone Pseudo = iota
	PseudoAuthority
	PseudoMethod
	PseudoPath
	PseudoScheme
	PseudoStatus
	PseudoProtocol
	// PseudoUnknown: a name with a colon in front that no RFC defines.
	PseudoUnknown
)

// Flaw is what makes a field malformed (RFC 9113 §8.2.1).
type Flaw uint8

const (
	FlawNone Flaw = iota
	// FlawUpperCase: the name has upper-case letters.
	FlawUpperCase
	// FlawName: the name is not a token.
	FlawName
	// FlawValue: the value has a control character, or white space at an end.
	FlawValue
)

func lookupPseudo(name []byte) Pseudo {
	switch string(name) {
	case ":authority":
		return PseudoAuthority
	case ":method":
		return PseudoMethod
	case ":path":
		return PseudoPath
	case ":scheme":
		return PseudoScheme
	case ":status":
		return PseudoStatus
	case ":protocol":
		return PseudoProtocol
	}
	return PseudoUnknown
}

// identify looks a literal name up and checks it.
func identify(name []byte) (id httpmsg.Name, pseudo Pseudo, flaw Flaw) {
	if len(name) > 0 && name[0] == ':' {
		return httpmsg.NameOther, lookupPseudo(name), FlawNone
	}
	id = httpmsg.LookupName(name)
	if id != httpmsg.NameOther {
		if !bytes.Equal(name, id.Lower()) {
			return id, PseudoNone, FlawUpperCase
		}
		return id, PseudoNone, FlawNone
	}
	if !syntax.IsToken(name) {
		return id, PseudoNone, FlawName
	}
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			return id, PseudoNone, FlawUpperCase
		}
	}
	return id, PseudoNone, FlawNone
}

func validValue(v []byte) bool {
	if len(v) == 0 {
		return true
	}
	if first, last := v[0], v[len(v)-1]; first == ' ' || first == '\t' || last == ' ' || last == '\t' {
		return false
	}
	return syntax.EndOfText(v, 0) == len(v)
}
