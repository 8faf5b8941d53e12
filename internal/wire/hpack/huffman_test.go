package hpack

import (
	"bytes"
	"math/rand/v2"
	"testing"

	xhpack "golang.org/x/net/http2/hpack"
)

func decodeHuffman(src []byte) ([]byte, bool) {
	dst := make([]byte, huffRoom(len(src)))
	n, ok := huffDecode(dst, src)
	return dst[:n], ok
}

func TestHuffmanAgainstOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	check := func(b []byte) {
		t.Helper()
		want := xhpack.AppendHuffmanString(nil, string(b))
		got := appendHuffman(nil, b)
		if !bytes.Equal(got, want) || huffSize(b) != len(want) {
			t.Fatalf("%q: %x, size %d, want %x", b, got, huffSize(b), want)
		}
		if back, ok := decodeHuffman(got); !ok || !bytes.Equal(back, b) {
			t.Fatalf("%q: back %q", b, back)
		}
	}
	for a := range 256 {
		check([]byte{byte(a)})
		for b := range 256 {
			check([]byte{byte(a), byte(b)})
		}
	}
	for range 5000 {
		b := make([]byte, r.IntN(60))
		wide := r.IntN(2) == 0
		for i := range b {
			if b[i] = byte(r.IntN(256)); !wide {
				b[i] = "aeiost0123-/.Zz"[r.IntN(15)]
			}
		}
		check(b)
	}
}

// Whatever the bytes, both decoders agree on whether and what they say.
func TestHuffmanGarbageAgainstOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	good := 0
	for range 60000 {
		b := make([]byte, r.IntN(14))
		for i := range b {
			b[i] = byte(r.IntN(256))
			if r.IntN(3) == 0 {
				b[i] = 0xff
			}
		}
		want, err := xhpack.HuffmanDecodeToString(b)
		got, ok := decodeHuffman(b)
		if ok != (err == nil) || ok && string(got) != want {
			t.Fatalf("%x: %q %v, want %q %v", b, got, ok, want, err)
		}
		if ok {
			good++
		}
	}
	if good < 300 {
		t.Errorf("only %d were valid", good)
	}
}

func TestIntegers(t *testing.T) {
	// RFC 7541 §C.1.
	for _, c := range []struct {
		v      uint32
		prefix uint
		want   string
	}{{10, 5, "\x0a"}, {1337, 5, "\x1f\x9a\x0a"}, {42, 8, "\x2a"}} {
		if got := appendInt(nil, 0, c.prefix, c.v); string(got) != c.want {
			t.Errorf("%d: %x", c.v, got)
		}
	}
	for prefix := uint(4); prefix <= 8; prefix++ {
		for _, v := range []uint32{0, 1, 14, 15, 16, 30, 31, 32, 126, 127, 128, 254, 255, 256, 1337, 1 << 20, maxInt - 1, maxInt} {
			b := appendInt(nil, 0, prefix, v)
			if got, n := readInt(b, prefix); got != v || n != len(b) {
				t.Errorf("%d in %d bits: %x is %d, %d bytes", v, prefix, b, got, n)
			}
			for i := range len(b) - 1 {
				if i > 0 {
					if _, n := readInt(b[:i], prefix); n != 0 {
						t.Errorf("%x cut after %d is accepted", b, i)
					}
				}
			}
		}
		if _, n := readInt(appendInt(nil, 0, prefix, maxInt+1), prefix); n != 0 {
			t.Errorf("%d in %d bits is accepted", uint32(maxInt+1), prefix)
		}
	}
}

// The table's memory stays within a small multiple of its size, whatever comes.
func TestTableMemory(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	tab := table{max: 4096}
	var model []string
	size := 0
	for range 3000 {
		name, value := make([]byte, r.IntN(100)), make([]byte, r.IntN(100)*r.IntN(45))
		for i := range value {
			value[i] = byte(r.IntN(256))
		}
		if _, ok := tab.insert(name, value, 0, 0, 0); ok != (len(name)+len(value)+32 <= 4096) {
			t.Fatal("inserted", ok)
		}
		model = append(model, string(name)+string(value))
		size += len(name) + len(value) + 32
		for size > 4096 {
			size -= len(model[0]) + 32
			model = model[1:]
		}
		if int(tab.size) != size || tab.len() != len(model) {
			t.Fatalf("size %d, %d entries; want %d, %d", tab.size, tab.len(), size, len(model))
		}
		for i, want := range model {
			e := tab.entry(tab.first + uint32(i))
			if got := string(tab.nameOf(e)) + string(tab.valueOf(e)); got != want {
				t.Fatalf("entry %d is %q, want %q", i, got, want)
			}
		}
		if cap(tab.buf) > 3*4096 || len(tab.ring) > 128 {
			t.Fatalf("%d bytes, %d entries", cap(tab.buf), len(tab.ring))
		}
	}
}
