package ws

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

// RFC 6455 §1.3 has the example.
func TestAccept(t *testing.T) {
	if got := string(AppendAccept(nil, []byte("dGhlIHNhbXBsZSBub25jZQ=="))); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("accept %q", got)
	}
}

func TestKeys(t *testing.T) {
	a, b := AppendKey(nil), AppendKey(nil)
	if !ValidKey(a) || !ValidKey(b) || bytes.Equal(a, b) {
		t.Errorf("keys %q and %q", a, b)
	}
	for _, bad := range []string{"", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZ!==", "dGhlIHNhbXBsZSBub25jZQ==x", "AAAAAAAAAAAAAAAAAAAAAAAA"} {
		if ValidKey([]byte(bad)) {
			t.Errorf("%q is taken for a key", bad)
		}
	}
}

// frame makes one, masked if there is a mask.
func frame(fin bool, op Opcode, payload []byte, mask *[4]byte) []byte {
	first := byte(op)
	if fin {
		first |= finBit
	}
	b := []byte{first, 0}
	switch n := len(payload); {
	case n < 126:
		b[1] = byte(n)
	case n < 1<<16:
		b[1] = 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] = 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	if mask == nil {
		return append(b, payload...)
	}
	b[1] |= maskBit
	b = append(b, mask[:]...)
	for i, c := range payload {
		b = append(b, c^mask[i&3])
	}
	return b
}

var someMask = &[4]byte{0xde, 0xad, 0xbe, 0xef}

func TestScannerFollowsFrames(t *testing.T) {
	for _, mask := range []*[4]byte{nil, someMask} {
		var in []byte
		var ends []int
		add := func(b []byte) { in = append(in, b...); ends = append(ends, len(in)) }
		add(frame(true, OpText, []byte("hello"), mask))
		add(frame(true, OpText, nil, mask))
		add(frame(false, OpBinary, make([]byte, 125), mask))
		add(frame(true, OpPing, []byte("are you there"), mask))
		add(frame(false, OpContinuation, make([]byte, 126), mask))
		add(frame(true, OpContinuation, make([]byte, 65535), mask))
		add(frame(true, OpBinary, make([]byte, 65536), mask))
		add(AppendClose(nil, 4242, "because", mask))
		for _, step := range []int{1, 2, 3, 7, 14, 1000, len(in)} {
			var s Scanner
			var boundaries []int
			for at := 0; at < len(in); {
				n := s.Frame(in[at:min(at+step, len(in))])
				if n <= 0 {
					t.Fatalf("step %d: no progress at %d", step, at)
				}
				if at += n; s.Boundary() {
					boundaries = append(boundaries, at)
				}
			}
			if code, ok := s.Closed(); s.Messages() != 4 || !ok || code != 4242 || !slices.Equal(boundaries, ends) {
				t.Errorf("step %d: %d messages, close %d %v, boundaries %v, want %v", step, s.Messages(), code, ok, boundaries, ends)
			}
		}
	}
}

func TestScannerCloseCodes(t *testing.T) {
	for _, c := range []struct {
		in   []byte
		want uint16
	}{
		{frame(true, OpClose, nil, nil), CloseNoStatus},
		{frame(true, OpClose, nil, someMask), CloseNoStatus},
		{frame(true, OpClose, []byte{3}, someMask), CloseNoStatus},
		{AppendClose(nil, CloseGoingAway, "", nil), CloseGoingAway},
		{AppendClose(nil, CloseNormal, "bye", someMask), CloseNormal},
		// The first counts.
		{append(AppendClose(nil, 3001, "", someMask), AppendClose(nil, 4001, "", someMask)...), 3001},
		{append(frame(true, OpClose, nil, nil), AppendClose(nil, 4001, "", nil)...), CloseNoStatus},
	} {
		var s Scanner
		s.Scan(c.in)
		if code, ok := s.Closed(); !ok || code != c.want {
			t.Errorf("% x: %d %v, want %d", c.in, code, ok, c.want)
		}
	}
}

func TestScannerIsLost(t *testing.T) {
	var s Scanner
	in := []byte{finBit | byte(OpBinary), 127, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3}
	s.Scan(in)
	s.Scan([]byte("anything"))
	if !s.Lost() || s.Boundary() || s.Messages() != 0 {
		t.Error("a length of more than 63 bits is followed")
	}
}

func TestCloseReasonIsBounded(t *testing.T) {
	b := AppendClose(nil, 1001, string(bytes.Repeat([]byte("x"), 500)), nil)
	if len(b) != 2+125 || b[1] != 125 {
		t.Errorf("%d bytes, length %d", len(b), b[1])
	}
}

func TestScannerAllocatesNothing(t *testing.T) {
	in := slices.Concat(frame(true, OpText, []byte("hello"), someMask), frame(true, OpBinary, make([]byte, 1000), someMask))
	var s Scanner
	if n := testing.AllocsPerRun(100, func() { s.Scan(in) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// However a stream is cut into pieces, the scanner comes to the same end, and
// that is what a reader of whole frames finds.
func FuzzScanner(f *testing.F) {
	f.Add([]byte(nil), uint64(1))
	f.Add(slices.Concat(frame(true, OpText, []byte("hello"), someMask), AppendClose(nil, 1000, "", someMask)), uint64(2))
	f.Add(frame(false, OpBinary, make([]byte, 300), nil), uint64(3))
	f.Add([]byte{0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0, 0}, uint64(4))
	f.Add([]byte{0x88, 0x81, 1, 2, 3}, uint64(5))
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		var whole, pieces Scanner
		whole.Scan(in)
		random := rand.New(rand.NewPCG(seed, 1))
		for rest := in; len(rest) > 0; {
			n := 1 + random.IntN(min(len(rest), 20))
			pieces.Scan(rest[:n])
			rest = rest[n:]
		}
		if whole != pieces {
			t.Fatalf("in pieces %+v, as a whole %+v", pieces, whole)
		}
		messages, boundary := naive(in)
		if whole.Messages() != messages || whole.Boundary() != boundary {
			t.Fatalf("%d messages, boundary %v; want %d, %v", whole.Messages(), whole.Boundary(), messages, boundary)
		}
	})
}

// naive reads frames out of memory.
func naive(b []byte) (messages uint64, boundary bool) {
	for len(b) > 0 {
		if len(b) < 2 || len(b) < headerLen(b[1]) {
			return messages, false
		}
		size := uint64(b[1] & 0x7f)
		switch size {
		case 126:
			size = uint64(binary.BigEndian.Uint16(b[2:]))
		case 127:
			size = binary.BigEndian.Uint64(b[2:])
		}
		head := headerLen(b[1])
		if size >= 1<<63 || size > uint64(len(b)-head) {
			return messages, false
		}
		if b[0]&finBit != 0 && b[0]&8 == 0 {
			messages++
		}
		b = b[head+int(size):]
	}
	return messages, true
}
