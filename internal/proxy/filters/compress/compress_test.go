package compress_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/compress"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

var text = []byte(strings.Repeat("All work and no play makes Jack a dull boy.\n", 5000))

// exchange is one whose response is 200 with a text of a known length.
func exchange(accept string, change func(x *filter.Exchange)) *filter.Exchange {
	x := &filter.Exchange{}
	x.Req.Method, x.Req.MethodID = []byte("GET"), httpmsg.MethodGet
	if accept != "" {
		x.Req.Header.AddID(httpmsg.NameAcceptEncoding, []byte(accept))
	}
	x.Resp.Status, x.Resp.Body, x.Resp.Length = 200, httpmsg.BodyLength, int64(len(text))
	x.Resp.Header.AddID(httpmsg.NameContentType, []byte("text/plain; charset=utf-8"))
	x.Resp.Header.AddID(httpmsg.NameContentLength, []byte("220000"))
	if change != nil {
		change(x)
	}
	return x
}

func run(p *compress.Compress, x *filter.Exchange) {
	p.OnRequest(x)
	p.OnResponse(x)
}

// pull reads the response's body through what the filter has put around it.
func pull(x *filter.Exchange, body io.Reader) ([]byte, error) {
	for _, f := range x.ResponseBodyFuncs() {
		body = f(body)
	}
	if c, ok := body.(io.Closer); ok {
		defer c.Close()
	}
	return io.ReadAll(body)
}

