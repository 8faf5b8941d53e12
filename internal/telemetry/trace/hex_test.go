package trace

import (
	"fmt"
	"testing"
)

func TestHex(t *testing.T) {
	list := []uint64{0x0123456789abcdef, 0xfedcba9876543210, 1<<64 - 1}
	for digit := range uint64(16) { // each in each place
		for place := range 16 {
			list = append(list, digit<<(4*place))
		}
	}
	for _, n := range list {
		if got, want := string(appendHex(nil, n)), fmt.Sprintf("%016x", n); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if back, ok := parseHex(appendHex(nil, n)); !ok || back != n {
			t.Errorf("%x became %x", n, back)
		}
	}
}

func BenchmarkTraceparent(b *testing.B) {
	id, span := NewID(), NewSpan()
	v := make([]byte, 0, traceparentLen)
	for b.Loop() {
		v = Append(v[:0], id.High, id.Low, span, 1)
	}
}
