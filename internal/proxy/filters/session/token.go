package session

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// A token is base64url without padding of
//
//	version (1 byte) | nonce (12) | AES-256-GCM of: began (8) | last used (8) | address
//
// with the times in Unix milliseconds, big-endian. The 16 bytes of the GCM tag
// authenticate all of it, so that a client can choose no endpoint, and it
// learns no address from it.
const (
	version    = 2
	nonceSize  = 12
	tagSize    = 16
	timesSize  = 16
	maxAddress = 255
	minToken   = 1 + nonceSize + timesSize + tagSize
	maxToken   = minToken + maxAddress
)

type codec struct {
	aead   cipher.AEAD
	random func([]byte) (int, error)
}

// newCodec derives the key of the cipher, so that the configured key may have
// any length. Without one it takes a random one, which ends sessions whenever
// the filter is built anew.
func newCodec(key []byte, name string) (*codec, error) {
	if len(key) == 0 {
		key = make([]byte, 32)
		if _, err := rand.Read(key); err != nil {
			return nil, err
		}
	}
	// The name keeps tokens of one session policy from being used for another.
	derived, err := hkdf.Key(sha256.New, key, nil, "gridway session token v2 "+name, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &codec{aead, rand.Read}, err
}

// token says where a session lives and since when.
type token struct {
	address     string
	began, used int64
}

// appendToken appends the encoded token; it appends nothing for an address
// that is too long to be one.
func (c *codec) appendToken(dst []byte, t token) []byte {
	if len(t.address) > maxAddress {
		return dst
	}
	var sealed, plain [maxToken]byte
	p := binary.BigEndian.AppendUint64(plain[:0], uint64(t.began))
	p = binary.BigEndian.AppendUint64(p, uint64(t.used))
	p = append(p, t.address...)
	sealed[0] = version
	nonce := sealed[1 : 1+nonceSize]
	if _, err := c.random(nonce); err != nil {
		return dst
	}
	out := c.aead.Seal(sealed[:1+nonceSize], nonce, p, sealed[:1])
	return base64.RawURLEncoding.AppendEncode(dst, out)
}

// parse returns the token if this codec made it.
func (c *codec) parse(text []byte) (t token, ok bool) {
	var raw, plain [maxToken]byte
	if base64.RawURLEncoding.DecodedLen(len(text)) > maxToken {
		return t, false
	}
	n, err := base64.RawURLEncoding.Strict().Decode(raw[:], text)
	if err != nil || n < minToken || raw[0] != version {
		return t, false
	}
	p, err := c.aead.Open(plain[:0], raw[1:1+nonceSize], raw[1+nonceSize:n], raw[:1])
	if err != nil {
		return t, false
	}
	t.began = int64(binary.BigEndian.Uint64(p))
	t.used = int64(binary.BigEndian.Uint64(p[8:]))
	t.address = string(p[timesSize:])
	return t, true
}
