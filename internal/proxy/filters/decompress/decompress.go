// Package decompress undoes the content coding of requests and responses:
// gzip, deflate, br and zstd, also several of them. Its values are shared by all
// exchanges; it owns no goroutines. The list in package filters imports it.
//
// What a body may become is bounded by a ratio and by bytes; beyond that its
// reader fails with filter.ErrDecompressionLimit.
package decompress

import (
	"io"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

const (
	// defaultRatio applies where none is configured. Texts seldom reach 30.
	defaultRatio = 100
	// maxCodings bounds the codings on one body. Nobody uses two.
	maxCodings = 3
)

// Request undoes the coding of request bodies.
type Request struct{ limits limits }

// Response undoes the coding of response bodies.
type Response struct{ limits limits }

// NewRequest takes MaxRatio (zero is 100) and MaxBytes (zero is no limit).
func NewRequest(c *ir.Compression) *Request { return &Request{newLimits(c)} }

// NewResponse takes the same as NewRequest.
func NewResponse(c *ir.Compression) *Response { return &Response{newLimits(c)} }

func newLimits(c *ir.Compression) limits {
	l := limits{ratio: int64(c.MaxRatio), bytes: c.MaxBytes}
	if l.ratio <= 0 {
		l.ratio = defaultRatio
	}
	return l
}

// OnRequest wraps the body if it has codings that are all known.
func (f *Request) OnRequest(x *filter.Exchange) filter.Verdict {
	if x.Req.Body == httpmsg.BodyNone {
		return filter.Continue
	}
	if wrap := f.limits.undo(&x.Req.Header, &x.Req.Body, &x.Req.Length); wrap != nil {
		x.WrapRequestBody(wrap)
	}
	return filter.Continue
}

// OnResponse wraps the body if it has codings that are all known. The answer to
// HEAD gets the headers that the one to GET would have (RFC 9110 §9.3.2).
func (f *Response) OnResponse(x *filter.Exchange) {
	r := &x.Resp
	head := x.Req.MethodID == httpmsg.MethodHead
	switch {
	case x.Local.Status != 0 || r.Status == 206 || r.Status == 204:
		return
	case r.Status == 304:
		x.NameWeakTag()
		return
	case r.Body == httpmsg.BodyNone && !head:
		return
	}
	wrap := f.limits.undo(&r.Header, &r.Body, &r.Length)
	if wrap == nil {
		return
	}
	r.Header.Del(httpmsg.NameAcceptRanges)
	x.WeakenTag()
	r.Header.Del(httpmsg.NameTrailer) // trailers are dropped
	if head {
		r.Body = httpmsg.BodyNone
		return
	}
	x.WrapResponseBody(wrap)
}

var (
	contentMD5    = []byte("Content-MD5")
	contentDigest = []byte("Content-Digest")
	digest        = []byte("Digest")
)

// undo sets headers and framing for a body without its codings, and returns
// what takes them off; nil leaves the message as it is.
func (l limits) undo(h *httpmsg.Header, body *httpmsg.BodyKind, length *int64) filter.BodyFunc {
	if h.Has(httpmsg.NameContentRange) || h.HasToken(httpmsg.NameCacheControl, "no-transform") {
		return nil
	}
	list, n, ok := codingsOf(h)
	if !ok || n == 0 {
		return nil
	}
	h.Del(httpmsg.NameContentEncoding)
	h.Del(httpmsg.NameContentLength)
	h.DelName(contentMD5)
	h.DelName(contentDigest)
	h.DelName(digest)
	*body, *length = httpmsg.BodyChunked, 0
	return func(source io.Reader) io.Reader {
		for i := n - 1; i >= 0; i-- { // the last coding was applied last
			source = newReader(source, list[i], l)
		}
		return source
	}
}

// codingsOf lists the codings in the order in which they were applied. It is
// false if one is not known, or if there are too many.
func codingsOf(h *httpmsg.Header) (list [maxCodings]coding, n int, ok bool) {
	for i := 0; h.Has(httpmsg.NameContentEncoding) && i < h.Len(); i++ {
		f := h.At(i)
		if f.ID != httpmsg.NameContentEncoding {
			continue
		}
		for item, rest := httpmsg.NextItem(f.Value); item != nil; item, rest = httpmsg.NextItem(rest) {
			if httpmsg.EqualFold(item, "identity") {
				continue
			}
			c := lookupCoding(item)
			if c == none || n == maxCodings {
				return list, 0, false
			}
			list[n] = c
			n++
		}
	}
	return list, n, true
}
