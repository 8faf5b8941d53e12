package compress

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

func acceptHeader(fields ...string) *httpmsg.Header {
	h := &httpmsg.Header{}
	for _, f := range fields {
		h.AddID(httpmsg.NameAcceptEncoding, []byte(f))
	}
	return h
}

func TestNegotiate(t *testing.T) {
	all := []coding{zstdCoding, brCoding, gzipCoding}
	for _, c := range []struct {
		accept  []string
		offered []coding
		want    coding
		refused bool
	}{
		{nil, all, none, false},
		{[]string{""}, all, none, false},
		{[]string{"gzip"}, all, gzipCoding, false},
		{[]string{"x-gzip"}, all, gzipCoding, false},
		{[]string{"GZip;Q=0.5"}, all, gzipCoding, false},
		{[]string{"gzip, deflate, br, zstd"}, all, zstdCoding, false},
		{[]string{"gzip, deflate, br, zstd"}, []coding{gzipCoding, brCoding}, gzipCoding, false},
		{[]string{"gzip", "br"}, all, brCoding, false},
		{[]string{"gzip;q=1.0, br;q=0.9"}, all, gzipCoding, false},
		{[]string{"gzip ; q=0.8 , br ;q=0.801"}, all, brCoding, false},
		{[]string{"gzip;q=0"}, all, none, false},
		{[]string{"gzip;q=0.000, br"}, []coding{gzipCoding}, none, false},
		{[]string{"*"}, all, zstdCoding, false},
		{[]string{"zstd;q=0, *"}, all, brCoding, false},
		{[]string{"gzip, *;q=0"}, all, gzipCoding, true},
		{[]string{"identity;q=0"}, all, none, true},
		{[]string{"identity;q=0, gzip;q=0.1"}, all, gzipCoding, true},
		{[]string{"identity;q=0, *;q=0.1"}, all, zstdCoding, true},
		{[]string{"*;q=0"}, all, none, true},
		{[]string{"*;q=0, identity"}, all, none, false},
		{[]string{"identity, gzip;q=0.5"}, all, none, false},
		{[]string{"identity;q=0.5, gzip;q=0.5"}, all, gzipCoding, false},
		{[]string{"gzip;q=2"}, all, none, false},
		{[]string{"gzip;q=0.1234"}, all, none, false},
		{[]string{"gzip;q=x, br;level=4"}, all, none, false},
		{[]string{"gzip;q="}, all, none, false},
		{[]string{"gzip;"}, all, none, false},
		{[]string{";q=1, ,,gzip"}, all, gzipCoding, false},
		{[]string{"gzip"}, nil, none, false},
	} {
		got, refused := negotiate(acceptHeader(c.accept...), c.offered)
		if got != c.want || refused != c.refused {
			t.Errorf("%q of %v: %v refused %v, want %v %v", c.accept, c.offered, got, refused, c.want, c.refused)
		}
	}
}

func TestNegotiateAllocatesNothing(t *testing.T) {
	h := acceptHeader("gzip, deflate;q=0.5, br;q=0.9, zstd;q=0.1")
	offered := []coding{zstdCoding, brCoding, gzipCoding}
	if n := testing.AllocsPerRun(100, func() { negotiate(h, offered) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What is chosen was named, or "*" was, and not with a weight of zero only.
func FuzzNegotiate(f *testing.F) {
	f.Add("gzip;q=0.5, br", "identity;q=0")
	f.Add("*;q=0.001,zstd;q=0", "")
	f.Add("gzip;q=1.0000", ",;=")
	f.Fuzz(func(t *testing.T, a, b string) {
		c, refused := negotiate(acceptHeader(a, b), []coding{zstdCoding, brCoding, gzipCoding})
		text := strings.ToLower(a + "," + b)
		if c != none && !strings.Contains(text, string(codingNames[c])) && !strings.Contains(text, "*") {
			t.Fatalf("%q: chose %s", text, codingNames[c])
		}
		if refused && !strings.Contains(text, "identity") && !strings.Contains(text, "*") {
			t.Fatalf("%q: identity refused", text)
		}
	})
}
