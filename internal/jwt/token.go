// Package jwt reads and signs JSON Web Tokens (RFC 7519) in the compact form of signatures
// (RFC 7515) and the public keys that verify them (RFC 7517), as RFC 8725 wants it:
// the key says which algorithms it is for, a token chooses among them and never the
// key itself; there is no "none" and no shared secret; what two readers could read
// in two ways is refused. It works on bytes that are there, with bounds before
// anything is decoded, imports nothing of Gridway and owns no goroutines. The data
// plane verifies with it, compile reads key sets with it.
package jwt

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

const (
	// MaxToken bounds a token in bytes.
	MaxToken = 16 << 10
	// maxHeader bounds the header's part of it.
	maxHeader = 4 << 10
	maxKeyID  = 512
	// maxSignature is that of an RSA key of maxRSA bits.
	maxSignature = maxRSA / 8
)

// Token is a token as it was sent: nothing of it is to be believed before a key
// has verified it.
type Token struct {
	Algorithm Algorithm
	// KeyID is "kid"; HasKeyID tells an empty one from none.
	KeyID    string
	HasKeyID bool
	// Type is "typ" as MediaType makes it; empty if there is none.
	Type string

	payload           []byte
	signed, signature []byte
}

// Errors of Parse. They say what is wrong with the form, and nothing of keys.
var (
	ErrForm      = errors.New("it is not three parts in base64url with dots between")
	ErrLong      = fmt.Errorf("it has more than %d bytes", MaxToken)
	ErrEncrypted = errors.New("it is encrypted, and only signed tokens are accepted")
	ErrNested    = errors.New("it is a token inside another one")
	ErrCritical  = errors.New("it has extensions that must be understood, of which there are none here")
	ErrHeader    = errors.New("its header is not that of a token")
)

var encoding = base64.RawURLEncoding.Strict()

// Parse takes a token apart. The token must not change while it is in use.
func Parse(text []byte) (*Token, error) {
	if len(text) > MaxToken {
		return nil, ErrLong
	}
	head, rest, _ := bytes.Cut(text, dot)
	payload, signature, ok := bytes.Cut(rest, dot)
	switch {
	case bytes.Count(signature, dot) == 2:
		return nil, ErrEncrypted // RFC 7516 §9: five parts
	case !ok || len(head) == 0 || len(head) > maxHeader || len(signature) == 0 || encoding.DecodedLen(len(signature)) > maxSignature:
		return nil, ErrForm
	}
	t := &Token{signed: text[:len(head)+1+len(payload)]}
	decoded := make([]byte, 0, encoding.DecodedLen(len(text)))
	decoded, header, err := decode(decoded, head)
	if err == nil {
		decoded, t.payload, err = decode(decoded, payload)
	}
	if err == nil {
		_, t.signature, err = decode(decoded, signature)
	}
	if err != nil {
		return nil, err
	}
	m, err := object(header)
	if err != nil {
		return nil, fmt.Errorf("its header: %w", err)
	}
	return t, t.read(m)
}

var dot = []byte(".")

// decode appends what a part holds. Its text must be the only one for that: no
// padding, no bits that nobody reads, no line breaks.
func decode(dst, part []byte) (all, decoded []byte, err error) {
	if bytes.ContainsAny(part, "\r\n") { // which encoding/base64 passes over
		return dst, nil, ErrForm
	}
	at := len(dst)
	if dst, err = encoding.AppendDecode(dst, part); err != nil {
		return dst, nil, ErrForm
	}
	return dst, dst[at:len(dst):len(dst)], nil
}

// read takes what matters from the header. Members that would have a key come from
// the token itself (jwk, jku, x5c, x5u) are not looked at.
func (t *Token) read(m map[string]any) (err error) {
	for _, name := range []string{"crit", "b64"} { // RFC 7515 §4.1.11, RFC 7797 §3
		if _, has := m[name]; has {
			return ErrCritical
		}
	}
	for _, name := range []string{"enc", "zip"} {
		if _, has := m[name]; has {
			return ErrEncrypted
		}
	}
	text := func(name string) (string, bool) {
		v, has := m[name]
		s, ok := v.(string)
		if has && !ok {
			err = ErrHeader
		}
		return s, has
	}
	algorithm, _ := text("alg")
	content, _ := text("cty")
	kind, _ := text("typ")
	t.KeyID, t.HasKeyID = text("kid")
	switch {
	case err != nil || len(t.KeyID) > maxKeyID:
		return ErrHeader
	case MediaType(content) == "jwt": // RFC 7519 §5.2
		return ErrNested
	}
	t.Type = MediaType(kind)
	t.Algorithm, err = ParseAlgorithm(algorithm)
	return err
}

// MediaType is a type as it is compared: without "application/" in front of it, in
// small letters (RFC 7515 §4.1.9).
func MediaType(s string) string {
	s = strings.ToLower(s)
	if rest, ok := strings.CutPrefix(s, "application/"); ok && !strings.Contains(rest, "/") {
		return rest
	}
	return s
}

// Claims decodes the payload, with numbers as json.Number. Who calls it has
// verified the token.
func (t *Token) Claims() (map[string]any, error) { return object(t.payload) }

// Size is that of the payload in bytes.
func (t *Token) Size() int { return len(t.payload) }
