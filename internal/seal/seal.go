// Package seal encrypts texts that leave the process: cookies, and private keys in a
// store. It is a leaf: it knows neither cookies nor stores.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// What is sealed is base64url without padding of
//
//	version (1 byte) | nonce (12) | AES-256-GCM of the text, with the version and what it is for authenticated | tag (16)
//
// so that nobody without a key can make one, change one or read one, and nobody can
// use one for something else.
const (
	version  = 1
	overhead = 1 + 12 + 16
	keySize  = 32
)

// Keys seal with the first of them, and open with all.
type Keys []cipher.AEAD

// New derives keys from secrets of any length, which open nothing that was sealed for
// another use. Without a secret there is one that this process alone has.
func New(secrets [][]byte, use string) (out Keys) {
	if len(secrets) == 0 {
		secret := make([]byte, keySize)
		_, _ = rand.Read(secret) // which never fails
		secrets = [][]byte{secret}
	}
	for _, secret := range secrets {
		derived, err := hkdf.Key(sha256.New, secret, nil, use, keySize)
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

// Seal appends a text that only Open reads, for the same purpose.
func (k Keys) Seal(dst []byte, purpose string, text []byte) []byte {
	if len(k) == 0 {
		return dst
	}
	sealed := make([]byte, 1, overhead+len(text))
	sealed[0] = version
	sealed = k[0].Seal(sealed, nil, text, authenticated(purpose))
	return encoding.AppendEncode(dst, sealed)
}

// Open returns what was sealed for a purpose with one of the keys.
func (k Keys) Open(purpose string, sealed []byte) ([]byte, bool) {
	raw := make([]byte, encoding.DecodedLen(len(sealed)))
	n, err := encoding.Decode(raw, sealed)
	if err != nil || n < overhead || raw[0] != version {
		return nil, false
	}
	for _, aead := range k {
		if text, err := aead.Open(nil, nil, raw[1:n], authenticated(purpose)); err == nil {
			return text, true
		}
	}
	return nil, false
}

func authenticated(purpose string) []byte { return append([]byte{version}, purpose...) }
