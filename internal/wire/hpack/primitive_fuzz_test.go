package hpack

import (
	"bytes"
	"testing"

	xhpack "golang.org/x/net/http2/hpack"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// FuzzPrimitives: Huffman code is read and written as x/net does, whatever it says;
// integers and strings that were read survive being written.
func FuzzPrimitives(f *testing.F) {
	for _, s := range []string{"", "www.example.com", "\x00\xff\x80", "aaaaaaaaaaaaaaaa", "{}~^<>|"} {
		f.Add(appendHuffman(nil, []byte(s)), uint8(4))
		f.Add(AppendString(nil, 0, 7, []byte(s)), uint8(4))
	}
	f.Add([]byte{0x1f, 0x9a, 0x0a}, uint8(2))
	f.Add(bytes.Repeat([]byte{0xff}, 9), uint8(5)) // EOS
	f.Fuzz(func(t *testing.T, b []byte, p uint8) {
		want, err := xhpack.HuffmanDecodeToString(b)
		if got, ok := decodeHuffman(b); ok != (err == nil) || ok && string(got) != want {
			t.Fatalf("%x: %q %v, want %q %v", b, got, ok, want, err)
		}
		code := appendHuffman(nil, b)
		if other := xhpack.AppendHuffmanString(nil, string(b)); !bytes.Equal(code, other) || huffSize(b) != len(code) {
			t.Fatalf("%q is %x in %d bytes, want %x", b, code, huffSize(b), other)
		}
		if len(b) == 0 {
			return
		}
		prefix := uint(p)%6 + 3 // those of HPACK and QPACK are 3 to 8 bits
		if v, n := ReadInt(b, prefix); n > 0 {
			again := AppendInt(nil, 0, prefix, v)
			if w, m := ReadInt(again, prefix); w != v || m != len(again) || n > len(b) || m > n {
				t.Fatalf("%x in %d bits is %d in %d bytes, and becomes %x", b, prefix, v, n, again)
			}
		}
		if prefix == 8 { // no bit is left that says whether it is in Huffman code
			return
		}
		var arena httpmsg.Arena
		s, n := ReadString(b, prefix, &arena)
		if n == 0 {
			return
		}
		out := AppendString(nil, 0, prefix, s)
		if back, m := ReadString(out, prefix, &arena); n > len(b) || len(s) > n*8/5 || m != len(out) || !bytes.Equal(back, s) {
			t.Fatalf("%x is %q in %d bytes, and becomes %x", b, s, n, out)
		}
	})
}
