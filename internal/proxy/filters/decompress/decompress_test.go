package decompress_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/decompress"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

type flusher interface {
	io.WriteCloser
	Flush() error
}

func encoder(coding string, w io.Writer) flusher {
	switch coding {
	case "gzip", "x-gzip":
		return gzip.NewWriter(w)
	case "deflate":
		return zlib.NewWriter(w)
	case "br":
		return brotli.NewWriterLevel(w, 4)
	}
	e, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	return e
}

func encode(coding string, plain []byte) []byte {
	var b bytes.Buffer
	e := encoder(coding, &b)
	e.Write(plain)
	e.Close()
	return b.Bytes()
}

var all = []string{"gzip", "x-gzip", "deflate", "br", "zstd"}

func request(coding string) *filter.Exchange {
	x := &filter.Exchange{}
	x.Req.Body, x.Req.Length = httpmsg.BodyLength, 10
	x.Req.Header.AddID(httpmsg.NameContentLength, []byte("10"))
	if coding != "" {
		x.Req.Header.AddID(httpmsg.NameContentEncoding, []byte(coding))
	}
	return x
}

func read(t testing.TB, c *ir.Compression, coding string, body io.Reader) ([]byte, error) {
	t.Helper()
	x := request(coding)
	decompress.NewRequest(c).OnRequest(x)
	if len(x.RequestBodyFuncs()) != 1 {
		t.Fatalf("%s is left alone", coding)
	}
	r := x.RequestBodyFuncs()[0](body)
	defer r.(io.Closer).Close()
	return io.ReadAll(r)
}

func TestRoundTrip(t *testing.T) {
	plain := []byte(strings.Repeat("a line of text, not very long, and 17 more\n", 3000))
	for _, coding := range all {
		for range 3 { // the second and third use a kept decoder
			got, err := read(t, &ir.Compression{}, coding, bytes.NewReader(encode(coding, plain)))
			if err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("%s: %d bytes, %v", coding, len(got), err)
			}
		}
	}
	twice := encode("br", encode("gzip", plain))
	if got, err := read(t, &ir.Compression{}, "gzip, br", bytes.NewReader(twice)); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("two codings: %d bytes, %v", len(got), err)
	}
}

func TestRequestHead(t *testing.T) {
	x := request("gzip")
	x.Req.Header.Add([]byte("Content-MD5"), []byte("x"))
	if decompress.NewRequest(&ir.Compression{}).OnRequest(x) != filter.Continue {
		t.Fatal("it replied")
	}
	if x.Req.Header.Len() != 0 || x.Req.Body != httpmsg.BodyChunked || x.Req.Length != 0 {
		t.Errorf("%d fields are left, body kind %v", x.Req.Header.Len(), x.Req.Body)
	}
	for _, coding := range []string{"", "identity", "compress", "gzip, foo", "gzip, gzip, gzip, gzip"} {
		x := request(coding)
		fields := x.Req.Header.Len()
		decompress.NewRequest(&ir.Compression{}).OnRequest(x)
		if len(x.RequestBodyFuncs()) > 0 || x.Req.Header.Len() != fields || x.Req.Body != httpmsg.BodyLength {
			t.Errorf("%q: changed", coding)
		}
	}
	x = request("gzip")
	x.Req.Header.AddID(httpmsg.NameCacheControl, []byte("no-transform"))
	decompress.NewRequest(&ir.Compression{}).OnRequest(x)
	if len(x.RequestBodyFuncs()) > 0 {
		t.Error("no-transform was ignored")
	}
}

func TestResponseHead(t *testing.T) {
	response := func(change func(*filter.Exchange)) *filter.Exchange {
		x := &filter.Exchange{}
		x.Resp.Status, x.Resp.Body, x.Resp.Length = 200, httpmsg.BodyLength, 10
		x.Resp.Header.AddID(httpmsg.NameContentEncoding, []byte("gzip"))
		x.Resp.Header.AddID(httpmsg.NameContentLength, []byte("10"))
		x.Resp.Header.AddID(httpmsg.NameETag, []byte(`"a"`))
		change(x)
		decompress.NewResponse(&ir.Compression{}).OnResponse(x)
		return x
	}
	x := response(func(*filter.Exchange) {})
	if x.Resp.Header.Len() != 1 || string(x.Resp.Header.Get(httpmsg.NameETag)) != `W/"a"` || len(x.ResponseBodyFuncs()) != 1 {
		t.Errorf("%d fields are left", x.Resp.Header.Len())
	}
	for name, change := range map[string]func(*filter.Exchange){
		"206":       func(x *filter.Exchange) { x.Resp.Status = 206 },
		"no body":   func(x *filter.Exchange) { x.Resp.Body = httpmsg.BodyNone },
		"304":       func(x *filter.Exchange) { x.Resp.Status = 304 },
		"own reply": func(x *filter.Exchange) { x.Local.Status = 500 },
		"range":     func(x *filter.Exchange) { x.Resp.Header.AddID(httpmsg.NameContentRange, []byte("bytes 0-1/2")) },
	} {
		if x := response(change); len(x.ResponseBodyFuncs()) > 0 || !x.Resp.Header.Has(httpmsg.NameContentLength) {
			t.Errorf("%s: changed", name)
		}
	}
}

