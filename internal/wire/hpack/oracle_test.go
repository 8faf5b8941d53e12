package hpack_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	xhpack "golang.org/x/net/http2/hpack"

	"github.com/gridway/gridway/internal/wire/hpack"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

type generator struct{ *rand.Rand }

func (g generator) word(alphabet string, least, most int) string {
	b := make([]byte, least+g.IntN(most-least+1))
	for i := range b {
		b[i] = alphabet[g.IntN(len(alphabet))]
	}
	return string(b)
}

const lowerAlnum = "abcdefghijklmnopqrstuvwxyz0123456789-"

var octets = func() string {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return string(b)
}()

func (g generator) field() (name, value string) {
	names := []string{"accept", "user-agent", "content-type", "authorization", "cookie", "x-request-id", "etag", "from", "date"}
	name = names[g.IntN(len(names))]
	if g.IntN(3) == 0 {
		name = "x-" + g.word(lowerAlnum, 1, 2)
	}
	switch g.IntN(4) {
	case 0:
		return name, g.word(octets, 0, 300)
	case 1:
		return name, g.word("ab", 0, 2)
	}
	return name, g.word(lowerAlnum+"ABCDEF/=;, ", 0, 60)
}

// What x/net encodes, with tables that change their size, is decoded to the same fields.
func TestDecoderAgainstOracle(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(1, 2))}
	for range 60 {
		var buf bytes.Buffer
		enc := xhpack.NewEncoder(&buf)
		d := hpack.NewDecoder()
		for range 60 {
			buf.Reset()
			if g.IntN(8) == 0 {
				enc.SetMaxDynamicTableSize(uint32(g.IntN(4097)))
			}
			var want []string
			for range g.IntN(20) {
				name, value := g.field()
				sensitive := g.IntN(9) == 0
				line := name + ": " + value
				if sensitive {
					line = "!" + line
				}
				want = append(want, line)
				if err := enc.WriteField(xhpack.HeaderField{Name: name, Value: value, Sensitive: sensitive}); err != nil {
					t.Fatal(err)
				}
			}
			got, err := decodeAll(d, buf.Bytes(), 1<<20)
			if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Fatalf("%v\ngot  %q\nwant %q", err, got, want)
			}
		}
	}
}

// What is encoded here, x/net and the own decoder read.
func TestEncoderAgainstOracle(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(3, 4))}
	for round := range 60 {
		var got []xhpack.HeaderField
		oracle := xhpack.NewDecoder(4096, func(f xhpack.HeaderField) { got = append(got, f) })
		e, d := hpack.NewEncoder(), hpack.NewDecoder()
		e.SetHuffman(round%2 == 0)
		literal, indexed := 0, 0
		for range 60 {
			if g.IntN(8) == 0 {
				e.SetTableSize(uint32(g.IntN(6000)))
				if g.IntN(2) == 0 {
					e.SetTableSize(uint32(g.IntN(6000)))
				}
			}
			block, want := encodeSome(g, e)
			got = got[:0]
			if _, err := oracle.Write(block); err != nil {
				t.Fatalf("%x: %v", block, err)
			}
			if err := oracle.Close(); err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, f := range got {
				line := f.Name + ": " + f.Value
				if f.Sensitive {
					line = "!" + line
				}
				lines = append(lines, line)
			}
			own, err := decodeAll(d, block, 1<<20)
			if text := strings.Join(want, "\n"); err != nil || strings.Join(lines, "\n") != text || strings.Join(own, "\n") != text {
				t.Fatalf("%v\noracle %q\nown    %q\nwant   %q", err, lines, own, want)
			}
			literal += len(block)
			for _, l := range want {
				indexed += len(l)
			}
		}
		if literal >= indexed {
			t.Errorf("round %d: %d bytes for %d of text", round, literal, indexed)
		}
	}
}

