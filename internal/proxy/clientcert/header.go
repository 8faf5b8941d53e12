package clientcert

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"unicode/utf8"

	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/x500"
)

// Bounds of X-Forwarded-Client-Cert.
const (
	maxHeader = 64 << 10
	maxPairs  = 256 // of all elements
	maxDER    = 16 << 10
)

var (
	errLong   = fmt.Errorf("X-Forwarded-Client-Cert is longer than %d bytes", maxHeader)
	errPairs  = fmt.Errorf("X-Forwarded-Client-Cert has more than %d pairs", maxPairs)
	errSyntax = errors.New("X-Forwarded-Client-Cert is malformed")
	errTwice  = errors.New("X-Forwarded-Client-Cert says something twice")
	errHash   = errors.New("the hash in X-Forwarded-Client-Cert is not that of the certificate")
	errEmpty  = errors.New("X-Forwarded-Client-Cert names no certificate")
	errPEM    = errors.New("what X-Forwarded-Client-Cert has for a certificate is no PEM")
)

// element is what one proxy says of its client.
type element struct {
	hash, subject, cert []byte
	uris, dns           []string
}

// Parse reads the value of X-Forwarded-Client-Cert and returns the certificate of
// its last element: that of the client of the proxy which has sent it. The whole
// value must be well-formed, so that nothing that an earlier client has written
// can change where the last element begins.
func Parse(value []byte) (*Certificate, error) {
	if len(value) > maxHeader {
		return nil, errLong
	}
	var e element
	for n, rest := 0, value; ; n++ {
		if n >= maxPairs {
			return nil, errPairs
		}
		name, text, end, tail, err := pair(rest)
		if err != nil {
			return nil, err
		}
		if err := e.take(name, text); err != nil {
			return nil, err
		}
		if end == 0 {
			return e.certificate()
		}
		if end == ',' {
			e = element{}
		}
		rest = tail
	}
}

// pair reads NAME=VALUE up to the semicolon or comma after it, which is end; end is
// zero for the last one.
func pair(b []byte) (name, value []byte, end byte, rest []byte, err error) {
	b = bytes.TrimLeft(b, " \t")
	name, b, ok := bytes.Cut(b, []byte("="))
	if !ok || len(name) == 0 || len(name) > 16 {
		return nil, nil, 0, nil, errSyntax
	}
	for _, c := range name {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			return nil, nil, 0, nil, errSyntax
		}
	}
	if len(b) > 0 && b[0] == '"' {
		if value, b, ok = quoted(b[1:]); !ok {
			return nil, nil, 0, nil, errSyntax
		}
	} else {
		at := bytes.IndexAny(b, ";,")
		if at < 0 {
			at = len(b)
		}
		value, b = httpmsg.TrimOWS(b[:at]), b[at:]
		if bytes.ContainsAny(value, "\"\\ \t") {
			return nil, nil, 0, nil, errSyntax
		}
	}
	if b = bytes.TrimLeft(b, " \t"); len(b) == 0 {
		return name, value, 0, nil, nil
	}
	if b[0] != ';' && b[0] != ',' {
		return nil, nil, 0, nil, errSyntax
	}
	return name, value, b[0], b[1:], nil
}

// quoted reads up to the closing quote, and leaves what is escaped by a backslash,
// a quote and a backslash, as it is.
func quoted(b []byte) (value, rest []byte, ok bool) {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			return b[:i], b[i+1:], true
		case '\\':
			if i+1 < len(b) && (b[i+1] == '"' || b[i+1] == '\\') {
				i++
			}
		}
	}
	return nil, nil, false
}

func unescape(b []byte) string {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) && (b[i+1] == '"' || b[i+1] == '\\') {
			i++
		}
		out = append(out, b[i])
	}
	return string(out)
}

// take notes what a pair says.
func (e *element) take(name, value []byte) error {
	once := func(to *[]byte) error {
		if *to != nil {
			return errTwice
		}
		*to = append([]byte{}, value...)
		return nil
	}
	switch {
	case httpmsg.EqualFold(name, "hash"):
		return once(&e.hash)
	case httpmsg.EqualFold(name, "cert"):
		return once(&e.cert)
	case httpmsg.EqualFold(name, "subject"):
		return once(&e.subject) // its own backslashes are those of RFC 4514
	case httpmsg.EqualFold(name, "uri"):
		if len(value) > 0 { // Envoy writes an empty one where there is none
			e.uris = append(e.uris, unescape(value))
		}
	case httpmsg.EqualFold(name, "dns"):
		if len(value) > 0 {
			e.dns = append(e.dns, unescape(value))
		}
	case httpmsg.EqualFold(name, "by"), httpmsg.EqualFold(name, "chain"):
	default:
		return errSyntax
	}
	return nil
}

// certificate is what the element says: all of the certificate if it is there, and
// otherwise its names.
func (e *element) certificate() (*Certificate, error) {
	c := &Certificate{DNS: e.dns, URIs: e.uris}
	if e.hash != nil {
		if hex.DecodedLen(len(e.hash)) != sha256.Size {
			return nil, errSyntax
		}
		if _, err := hex.Decode(c.Fingerprint[:], e.hash); err != nil {
			return nil, errSyntax
		}
		c.Hashed = true
	}
	if len(e.cert) > 0 {
		text, err := url.PathUnescape(string(e.cert))
		if err != nil {
			return nil, errPEM
		}
		cert, err := parsePEM([]byte(text))
		if err != nil {
			return nil, err
		}
		whole, err := Of(cert)
		if err != nil {
			return nil, err
		}
		if c.Hashed && c.Fingerprint != whole.Fingerprint {
			return nil, errHash
		}
		return whole, nil
	}
	if !c.Hashed && len(e.subject) == 0 && len(e.uris) == 0 && len(e.dns) == 0 {
		return nil, errEmpty
	}
	for _, name := range append(append([]string{}, e.uris...), e.dns...) {
		if !utf8.ValidString(name) {
			return nil, errSyntax
		}
	}
	if len(e.subject) > 0 {
		name, err := x500.Parse(string(e.subject))
		if err != nil {
			return nil, fmt.Errorf("the subject in X-Forwarded-Client-Cert: %w", err)
		}
		c.Subject, c.SubjectText = name, name.String()
	}
	c.complete(map[string]any{})
	return c, nil
}

func decodePEM(text []byte) ([]byte, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || len(block.Bytes) > maxDER {
		return nil, errPEM
	}
	return block.Bytes, nil
}
