package h1_test

import (
	"bytes"
	"io"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/wire/h1"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// readChunks decodes in, of which step bytes more arrive each time more is
// wanted, as a driver does. It returns the data, how many bytes were consumed,
// and the code of the error or "More" if the body did not end.
func readChunks(in []byte, step int, trailer *httpmsg.Header) (data []byte, n int, code string) {
	var c h1.ChunkReader
	for have := min(step, len(in)); ; {
		part, used, done, err := c.Next(in[n:have:have], trailer)
		if err != nil {
			return data, n, codeOf(err)
		}
		data = append(data, part...)
		n += used
		switch {
		case done:
			return data, n, ""
		case used > 0:
		case have == len(in):
			return data, n, "More"
		default:
			have = min(have+step, len(in))
		}
	}
}

var goodChunks = []struct{ in, data, trailer string }{
	{"0\r\n\r\n", "", ""},
	{"5\r\nhello\r\n0\r\n\r\n", "hello", ""},
	{"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world", ""},
	{"0A\r\n0123456789\r\n000\r\n\r\n", "0123456789", ""},
	{"a\r\n0123456789\r\n0\r\n\r\n", "0123456789", ""},
	{"2\r\n\r\n\r\n0\r\n\r\n", "\r\n", ""},
	{"000000000000005\r\nhello\r\n0\r\n\r\n", "hello", ""},
	{"5;a\r\nhello\r\n0;b=c\r\n\r\n", "hello", ""},
	{"5;a=b;c=\"d\\\"\\\\;\te\"\r\nhello\r\n0\r\n\r\n", "hello", ""},
	{"5 ; a\t= b ;c=\"\"\r\nhello\r\n0\r\n\r\n", "hello", ""},
	{"5;a=\"b\" ;c\r\nhello\r\n0\r\n\r\n", "hello", ""},
	{"0\r\nX: y\r\n\r\n", "", " [X: y]"},
	{"1\r\na\r\n0\r\nGrpc-Status: 0\r\nX-Sum:\t1 \r\n\r\n", "a", " [Grpc-Status: 0] [X-Sum: 1]"},
	{"0\r\nContent-Length: 5\r\nX: y\r\nTransfer-Encoding: chunked\r\nHost: h\r\nAuthorization: x\r\nSet-Cookie: c\r\n\r\n", "", " [X: y]"},
}

func TestChunks(t *testing.T) {
	for _, c := range goodChunks {
		for _, step := range []int{1, 2, 3, 1000} {
			var trailer httpmsg.Header
			in := []byte(c.in + "GET / HTTP/1.1\r\n")
			data, n, code := readChunks(in, step, &trailer)
			if string(data) != c.data || n != len(c.in) || code != "" || fields(&trailer) != c.trailer {
				t.Errorf("%q by %d: %q, n=%d, %s, %q", c.in, step, data, n, code, fields(&trailer))
			}
			if _, n, code := readChunks(in, step, nil); n != len(c.in) || code != "" {
				t.Errorf("%q by %d without trailer: n=%d, %s", c.in, step, n, code)
			}
		}
		for i := range len(c.in) {
			if _, _, code := readChunks([]byte(c.in[:i]), 1000, nil); code != "More" {
				t.Errorf("%q cut at %d: %q", c.in, i, code)
			}
		}
	}
}

func TestRefusedChunks(t *testing.T) {
	for _, c := range []struct{ in, code string }{
		{"\r\n", "InvalidChunkSize"},
		{"\n", "InvalidChunkSize"},
		{" 5\r\n", "InvalidChunkSize"},
		{"+5\r\n", "InvalidChunkSize"},
		{"-5\r\n", "InvalidChunkSize"},
		{"-0\r\n", "InvalidChunkSize"},
		{"0x5\r\n", "InvalidChunkSize"},
		{"5h\r\n", "InvalidChunkSize"},
		{"g\r\n", "InvalidChunkSize"},
		{"5,5\r\n", "InvalidChunkSize"},
		{"5_0\r\n", "InvalidChunkSize"},
		{"5\x00\r\n", "InvalidChunkSize"},
		{"5\x0b\r\n", "InvalidChunkSize"},
		{"\xef\xbc\x95\r\n", "InvalidChunkSize"},
		{";a\r\n", "InvalidChunkSize"},
		{"\"5\"\r\n", "InvalidChunkSize"},
		{"0000000000000005\r\n", "ChunkSizeOverflow"},
		{"ffffffffffffffff\r\n", "ChunkSizeOverflow"},
		{"10000000000000005\r\n", "ChunkSizeOverflow"},
		{strings.Repeat("0", 1000) + "\r\n", "ChunkSizeOverflow"},
		{"5\nhello\r\n", "BareLF"},
		{"5\rhello", "BareCR"},
		{"5\r\r\nhello", "BareCR"},
		{"5;a\nhello\r\n", "BareLF"},
		{"5;a\rhello", "BareCR"},
		{"5;a=\"\nhello\r\n", "BareLF"},
		{"5 \r\nhello\r\n", "InvalidChunkExtension"},
		{"5\t\r\nhello\r\n", "InvalidChunkExtension"},
		{"5 5\r\nhello\r\n", "InvalidChunkExtension"},
		{"5;\r\nhello\r\n", "InvalidChunkExtension"},
		{"5;a=\r\nhello\r\n", "InvalidChunkExtension"},
		{"5;a \r\nhello\r\n", "InvalidChunkExtension"},
		{"5;=b\r\nhello\r\n", "InvalidChunkExtension"},
		{"5;a=b=c\r\nhello\r\n", "InvalidChunkExtension"},
		{"5;a b\r\nhello\r\n", "InvalidChunkExtension"},
		{"5;;a\r\nhello\r\n", "InvalidChunkExtension"},
		{"5;a=\"b\r\nhello\r\n", "InvalidChunkExtension"},
		{"5;a=\"b\"c\r\nhello\r\n", "InvalidChunkExtension"},
		{"5;a=\"\\\r\nhello\r\n", "InvalidChunkExtension"},
		{"5;a\x00\r\nhello\r\n", "InvalidChunkExtension"},
		{"5;a=\"\x01\"\r\nhello\r\n", "InvalidChunkExtension"},
		{"5;a=\"\x7f\"\r\nhello\r\n", "InvalidChunkExtension"},
		{"5;\xe9\r\nhello\r\n", "InvalidChunkExtension"},
		{"5;a," + "\r\nhello\r\n", "InvalidChunkExtension"},
		{"5;" + strings.Repeat("a", 300) + "\r\nhello\r\n", "ChunkExtensionTooLong"},
		{strings.Repeat("1;"+strings.Repeat("a", 200)+"\r\nx\r\n", 100), "ChunkExtensionTooLong"},
		{"5\r\nhelloX", "MissingChunkEnd"},
		{"5\r\nhello\n", "MissingChunkEnd"},
		{"5\r\nhello\rX", "MissingChunkEnd"},
		{"5\r\nhello\r\r", "MissingChunkEnd"},
		{"5\r\nhello0\r\n\r\n", "MissingChunkEnd"},
		{"4\r\nhello\r\n0\r\n\r\n", "MissingChunkEnd"},
		{"5\r\nhello\r\n\r\n", "InvalidChunkSize"},
		{"0\r\n\n", "BareLF"},
		{"0\r\n\rX", "BareCR"},
		{"0\n\n", "BareLF"},
		{"0\r\nX : y\r\n\r\n", "SpaceInFieldName"},
		{"0\r\n X: y\r\n\r\n", "LeadingWhitespace"},
		{"0\r\nX: y\r\n z\r\n\r\n", "ObsFold"},
		{"0\r\nX: y\n\r\n", "BareLF"},
		{"0\r\nX\r\n\r\n", "MissingColon"},
		{"0\r\nX: \x00\r\n\r\n", "ControlCharacter"},
		{"0\r\nGET / HTTP/1.1\r\n\r\n", "SpaceInFieldName"},
		{"0\r\n" + strings.Repeat("X: y\r\n", 70) + "\r\n", "TooManyFields"},
		{"0\r\nX: " + strings.Repeat("y", 9000) + "\r\n\r\n", "TrailerTooLarge"},
	} {
		for _, step := range []int{1, 7, 100000} {
			var trailer httpmsg.Header
			if _, _, code := readChunks([]byte(c.in), step, &trailer); code != c.code {
				t.Errorf("%.60q by %d: %q, want %q", c.in, step, code, c.code)
			}
		}
	}
}

func TestLongExtensionsWithData(t *testing.T) {
	chunk := "400;" + strings.Repeat("a", 200) + "\r\n" + strings.Repeat("x", 0x400) + "\r\n"
	in := []byte(strings.Repeat(chunk, 200) + "0\r\n\r\n")
	if data, n, code := readChunks(in, 4096, nil); code != "" || n != len(in) || len(data) != 200*0x400 {
		t.Errorf("%d bytes of data, n=%d of %d, %s", len(data), n, len(in), code)
	}
}

func TestAppendChunks(t *testing.T) {
	var trailer httpmsg.Header
	trailer.Add([]byte("X-Sum"), []byte("1"))
	trailer.Add([]byte("Content-Length"), []byte("5"))
	b := append(h1.AppendChunkSize(nil, 26), "abcdefghijklmnopqrstuvwxyz\r\n"...)
	b = h1.AppendLastChunk(b, &trailer)
	if want := "1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nX-Sum: 1\r\n\r\n"; string(b) != want {
		t.Errorf("got %q, want %q", b, want)
	}
	if got := string(h1.AppendLastChunk(nil, nil)); got != "0\r\n\r\n" {
		t.Errorf("last chunk %q", got)
	}
}

func TestChunkReaderAllocatesNothing(t *testing.T) {
	in := []byte("5;a=b\r\nhello\r\n0\r\nX: y\r\nHost: a\r\n\r\n")
	var trailer httpmsg.Header
	var c h1.ChunkReader
	if n := testing.AllocsPerRun(100, func() {
		c.Reset()
		for rest, done := in, false; !done; {
			_, n, end, err := c.Next(rest, &trailer)
			if err != nil {
				t.Fatal(err)
			}
			rest, done = rest[n:], end
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzChunkReader: whatever way the bytes arrive the result is the same, what
// was accepted net/http reads too, and what is read can be written and read again.
func FuzzChunkReader(f *testing.F) {
	for _, c := range goodChunks {
		f.Add([]byte(c.in), uint8(1))
	}
	f.Add([]byte("5 \r\nhello\r\n0\r\n\r\n"), uint8(3))
	f.Add([]byte("5;a=\"\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n"), uint8(2))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		var once, trailer httpmsg.Header
		data, n, code := readChunks(in, len(in)+1, &once)
		stepData, stepN, stepCode := readChunks(in, int(step)+1, &trailer)
		if code != stepCode || code == "" && (n != stepN || fields(&once) != fields(&trailer)) || !bytes.HasPrefix(stepData, data) && !bytes.HasPrefix(data, stepData) {
			t.Fatalf("%q: at once %q n=%d %s, by %d %q n=%d %s", in, data, n, code, int(step)+1, stepData, stepN, stepCode)
		}
		if code != "" {
			return
		}
		// net/http does not know the white space that RFC 9112 §7.1.1 has in extensions.
		want, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(in[:n])))
		if err != nil && !bytes.ContainsAny(in[:n], " \t") || err == nil && !bytes.Equal(want, data) {
			t.Fatalf("%q: %q, net/http %q, %v", in, data, want, err)
		}
		var b []byte
		if len(data) > 0 {
			b = append(append(h1.AppendChunkSize(b, len(data)), data...), "\r\n"...)
		}
		b = h1.AppendLastChunk(b, &once)
		var again httpmsg.Header
		data2, n2, code2 := readChunks(b, len(b), &again)
		if code2 != "" || n2 != len(b) || !bytes.Equal(data, data2) || fields(&again) != fields(&once) {
			t.Fatalf("%q → %q: %q %s", in, b, data2, code2)
		}
	})
}

func TestChunkAnnounced(t *testing.T) {
	var c h1.ChunkReader
	for _, step := range []struct {
		in   string
		want int64
	}{{"3", 0}, {"E8;a", 0x3e8}, {"=b\r", 0x3e8}, {"\n", 0x3e8}, {"xx", 0x3e6}, {strings.Repeat("x", 0x3e6), 0}, {"\r\n", 0}, {"0\r\n", 0}, {"\r\n", 0}} {
		for in := []byte(step.in); len(in) > 0; {
			_, n, _, err := c.Next(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break // the trailer section is waited for
			}
			in = in[n:]
		}
		if got := c.Announced(); got != step.want {
			t.Errorf("after %.8q: %d, want %d", step.in, got, step.want)
		}
	}
}