func decode(t testing.TB, coding string, r io.Reader) io.Reader {
	switch coding {
	case "gzip":
		d, err := gzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		return d
	case "br":
		return brotli.NewReader(r)
	case "zstd":
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	t.Fatalf("coding %q", coding)
	return nil
}

func policy(algorithms ...string) *ir.Compression {
	return &ir.Compression{Algorithms: algorithms, MinBytes: 100}
}

func TestRoundTrip(t *testing.T) {
	for _, coding := range []string{"gzip", "br", "zstd"} {
		for _, level := range []int{0, 1, 6, 22} {
			for _, kind := range []httpmsg.BodyKind{httpmsg.BodyLength, httpmsg.BodyChunked, httpmsg.BodyUntilClose} {
				p := policy("zstd", "br", "gzip")
				p.Level = level
				x := exchange(coding, func(x *filter.Exchange) {
					x.Resp.Body = kind
					x.Resp.Header.AddID(httpmsg.NameETag, []byte(`"abc"`))
					x.Resp.Header.AddID(httpmsg.NameAcceptRanges, []byte("bytes"))
					x.Resp.Header.Add([]byte("content-md5"), []byte("x"))
				})
				run(compress.New(p), x)
				h := &x.Resp.Header
				if string(h.Get(httpmsg.NameContentEncoding)) != coding || string(h.Get(httpmsg.NameVary)) != "Accept-Encoding" ||
					string(h.Get(httpmsg.NameETag)) != `W/"abc"` || h.Has(httpmsg.NameContentLength) || h.Has(httpmsg.NameAcceptRanges) ||
					h.HasName([]byte("Content-MD5")) || x.Resp.Body != httpmsg.BodyChunked {
					t.Errorf("%s: headers or framing are wrong: %+v", coding, x.Resp)
				}
				got, err := pull(x, bytes.NewReader(text))
				if err != nil {
					t.Fatalf("%s: %v", coding, err)
				}
				if len(got) > len(text)/20 {
					t.Errorf("%s level %d: %d of %d bytes", coding, level, len(got), len(text))
				}
				plain, err := io.ReadAll(decode(t, coding, bytes.NewReader(got)))
				if err != nil || !bytes.Equal(plain, text) {
					t.Errorf("%s level %d: %d bytes came out, %v", coding, level, len(plain), err)
				}
			}
		}
	}
}

func TestLeftAlone(t *testing.T) {
	set := func(id httpmsg.Name, v string) func(*filter.Exchange) {
		return func(x *filter.Exchange) { x.Resp.Header.Set(id, []byte(v)) }
	}
	status := func(s int) func(*filter.Exchange) { return func(x *filter.Exchange) { x.Resp.Status = s } }
	for _, c := range []struct {
		name, accept string
		change       func(*filter.Exchange)
		vary         bool
	}{
		{"not accepted", "deflate", nil, true},
		{"nothing accepted", "", nil, true},
		{"short", "gzip", func(x *filter.Exchange) { x.Resp.Length = 99 }, false},
		{"image", "gzip", set(httpmsg.NameContentType, "image/png"), false},
		{"no type", "gzip", func(x *filter.Exchange) { x.Resp.Header.Del(httpmsg.NameContentType) }, false},
		{"coded already", "gzip", set(httpmsg.NameContentEncoding, "br"), false},
		{"no-transform", "gzip", set(httpmsg.NameCacheControl, "public, No-Transform"), false},
		{"part", "gzip", set(httpmsg.NameContentRange, "bytes 0-9/10"), false},
		{"206", "gzip", status(206), true},
		{"206 of an image", "gzip", func(x *filter.Exchange) {
			x.Resp.Status = 206
			x.Resp.Header.Set(httpmsg.NameContentType, []byte("image/png"))
		}, false},
		{"empty", "gzip, identity;q=0", func(x *filter.Exchange) { x.Resp.Length = 0 }, false},
		{"204", "gzip", status(204), false},
		{"304", "gzip", status(304), true},
		{"101", "gzip", status(101), false},
		{"no body", "gzip", func(x *filter.Exchange) { x.Resp.Body = httpmsg.BodyNone }, false},
		{"gRPC", "gzip", set(httpmsg.NameContentType, "application/grpc+json"), false},
		{"own reply", "gzip", func(x *filter.Exchange) { x.Local.Status = 503 }, false},
		{"HEAD of something short", "gzip", func(x *filter.Exchange) {
			x.Req.MethodID, x.Resp.Body = httpmsg.MethodHead, httpmsg.BodyNone
			x.Resp.Header.Set(httpmsg.NameContentLength, []byte("99"))
		}, false},
		{"part for a client without identity", "gzip, identity;q=0", status(206), true},
	} {
		p := policy("gzip")
		p.ContentTypes = []string{"text/*", "application/*"}
		x := exchange(c.accept, c.change)
		run(compress.New(p), x)
		if len(x.ResponseBodyFuncs()) > 0 || !x.Resp.Header.Has(httpmsg.NameContentLength) {
			t.Errorf("%s: it was compressed", c.name)
		}
		if x.Resp.Header.Has(httpmsg.NameVary) != c.vary {
			t.Errorf("%s: Vary %q", c.name, x.Resp.Header.Get(httpmsg.NameVary))
		}
	}
}

// The answer to HEAD has the fields of the answer to GET, and none of the
// length that this would not have.
func TestHeadIsLikeGet(t *testing.T) {
	x := exchange("gzip", func(x *filter.Exchange) {
		x.Req.MethodID, x.Resp.Body = httpmsg.MethodHead, httpmsg.BodyNone
		x.Resp.Header.Set(httpmsg.NameETag, []byte(`"a"`))
	})
	run(compress.New(policy("gzip")), x)
	h := &x.Resp.Header
	if len(x.ResponseBodyFuncs()) > 0 || h.Has(httpmsg.NameContentLength) || x.Resp.Body != httpmsg.BodyNone {
		t.Error("it has a body, or the length of another")
	}
	if string(h.Get(httpmsg.NameContentEncoding)) != "gzip" || string(h.Get(httpmsg.NameETag)) != `W/"a"` {
		t.Errorf("coding %q, tag %q", h.Get(httpmsg.NameContentEncoding), h.Get(httpmsg.NameETag))
	}
}

// A 304 names the response that the client holds.
func TestNotModified(t *testing.T) {
	for _, c := range []struct{ match, tag, want string }{
		{`W/"a"`, `"a"`, `W/"a"`},
		{`"b", W/"a"`, `"a"`, `W/"a"`},
		{`"a"`, `"a"`, `"a"`},
		{`"a", W/"a"`, `"a"`, `W/"a"`},
		{`W/"ab"`, `"a"`, `"a"`},
		{`W/"a"`, `W/"a"`, `W/"a"`},
		{``, `"a"`, `"a"`},
		{`*`, ``, ``},
	} {
		x := exchange("gzip", func(x *filter.Exchange) {
			x.Resp.Status, x.Resp.Body = 304, httpmsg.BodyNone
			x.Resp.Header.Del(httpmsg.NameContentType)
			if c.tag != "" {
				x.Resp.Header.Set(httpmsg.NameETag, []byte(c.tag))
			}
			if c.match != "" {
				x.Req.Header.AddID(httpmsg.NameIfNoneMatch, []byte(c.match))
			}
		})
		run(compress.New(policy("gzip")), x)
		h := &x.Resp.Header
		if got := string(h.Get(httpmsg.NameETag)); got != c.want || !h.HasToken(httpmsg.NameVary, "accept-encoding") {
			t.Errorf("If-None-Match %s of %s: %s, Vary %q", c.match, c.tag, got, h.Get(httpmsg.NameVary))
		}
	}
}

func TestRefusedIdentityIsCompressedWhateverItIs(t *testing.T) {
	x := exchange("gzip, identity;q=0", func(x *filter.Exchange) {
		x.Resp.Length = 3
		x.Resp.Header.Set(httpmsg.NameContentType, []byte("image/png"))
	})
	run(compress.New(policy("gzip")), x)
	if string(x.Resp.Header.Get(httpmsg.NameContentEncoding)) != "gzip" {
		t.Error("not compressed")
	}
}

func TestContentTypes(t *testing.T) {
	for _, c := range []struct {
		types []string
		media string
		want  bool
	}{
		{nil, "text/html", true},
		{nil, "Text/HTML ;charset=x", true},
		{nil, "application/problem+json", true},
		{nil, "application/json", true},
		{nil, "application/octet-stream", false},
		{nil, "video/mp4", false},
		{[]string{"image/svg+xml"}, "text/html", false},
		{[]string{"image/svg+xml"}, "image/svg+xml", true},
		{[]string{"text/*"}, "text/", false},
		{[]string{"*/*"}, "x/y", true},
	} {
		p := policy("gzip")
		p.ContentTypes = c.types
		x := exchange("gzip", func(x *filter.Exchange) { x.Resp.Header.Set(httpmsg.NameContentType, []byte(c.media)) })
		run(compress.New(p), x)
		if got := x.Resp.Header.Has(httpmsg.NameContentEncoding); got != c.want {
			t.Errorf("%v, %q: %v", c.types, c.media, got)
		}
	}
}

func TestVaryIsKept(t *testing.T) {
	for vary, want := range map[string]string{"Origin": "Origin, Accept-Encoding", "accept-encoding, x": "accept-encoding, x", "*": "*"} {
		x := exchange("gzip", func(x *filter.Exchange) { x.Resp.Header.Set(httpmsg.NameVary, []byte(vary)) })
		run(compress.New(policy("gzip")), x)
		if got := string(x.Resp.Header.AppendJoined(nil, httpmsg.NameVary)); got != want {
			t.Errorf("%q became %q", vary, got)
		}
	}
}

// The client's own Accept-Encoding counts, whatever a header modifier made of it.
func TestClientsAcceptEncoding(t *testing.T) {
	p := compress.New(policy("gzip"))
	x := exchange("gzip", nil)
	p.OnRequest(x)
	x.Req.Header.Del(httpmsg.NameAcceptEncoding)
	p.OnResponse(x)
	if !x.Resp.Header.Has(httpmsg.NameContentEncoding) {
		t.Error("not compressed")
	}
}

// lockstep gives one event to the reader, and the next only when asked after
// the first has come out decoded at the other end.
type lockstep struct {
	events []string
	taken  int
}

func (l *lockstep) Read(p []byte) (int, error) {
	if l.taken == len(l.events) {
		return 0, io.EOF
	}
	n := copy(p, l.events[l.taken])
	l.taken++
	return n, nil
}

// Each event of a stream comes out before the next is asked for.
func TestStreamsFlow(t *testing.T) {
	for _, coding := range []string{"gzip", "br", "zstd"} {
		x := exchange(coding, func(x *filter.Exchange) {
			x.Resp.Body = httpmsg.BodyChunked
			x.Resp.Header.Set(httpmsg.NameContentType, []byte("text/event-stream"))
		})
		run(compress.New(policy("zstd", "br", "gzip")), x)
		source := &lockstep{events: []string{"data: one\n\n", "data: two\n\n", "data: three\n\n"}}
		body := x.ResponseBodyFuncs()[0](source)
		decoded := decode(t, coding, body)
		for i, event := range source.events {
			buf := make([]byte, len(event))
			if _, err := io.ReadFull(decoded, buf); err != nil || string(buf) != event {
				t.Fatalf("%s: event %d: %q, %v", coding, i, buf, err)
			}
			if source.taken > i+1 {
				t.Errorf("%s: event %d came out after %d were taken", coding, i, source.taken)
			}
		}
		if rest, err := io.ReadAll(decoded); len(rest) > 0 || err != nil {
			t.Errorf("%s: %q, %v at the end", coding, rest, err)
		}
		body.(io.Closer).Close()
	}
}

var errCut = errors.New("cut")

// A body that breaks off must not look whole.
func TestCutBody(t *testing.T) {
	for _, coding := range []string{"gzip", "br", "zstd"} {
		x := exchange(coding, nil)
		run(compress.New(policy("zstd", "br", "gzip")), x)
		source := io.MultiReader(bytes.NewReader(text[:100000]), failing{})
		got, err := pull(x, source)
		if !errors.Is(err, errCut) {
			t.Errorf("%s: %v", coding, err)
		}
		if len(got) > 0 {
			if _, err := io.ReadAll(decode(t, coding, bytes.NewReader(got))); err == nil {
				t.Errorf("%s: the cut body looks whole", coding)
			}
		}
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errCut }

func TestEmptyStream(t *testing.T) {
	for _, coding := range []string{"gzip", "br", "zstd"} {
		x := exchange(coding, func(x *filter.Exchange) { x.Resp.Body = httpmsg.BodyChunked })
		run(compress.New(policy("zstd", "br", "gzip")), x)
		got, err := pull(x, bytes.NewReader(nil))
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := io.ReadAll(decode(t, coding, bytes.NewReader(got))); err != nil || len(plain) > 0 {
			t.Errorf("%s: %q, %v", coding, plain, err)
		}
	}
}

func TestReadAfterClose(t *testing.T) {
	x := exchange("gzip", nil)
	run(compress.New(policy("gzip")), x)
	body := x.ResponseBodyFuncs()[0](bytes.NewReader(text))
	body.(io.Closer).Close()
	body.(io.Closer).Close()
	if n, err := body.Read(make([]byte, 10)); n != 0 || err == nil {
		t.Errorf("read %d, %v", n, err)
	}
}

// Encoders that go from one exchange to the next do not mix them up.
func TestConcurrentBodies(t *testing.T) {
	p := compress.New(policy("zstd", "br", "gzip"))
	var group sync.WaitGroup
	for i := range 6 {
		group.Go(func() {
			coding := []string{"gzip", "br", "zstd"}[i%3]
			for j := range 5 {
				plain := text[i*1000+j : i*1000+j+50000]
				x := exchange(coding, func(x *filter.Exchange) { x.Resp.Length = int64(len(plain)) })
				run(p, x)
				got, err := pull(x, bytes.NewReader(plain))
				if err != nil {
					t.Error(err)
				}
				if back, err := io.ReadAll(decode(t, coding, bytes.NewReader(got))); err != nil || !bytes.Equal(back, plain) {
					t.Errorf("%s: %d bytes came back, %v", coding, len(back), err)
				}
			}
		})
	}
	group.Wait()
}
