// Package compress gives responses a content coding that the client accepts:
// zstd, br or gzip. Its values are shared by all exchanges; it owns no
// goroutines. The list in package filters imports it.
//
// Left alone are replies of the proxy itself, responses that have a coding
// already, parts (206), those marked no-transform, and media types and lengths
// that the policy does not name. A client that refuses the identity coding gets
// a coding whatever the type and length.
package compress

import (
	"bytes"
	"io"
	"strconv"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Compress is the policy of a rule.
type Compress struct {
	offered  []coding
	level    [codings]int
	minBytes int64
	types    [][]byte
}

// New makes a policy. No content types means those that usually shrink; names of
// unknown algorithms are ignored.
func New(c *ir.Compression) *Compress {
	p := &Compress{minBytes: c.MinBytes}
	for _, name := range c.Algorithms {
		if k := lookupCoding([]byte(name)); k != none {
			p.offered = append(p.offered, k)
		}
	}
	for k := none + 1; k < codings; k++ {
		p.level[k] = k.level(c.Level)
	}
	types := c.ContentTypes
	if len(types) == 0 {
		types = defaultTypes
	}
	for _, t := range types {
		p.types = append(p.types, []byte(t))
	}
	return p
}

var defaultTypes = []string{
	"text/*", "application/json", "application/*+json", "application/javascript", "application/xml",
	"application/*+xml", "application/wasm", "application/x-ndjson", "image/svg+xml", "font/ttf", "font/otf",
}

// OnRequest remembers what the client accepts: header modifiers may change what
// the upstream sees of it.
func (p *Compress) OnRequest(x *filter.Exchange) filter.Verdict {
	c, refused := negotiate(&x.Req.Header, p.offered)
	x.Kept.Coding, x.Kept.IdentityRefused = uint8(c), refused
	return filter.Continue
}

var acceptEncoding = []byte("Accept-Encoding")

// OnResponse sets the headers of the coded response and wraps the body. What
// has no body of its own gets the headers that the whole response would have
// (RFC 9110 §9.3.2 for HEAD, §15.4.5 for 304, §15.3.7 for 206).
func (p *Compress) OnResponse(x *filter.Exchange) {
	r := &x.Resp
	if !transformable(x) {
		return
	}
	fits := p.fits(r)
	c := coding(x.Kept.Coding)
	coded := c != none && c < codings && (fits || x.Kept.IdentityRefused) && !empty(r)
	// Other clients may get it with a coding (RFC 9110 §12.5.5).
	if fits || coded {
		vary(&r.Header)
	}
	switch {
	case r.Status == 304:
		x.NameWeakTag()
		return
	case r.Status == 206 || !coded:
		return
	}
	level := p.level[c]
	stream := r.Body != httpmsg.BodyLength
	r.Header.Set(httpmsg.NameContentEncoding, codingNames[c])
	reframe(x)
	if x.Req.MethodID == httpmsg.MethodHead {
		r.Body = httpmsg.BodyNone
		return
	}
	x.WrapResponseBody(func(source io.Reader) io.Reader {
		return &reader{source: source, coding: c, level: level, worker: c.worker(level), stream: stream}
	})
}

// transformable tells whether the response, or the one that it stands for, may
// be coded at all.
func transformable(x *filter.Exchange) bool {
	r := &x.Resp
	h := &r.Header
	switch {
	case x.Local.Status != 0, r.Status < 200 || r.Status == 204:
		return false
	case r.Body == httpmsg.BodyNone && x.Req.MethodID != httpmsg.MethodHead && r.Status != 304:
		return false
	case h.Has(httpmsg.NameContentRange) && r.Status != 206, h.HasToken(httpmsg.NameCacheControl, "no-transform"):
		return false
	case h.Has(httpmsg.NameContentEncoding) && !httpmsg.EqualFold(h.Get(httpmsg.NameContentEncoding), "identity"):
		return false
	}
	// gRPC frames its messages itself, and its trailers must pass.
	return !bytes.HasPrefix(h.Get(httpmsg.NameContentType), []byte("application/grpc"))
}

func vary(h *httpmsg.Header) {
	if !h.HasToken(httpmsg.NameVary, "accept-encoding") && !h.HasToken(httpmsg.NameVary, "*") {
		h.AddID(httpmsg.NameVary, acceptEncoding)
	}
}

// empty tells whether there is nothing to code.
func empty(r *httpmsg.Response) bool { return r.Body == httpmsg.BodyLength && r.Length == 0 }

// fits tells whether length and media type are what the policy asks for.
func (p *Compress) fits(r *httpmsg.Response) bool {
	if n, known := length(r); known && n < max(p.minBytes, 1) {
		return false
	}
	if r.Status == 304 && !r.Header.Has(httpmsg.NameContentType) {
		return true // nobody knows
	}
	media, _, _ := bytes.Cut(r.Header.Get(httpmsg.NameContentType), []byte(";"))
	media = httpmsg.TrimOWS(media)
	for _, t := range p.types {
		if matchType(t, media) {
			return true
		}
	}
	return false
}

// length is that of the body, or of the one that a HEAD stands for.
func length(r *httpmsg.Response) (int64, bool) {
	switch {
	case r.Status == 304 || r.Status == 206: // a part says nothing of the whole
		return 0, false
	case r.Body == httpmsg.BodyLength:
		return r.Length, true
	case r.Body == httpmsg.BodyNone:
		n, err := strconv.ParseInt(string(r.Header.Get(httpmsg.NameContentLength)), 10, 64)
		return n, err == nil
	}
	return 0, false
}

// matchType compares a media type with a pattern that may hold one '*'.
func matchType(pattern, media []byte) bool {
	i := bytes.IndexByte(pattern, '*')
	if i < 0 {
		return httpmsg.EqualFold(media, pattern)
	}
	if string(pattern) == "*/*" {
		return len(media) > 0
	}
	head, tail := pattern[:i], pattern[i+1:]
	return len(media) > len(head)+len(tail) && httpmsg.EqualFold(media[:i], head) && httpmsg.EqualFold(media[len(media)-len(tail):], tail)
}

var (
	contentMD5    = []byte("Content-MD5")
	contentDigest = []byte("Content-Digest")
	digest        = []byte("Digest")
)

// reframe removes what was true of the bytes before, and only of them.
func reframe(x *filter.Exchange) {
	h := &x.Resp.Header
	h.Del(httpmsg.NameContentLength)
	h.Del(httpmsg.NameAcceptRanges)
	h.DelName(contentMD5)
	h.DelName(contentDigest)
	h.DelName(digest)
	x.WeakenTag()
	h.Del(httpmsg.NameTrailer) // trailers are dropped
	x.Resp.Body, x.Resp.Length = httpmsg.BodyChunked, 0
}