func TestHeadIsLikeGet(t *testing.T) {
	x := &filter.Exchange{}
	x.Req.MethodID = httpmsg.MethodHead
	x.Resp.Status, x.Resp.Body = 200, httpmsg.BodyNone
	x.Resp.Header.AddID(httpmsg.NameContentEncoding, []byte("gzip"))
	x.Resp.Header.AddID(httpmsg.NameContentLength, []byte("10"))
	decompress.NewResponse(&ir.Compression{}).OnResponse(x)
	if x.Resp.Header.Len() != 0 || len(x.ResponseBodyFuncs()) > 0 || x.Resp.Body != httpmsg.BodyNone {
		t.Errorf("%d fields are left, body kind %v", x.Resp.Header.Len(), x.Resp.Body)
	}
}

func TestBombs(t *testing.T) {
	zeros := make([]byte, 4<<20)
	for _, coding := range all {
		bomb := encode(coding, zeros)
		got, err := read(t, &ir.Compression{MaxRatio: 50}, coding, bytes.NewReader(bomb))
		if !errors.Is(err, filter.ErrDecompressionLimit) || len(got) > 1<<20+51*(len(bomb)+64<<10) {
			t.Errorf("%s: %d bytes came out of %d, %v", coding, len(got), len(bomb), err)
		}
		got, err = read(t, &ir.Compression{MaxRatio: 1 << 30, MaxBytes: 100000}, coding, bytes.NewReader(bomb))
		if !errors.Is(err, filter.ErrDecompressionLimit) || len(got) > 100000 {
			t.Errorf("%s: %d bytes came out, %v", coding, len(got), err)
		}
		// A body of just the limit is fine.
		got, err = read(t, &ir.Compression{MaxRatio: 1 << 30, MaxBytes: 100000}, coding, bytes.NewReader(encode(coding, zeros[:100000])))
		if err != nil || len(got) != 100000 {
			t.Errorf("%s: %d bytes came out, %v", coding, len(got), err)
		}
	}
	nested := encode("gzip", encode("gzip", zeros))
	if got, err := read(t, &ir.Compression{}, "gzip, gzip", bytes.NewReader(nested)); !errors.Is(err, filter.ErrDecompressionLimit) {
		t.Errorf("nested: %d bytes came out, %v", len(got), err)
	}
}

func TestBadBodies(t *testing.T) {
	plain := []byte(strings.Repeat("some text ", 2000))
	for _, coding := range all {
		good := encode(coding, plain)
		for name, bad := range map[string][]byte{
			"garbage": []byte("this is not compressed at all, whatever the header says"),
			"cut":     good[:len(good)/2],
			"no end":  good[:len(good)-1],
		} {
			if _, err := read(t, &ir.Compression{}, coding, bytes.NewReader(bad)); !errors.Is(err, filter.ErrContentCoding) {
				t.Errorf("%s, %s: %v", coding, name, err)
			}
		}
		cut := errors.New("connection reset")
		source := io.MultiReader(bytes.NewReader(good[:len(good)/2]), failing{cut})
		if _, err := read(t, &ir.Compression{}, coding, source); !errors.Is(err, cut) || errors.Is(err, filter.ErrContentCoding) {
			t.Errorf("%s: the source's error became %v", coding, err)
		}
		// What came before must not trouble the next body of the same decoder.
		if got, err := read(t, &ir.Compression{}, coding, bytes.NewReader(good)); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s after bad bodies: %d bytes, %v", coding, len(got), err)
		}
		if got, err := read(t, &ir.Compression{}, coding, bytes.NewReader(nil)); err != nil && !errors.Is(err, filter.ErrContentCoding) || len(got) > 0 {
			t.Errorf("%s: an empty body: %q, %v", coding, got, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// What the sender has flushed comes out without waiting for more.
func TestStreamsFlow(t *testing.T) {
	for _, coding := range all {
		r, w := io.Pipe()
		ack := make(chan struct{}) // an event has come out
		go func() {
			e := encoder(coding, w)
			for range 3 {
				e.Write([]byte("event\n"))
				e.Flush()
				<-ack
			}
			e.Close()
			w.Close()
		}()
		x := request(coding)
		decompress.NewRequest(&ir.Compression{}).OnRequest(x)
		body := x.RequestBodyFuncs()[0](r)
		buf := make([]byte, 6)
		for range 3 {
			if _, err := io.ReadFull(body, buf); err != nil || string(buf) != "event\n" {
				t.Fatalf("%s: %q, %v", coding, buf, err)
			}
			ack <- struct{}{}
		}
		if rest, err := io.ReadAll(body); len(rest) > 0 || err != nil {
			t.Errorf("%s: %q, %v", coding, rest, err)
		}
		body.(io.Closer).Close()
	}
}

func FuzzDecompress(f *testing.F) {
	for _, coding := range all {
		f.Add(coding, encode(coding, []byte("hello, hello, hello")))
	}
	f.Add("gzip, br", encode("br", encode("gzip", []byte("x"))))
	f.Fuzz(func(t *testing.T, coding string, body []byte) {
		x := request(coding)
		decompress.NewRequest(&ir.Compression{MaxBytes: 1 << 20}).OnRequest(x)
		for _, wrap := range x.RequestBodyFuncs() {
			r := wrap(bytes.NewReader(body))
			if got, _ := io.ReadAll(r); len(got) > 1<<20 {
				t.Fatalf("%d bytes came out", len(got))
			}
			r.(io.Closer).Close()
		}
	})
}
