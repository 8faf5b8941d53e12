// Package jointoken is the tokens by which machines join a mesh: their text, what they
// grant, and how both ends prove that they know one without saying it. It knows neither
// stores nor networks, and may be imported by mesh/join and manage.
package jointoken

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"
)

// Prefix lets people and scanners tell what a token is.
const Prefix = "gwj_"

const (
	// idSize and secretSize are in characters of base32, of 5 bits each.
	idSize     = 10
	secretSize = 32
	alphabet   = "abcdefghijklmnopqrstuvwxyz234567"
)

// Token is one, with its secret of 160 bits.
type Token struct {
	id, secret string
}

// New makes one.
func New() Token {
	text := strings.ToLower(rand.Text() + rand.Text())
	return Token{text[:idSize], text[idSize : idSize+secretSize]}
}

// FromParts makes one of an ID and a secret that were kept apart.
func FromParts(id, secret string) (Token, error) { return Parse(Prefix + id + "_" + secret) }

// ErrForm: a text is no token. It has nothing of the text.
var ErrForm = errors.New("the join token is not one: it must read gwj_, 10 letters and digits, an underscore, and 32 letters and digits, as gridway identity token create has shown it")

// Parse reads the text of a token, without the white space around it.
func Parse(text string) (Token, error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), Prefix)
	id, secret, found := strings.Cut(rest, "_")
	if !ok || !found || !ValidID(id) || len(secret) != secretSize || strings.Trim(secret, alphabet) != "" {
		return Token{}, ErrForm
	}
	return Token{id, secret}, nil
}

// ValidID tells whether a text may be the ID of a token.
func ValidID(id string) bool { return len(id) == idSize && strings.Trim(id, alphabet) == "" }

// ID is no secret: it finds the token.
func (t Token) ID() string { return t.id }

// Secret is what is kept sealed.
func (t Token) Secret() string { return t.secret }

// Text is the whole of it, which is shown once.
func (t Token) Text() string { return Prefix + t.id + "_" + t.secret }

// String hides the secret from formatting.
func (t Token) String() string { return Prefix + t.id + "_(hidden)" }

// GoString hides it too.
func (t Token) GoString() string { return t.String() }

// NonceSize is that of nonces, in bytes.
const NonceSize = 32

// Transcript is what both ends have seen of a join: it is equal only if they talk to each
// other over one TLS connection, without anybody between.
type Transcript struct {
	TokenID                  string
	ClientNonce, ServerNonce []byte
	TrustDomain              string
	Bundle                   []byte
	// Exporter is the channel binding of the connection (RFC 9266, tls-exporter).
	Exporter []byte
}

// AuthorityProof shows that the authority knows the token, and that the bundle is its own.
func (t Token) AuthorityProof(x *Transcript) []byte { return t.proof("authority", x, nil) }

// ProxyProof shows that a proxy knows the token, over what it asks for.
func (t Token) ProxyProof(x *Transcript, request []byte) []byte { return t.proof("proxy", x, request) }

// proof is an HMAC-SHA256 by a key that is for one side alone, so that nobody can send the
// other's proof back. Each part has its length before it, so that none can run into another.
func (t Token) proof(side string, x *Transcript, request []byte) []byte {
	key, err := hkdf.Key(sha256.New, []byte(t.secret), nil, "gridway join v1 "+side, sha256.Size)
	if err != nil { // only for keys that are far longer
		panic(err)
	}
	m := hmac.New(sha256.New, key)
	for _, part := range [][]byte{[]byte(x.TokenID), x.ClientNonce, x.ServerNonce, []byte(x.TrustDomain), x.Bundle, x.Exporter, request} {
		_ = binary.Write(m, binary.BigEndian, uint64(len(part))) // a hash takes all
		_, _ = m.Write(part)
	}
	return m.Sum(nil)
}

// Equal compares two proofs in constant time.
func Equal(a, b []byte) bool { return len(a) == sha256.Size && hmac.Equal(a, b) }
