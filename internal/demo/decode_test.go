package demo

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// Whatever comes is refused or read, and what is read can be written and read again.
func FuzzProduct(f *testing.F) {
	f.Add([]byte("\x0a\x07lamp-01"))
	f.Add([]byte("\x10\x01\x0a\x01a\x0a\x01b"))
	f.Add([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, in []byte) {
		id, err := decodeProduct(in)
		if err != nil {
			return
		}
		again, err := decodeProduct(protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), id))
		if err != nil || again != id {
			t.Fatalf("%q becomes %q, %v", id, again, err)
		}
	})
}
