package x500

import (
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

var (
	errTooMany = fmt.Errorf("more than %d attributes", MaxAttributes)
	errTooLong = fmt.Errorf("longer than %d bytes", MaxText)
	errEscape  = errors.New(`a backslash is followed by neither a special character nor two hexadecimal digits`)
)

// Parse reads a name as RFC 4514 §3 says: "CN=ada,OU=Payments,O=Shop". Spaces around
// commas, plus and equal signs do not count. An empty text is an empty name.
func Parse(text string) (Name, error) {
	if len(text) > MaxText {
		return nil, errTooLong
	}
	var out Name
	count := 0
	for rest := text; strings.TrimSpace(text) != ""; {
		var set []Attribute
		for {
			a, tail, err := attribute(rest)
			if err != nil {
				return nil, err
			}
			if count++; count > MaxAttributes {
				return nil, errTooMany
			}
			set, rest = append(set, a), tail
			if rest == "" || rest[0] == ',' {
				break
			}
			rest = rest[1:] // a plus sign
		}
		out = append(out, sorted(set))
		if rest == "" {
			break
		}
		rest = rest[1:]
	}
	return out, nil
}

// attribute reads one up to the comma or plus sign after it.
func attribute(s string) (a Attribute, rest string, err error) {
	kind, rest, ok := strings.Cut(s, "=")
	kind = strings.TrimSpace(kind)
	if !ok || kind == "" {
		return a, "", errors.New("an attribute is not TYPE=VALUE")
	}
	if a.Type, err = typeOf(kind); err != nil {
		return a, "", err
	}
	rest = strings.TrimLeft(rest, " ")
	if strings.HasPrefix(rest, "#") {
		return binary(a, rest)
	}
	a.Value, rest, err = value(rest)
	return a, rest, err
}

func typeOf(kind string) (string, error) {
	if name, ok := canonical[strings.ToLower(kind)]; ok {
		return name, nil
	}
	if name, ok := shortNames[kind]; ok {
		return name, nil
	}
	// RFC 4512 §1.4: numericoid.
	parts := strings.Split(kind, ".")
	for _, p := range parts {
		if p == "" || len(p) > 1 && p[0] == '0' || strings.Trim(p, "0123456789") != "" {
			return "", fmt.Errorf("%q is not the type of an attribute; CN, OU, O, L, ST, C, UID, DC and emailAddress are some", clip(kind))
		}
	}
	if len(parts) < 2 {
		return "", fmt.Errorf("%q is not an object identifier", clip(kind))
	}
	return kind, nil
}

func clip(s string) string {
	if len(s) > 32 {
		return s[:32] + "…"
	}
	return s
}

// value reads a text up to a comma or plus sign that is not escaped.
func value(s string) (text, rest string, err error) {
	var b strings.Builder
	spaces := 0 // at the end, not escaped
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == ',' || c == '+':
			return finish(b.String(), spaces, s[i:])
		case c == '\\':
			decoded, used, ok := escaped(s[i+1:])
			if !ok {
				return "", "", errEscape
			}
			b.WriteByte(decoded)
			i, spaces = i+used, 0
			continue
		case strings.IndexByte("\";<>\x00", c) >= 0:
			return "", "", fmt.Errorf("%q must be escaped with a backslash", c)
		}
		b.WriteByte(c)
		if spaces++; c != ' ' {
			spaces = 0
		}
	}
	return finish(b.String(), spaces, "")
}

func finish(text string, spaces int, rest string) (string, string, error) {
	text = text[:len(text)-spaces]
	if !utf8.ValidString(text) {
		return "", "", errors.New("a value is not valid UTF-8")
	}
	return text, rest, nil
}

// escaped reads what follows a backslash.
func escaped(s string) (c byte, used int, ok bool) {
	if s == "" {
		return 0, 0, false
	}
	if strings.IndexByte(`\"+,;<> #=`, s[0]) >= 0 {
		return s[0], 1, true
	}
	if len(s) < 2 {
		return 0, 0, false
	}
	var out [1]byte
	if _, err := hex.Decode(out[:], []byte(s[:2])); err != nil {
		return 0, 0, false
	}
	return out[0], 2, true
}

// binary reads the DER of a value. A string in it is text like others.
func binary(a Attribute, s string) (Attribute, string, error) {
	end := strings.IndexAny(s, ",+")
	if end < 0 {
		end = len(s)
	}
	der, err := hex.DecodeString(strings.TrimRight(s[1:end], " "))
	if err != nil || len(der) == 0 {
		return a, "", errors.New("what follows # is not hexadecimal")
	}
	var v any
	if rest, err := asn1.Unmarshal(der, &v); err != nil || len(rest) > 0 {
		return a, "", errors.New("what follows # is not a value in DER")
	}
	if text, ok := v.(string); ok {
		a.Value = text
		return a, s[end:], nil
	}
	a.Value, a.Binary = "#"+hex.EncodeToString(der), true
	return a, s[end:], nil
}
