package ws

import (
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 6455 §4.2.2 says so; it protects nothing
	"encoding/base64"
)

// Version is the only version of the protocol (RFC 6455 §4.1).
const Version = "13"

const (
	// KeyLen and AcceptLen are the lengths of the handshake's two fields.
	KeyLen    = 24
	AcceptLen = 28

	guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

// ValidKey tells whether key is the base64 form of 16 bytes (RFC 6455 §4.2.1).
func ValidKey(key []byte) bool {
	var nonce [KeyLen]byte
	if len(key) != KeyLen {
		return false
	}
	n, err := base64.StdEncoding.Decode(nonce[:], key)
	return err == nil && n == 16
}

// AppendKey appends a key for a handshake of our own.
func AppendKey(dst []byte) []byte {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // it never fails
	return base64.StdEncoding.AppendEncode(dst, nonce[:])
}

// AppendAccept appends what a server answers to a key (RFC 6455 §4.2.2).
func AppendAccept(dst, key []byte) []byte {
	var in [KeyLen + len(guid)]byte
	sum := sha1.Sum(append(append(in[:0], key...), guid...)) //nolint:gosec // as above
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}
