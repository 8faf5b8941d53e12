// Package x500 reads and writes distinguished names, as certificates have them
// (RFC 5280 §4.1.2.4) and as text (RFC 4514). It imports the standard library only
// and owns no goroutines; compile and the data plane import it.
package x500

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Bounds of a name.
const (
	// MaxText is the longest text that is read, in bytes.
	MaxText = 4096
	// MaxAttributes is how many attributes a name has at most.
	MaxAttributes = 64
)

// Name is a distinguished name: relative names, the most specific first, as text
// has them. Names are equal if their strings are.
type Name [][]Attribute

// Attribute is a type and a value.
type Attribute struct {
	// Type is a short name, such as "CN", or an object identifier in numbers.
	Type string
	// Value is text; of what is none, the DER in hexadecimal after a "#".
	Value string
	// Binary: the value is no text.
	Binary bool
}

// Short names of RFC 4514 §3 and, beyond, those that OpenSSL and BoringSSL write.
var shortNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
	"2.5.4.9": "STREET", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.17": "postalCode",
	"2.5.4.42": "GN", "2.5.4.97": "organizationIdentifier",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC", "1.2.840.113549.1.9.1": "emailAddress",
}

// canonical finds the short name for one in any case of letters.
var canonical = func() map[string]string {
	out := map[string]string{"s": "ST", "e": "emailAddress", "givenname": "GN", "surname": "SN", "street": "STREET", "userid": "UID"}
	for _, name := range shortNames {
		out[strings.ToLower(name)] = name
	}
	return out
}()

// FromDER reads a name of a certificate, such as its RawSubject.
func FromDER(der []byte) (Name, error) {
	var rdns pkix.RDNSequence
	if rest, err := asn1.Unmarshal(der, &rdns); err != nil {
		return nil, fmt.Errorf("not a distinguished name: %w", err)
	} else if len(rest) > 0 {
		return nil, errors.New("bytes follow the distinguished name")
	}
	count := 0
	var out Name
	for _, set := range slices.Backward(rdns) {
		var relative []Attribute
		for _, a := range set {
			if count++; count > MaxAttributes {
				return nil, errTooMany
			}
			one := Attribute{Type: a.Type.String()}
			if short, ok := shortNames[one.Type]; ok {
				one.Type = short
			}
			if text, ok := a.Value.(string); ok {
				one.Value = text
			} else {
				raw, err := asn1.Marshal(a.Value)
				if err != nil {
					return nil, fmt.Errorf("a value of the distinguished name: %w", err)
				}
				one.Value, one.Binary = fmt.Sprintf("#%x", raw), true
			}
			relative = append(relative, one)
		}
		if len(relative) > 0 {
			out = append(out, sorted(relative))
		}
	}
	return out, nil
}

// sorted gives the members of a set an order.
func sorted(set []Attribute) []Attribute {
	slices.SortFunc(set, func(a, b Attribute) int {
		if c := strings.Compare(a.Type, b.Type); c != 0 {
			return c
		}
		return strings.Compare(a.Value, b.Value)
	})
	return set
}

// Values are the values of a type, the most specific first.
func (n Name) Values(kind string) (out []string) {
	for _, set := range n {
		for _, a := range set {
			if a.Type == kind && !a.Binary {
				out = append(out, a.Value)
			}
		}
	}
	return out
}

// String writes the name as RFC 4514 §2 says. Parse reads it again.
func (n Name) String() string {
	var b strings.Builder
	for i, set := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		for k, a := range set {
			if k > 0 {
				b.WriteByte('+')
			}
			b.WriteString(a.Type)
			b.WriteByte('=')
			if a.Binary {
				b.WriteString(a.Value)
			} else {
				escape(&b, a.Value)
			}
		}
	}
	return b.String()
}

// escape writes a value (RFC 4514 §2.4), in visible ASCII characters and spaces
// alone, so that headers can have it.
func escape(b *strings.Builder, value string) {
	for i := range len(value) {
		switch c := value[i]; {
		case strings.IndexByte(`"+,;<>\`, c) >= 0, c == '#' && i == 0, c == ' ' && (i == 0 || i == len(value)-1):
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(b, `\%02X`, c)
		default:
			b.WriteByte(c)
		}
	}
}
