package trace

import "math/rand/v2"

// ID is the 16 bytes of a trace ID in two halves; zero is none.
type ID struct{ High, Low uint64 }

// NewID draws one that is not zero. All of its bits are random, as sampling by trace ID
// needs it.
func NewID() ID { return ID{rand.Uint64(), nonzero()} }

// NewSpan draws the ID of a span.
func NewSpan() uint64 { return nonzero() }

// Valid tells whether there is one.
func (id ID) Valid() bool { return id != ID{} }

// String is 32 lower-case hexadecimal digits.
func (id ID) String() string { return string(id.Append(make([]byte, 0, 32))) }

// Append appends what String returns.
func (id ID) Append(b []byte) []byte { return appendHex(appendHex(b, id.High), id.Low) }

// ParseID reads 32 or, as B3 has it, 16 hexadecimal digits in lower case.
func ParseID(v string) (id ID, ok bool) {
	switch len(v) {
	case 32:
		high, ok1 := parseHex(v[:16])
		low, ok2 := parseHex(v[16:])
		id, ok = ID{high, low}, ok1 && ok2
	case 16:
		id.Low, ok = parseHex(v)
	}
	return id, ok && id.Valid()
}

// spanText is the 16 digits of a span's ID; zero is empty.
func spanText(n uint64) string {
	if n == 0 {
		return ""
	}
	return string(appendHex(make([]byte, 0, 16), n))
}

// parseHex reads up to 16 lower-case digits.
func parseHex[T string | []byte](v T) (n uint64, ok bool) {
	bad := byte(0)
	for i := range len(v) {
		d := digits[v[i]]
		bad |= d
		n = n<<4 | uint64(d)
	}
	return n, bad < 16 && len(v) > 0 && len(v) <= 16
}

// TrySpan is the span of an exchange's nth try. It follows from the exchange's own, so
// that nobody has to remember it: a step of SplitMix64, whose outcomes differ for all n.
func TrySpan(span uint64, n int) uint64 {
	z := span + uint64(n)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	if z ^= z >> 31; z == 0 {
		return 1
	}
	return z
}

// nonzero draws from the runtime's ChaCha8 generator: unpredictable, and
// without a lock between processors.
func nonzero() uint64 {
	for {
		if n := rand.Uint64(); n != 0 {
			return n
		}
	}
}
