package ws_test

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // RFC 6455 §4.2.2
	"encoding/base64"
	"testing"

	"github.com/gridway/gridway/internal/wire/ws"
)

// FuzzKey: a key that is accepted stands for 16 bytes and is of the length that
// answers have room for, and the answer is that of RFC 6455 §4.2.2 for any key.
func FuzzKey(f *testing.F) {
	for _, s := range []string{
		"dGhlIHNhbXBsZSBub25jZQ==", "AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAB==", "AAAAAAAAAAAAAAAAAAAAAAA=",
		"AAAAAAAAAAAAAAAAAAAAAAAA", "dGhlIHNhbXBsZSBub25jZQ", "____________________-w==", "AAAAAAAAAA\r\nAAAAAAAAAA==", "", "==",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, key []byte) {
		if ws.ValidKey(key) {
			nonce, err := base64.StdEncoding.DecodeString(string(key))
			if err != nil || len(nonce) != 16 || len(key) != ws.KeyLen {
				t.Fatalf("%q is accepted: %d bytes, %v", key, len(nonce), err)
			}
			if bytes.ContainsAny(key, "\r\n") {
				t.Fatalf("%q is accepted with an end of line in it", key)
			}
		} else if nonce, err := base64.StdEncoding.Strict().DecodeString(string(key)); err == nil && len(nonce) == 16 && !bytes.ContainsAny(key, "\r\n") {
			t.Fatalf("%q is refused", key)
		}
		h := sha1.New() //nolint:gosec // as above
		h.Write(key)
		h.Write([]byte("258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		want := base64.StdEncoding.EncodeToString(h.Sum(nil))
		if got := ws.AppendAccept([]byte("before "), key); string(got) != "before "+want || len(want) != ws.AcceptLen {
			t.Fatalf("the answer to %q is %q, want %q", key, got, want)
		}
	})
}
