package login

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"

	"github.com/gridway/gridway/internal/ir"
)

// What is sealed is base64url without padding of
//
//	version (1 byte) | nonce (12) | AES-256-GCM of the text, with the version and what it is for authenticated | tag (16)
//
// so that a client can make none, change none and read none, and use none for
// something else.
const (
	version  = 1
	overhead = 1 + 12 + 16
	keySize  = 32
)

// seals are ciphers: the first seals, all open.
type seals []cipher.AEAD

// newSeals derives the ciphers' keys, so that the keys of the configuration may have
// any length, and those of other clients open nothing.
func newSeals(l *ir.Login) (out seals) {
	keys := l.CookieKeys
	if len(keys) == 0 {
		key := make([]byte, keySize)
		_, _ = rand.Read(key) // which never fails
		keys = [][]byte{key}
	}
	for _, key := range keys {
		derived, err := hkdf.Key(sha256.New, key, nil, "gridway login v1\x00"+l.Issuer+"\x00"+l.ClientID, keySize)
		if err != nil {
			continue // only for keys that are far longer
		}
		block, err := aes.NewCipher(derived)
		if err != nil {
			continue
		}
		if aead, err := cipher.NewGCMWithRandomNonce(block); err == nil {
			out = append(out, aead)
		}
	}
	return out
}

var encoding = base64.RawURLEncoding.Strict()

// seal appends a text that only open reads, for the same purpose.
func (s seals) seal(dst []byte, purpose string, text []byte) []byte {
	if len(s) == 0 {
		return dst
	}
	sealed := make([]byte, 1, overhead+len(text))
	sealed[0] = version
	sealed = s[0].Seal(sealed, nil, text, authenticated(purpose))
	return encoding.AppendEncode(dst, sealed)
}

// open returns what was sealed for a purpose with one of the keys.
func (s seals) open(purpose string, sealed []byte) ([]byte, bool) {
	raw := make([]byte, encoding.DecodedLen(len(sealed)))
	n, err := encoding.Decode(raw, sealed)
	if err != nil || n < overhead || raw[0] != version {
		return nil, false
	}
	for _, aead := range s {
		if text, err := aead.Open(nil, nil, raw[1:n], authenticated(purpose)); err == nil {
			return text, true
		}
	}
	return nil, false
}

func authenticated(purpose string) []byte { return append([]byte{version}, purpose...) }