func encodeSome(g generator, e *hpack.Encoder) (block []byte, want []string) {
	block = e.Begin(nil)
	pick := func(s ...string) string { return s[g.IntN(len(s))] }
	if g.IntN(2) == 0 {
		method, scheme, path, host := pick("GET", "POST", "PURGE"), pick("http", "https", "ftp"), pick("/", "/index.html", "/a?b"), pick("a.example", "b.example")
		block = e.Method(block, []byte(method))
		block = e.Scheme(block, scheme)
		block = e.Path(block, []byte(path))
		block = e.Authority(block, []byte(host))
		block = e.Protocol(block, []byte("websocket"))
		want = append(want, ":method: "+method, ":scheme: "+scheme, ":path: "+path, ":authority: "+host, ":protocol: websocket")
	} else {
		status := []int{200, 204, 206, 304, 400, 404, 500, 100, 201, 503, 999}[g.IntN(11)]
		block = e.Status(block, status)
		want = append(want, ":status: "+string([]byte{byte('0' + status/100), byte('0' + status/10%10), byte('0' + status%10)}))
	}
	for range g.IntN(20) {
		name, value := g.field()
		f := httpmsg.Field{Name: []byte(name), Value: []byte(value), ID: httpmsg.LookupName([]byte(name)), Sensitive: g.IntN(9) == 0}
		if g.IntN(2) == 0 {
			f.Name = bytes.ToUpper(f.Name)
		}
		block = e.Field(block, &f)
		line := name + ": " + value
		if f.Sensitive || f.ID == httpmsg.NameAuthorization || f.ID == httpmsg.NameCookie {
			line = "!" + line
		}
		want = append(want, line)
	}
	return block, want
}

// A field that comes again costs a byte from its third time on; a secret never does.
func TestRepeatedFields(t *testing.T) {
	e := hpack.NewEncoder()
	size := func(name, value string) int {
		f := httpmsg.Field{Name: []byte(name), Value: []byte(value), ID: httpmsg.LookupName([]byte(name))}
		return len(e.Field(nil, &f))
	}
	for _, c := range []struct {
		name string
		want bool
	}{{"user-agent", true}, {"x-other", true}, {"authorization", false}, {"cookie", false}, {"set-cookie", false}, {"x-api-key", false}, {"etag", false}} {
		size(c.name, "value of some length")
		size(c.name, "value of some length")
		if got := size(c.name, "value of some length"); (got == 1) != c.want {
			t.Errorf("%s: %d bytes at the third time", c.name, got)
		}
	}
	for i := range 1000 {
		size("x-unique", "value "+string(rune(0x100+i)))
	}
	if got := size("user-agent", "value of some length"); got != 1 {
		t.Errorf("values that came once have displaced one that came again: %d bytes", got)
	}
}

// A server that never indexes, as NGINX: with what it repeats remembered, it says the same.
func TestDecoderRemembers(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(5, 6))}
	var fields []httpmsg.Field
	for range 200 {
		name, value := g.field()
		fields = append(fields, httpmsg.Field{Name: []byte(name), Value: []byte(value), ID: httpmsg.LookupName([]byte(name))})
	}
	plain, d := hpack.NewDecoder(), hpack.NewDecoder()
	d.Remember()
	for range 2000 {
		block := []byte(nil)
		for range 1 + g.IntN(8) {
			block = unindexed(block, &fields[min(g.IntN(len(fields)), g.IntN(len(fields)))], g.IntN(8) == 0)
		}
		want, err := decodeAll(plain, block, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeAll(d, block, 1<<20)
		if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Fatalf("%v\ngot  %q\nwant %q", err, got, want)
		}
	}
}

// unindexed appends a literal without indexing, or one that is never indexed, its
// name and value in Huffman code.
func unindexed(b []byte, f *httpmsg.Field, never bool) []byte {
	if never {
		b = append(b, 0x10)
	} else {
		b = append(b, 0)
	}
	for _, s := range [][]byte{f.Name, f.Value} {
		code := xhpack.AppendHuffmanString(nil, string(s))
		if len(code) < 0x7f {
			b = append(b, 0x80|byte(len(code)))
		} else {
			b = append(b, 0xff, 0x80|byte((len(code)-0x7f)&0x7f), byte((len(code)-0x7f)>>7))
		}
		b = append(b, code...)
	}
	return b
}
