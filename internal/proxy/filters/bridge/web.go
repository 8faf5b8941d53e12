package bridge

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// prefixSize is that of a message's prefix: flags, and the length in four bytes.
const prefixSize = 5

// trailerFlag marks the frame of gRPC-Web that holds the trailer
// (PROTOCOL-WEB.md of github.com/grpc/grpc).
const trailerFlag = 0x80

// webRequest takes a request of gRPC-Web, whose content type goes on with rest.
func (b *Bridge) webRequest(x *filter.Exchange, rest []byte) filter.Verdict {
	text, codec, ok := webCodec(rest)
	if !ok {
		return filter.Continue // something else
	}
	if codec != nil {
		codec = x.Req.Arena.Copy(codec)
	}
	kind := web
	if wantsText(&x.Req.Header, text) {
		kind = webText
	}
	b.begin(x, kind, codec)
	x.Req.Header.DelName(xGRPCWeb)
	if d, ok := grpc.ParseTimeout(x.Req.Header.Get(httpmsg.NameGRPCTimeout)); ok {
		x.Timeout = d
	}
	if text && x.Req.Body != httpmsg.BodyNone {
		x.Req.Header.Del(httpmsg.NameContentLength)
		x.Req.Body, x.Req.Length = httpmsg.BodyChunked, -1
		x.WrapRequestBody(func(source io.Reader) io.Reader { return newTextReader(source) })
	}
	return filter.Continue
}

// webCodec reads what follows "application/grpc-web".
func webCodec(rest []byte) (text bool, codec []byte, ok bool) {
	if text = hasPrefixFold(rest, textSuffix); text {
		rest = rest[len(textSuffix):]
	}
	switch {
	case len(rest) > 1 && rest[0] == '+':
		return text, rest[1:], true
	case len(rest) > 0:
		return false, nil, false
	}
	return text, nil, true
}

// wantsText tells whether the answer is to be in base64: as Accept says, or else
// like the request.
func wantsText(h *httpmsg.Header, text bool) bool {
	accept := h.Get(httpmsg.NameAccept)
	switch {
	case bytes.Contains(accept, acceptsText):
		return true
	case bytes.Contains(accept, webPrefix):
		return false
	}
	return text
}

// webType is the content type of an answer.
func webType(x *filter.Exchange, codec []byte) []byte {
	media := webPrefix
	if x.Kept.Bridge == webText {
		media = acceptsText
	}
	if len(codec) == 0 {
		return media
	}
	return x.Req.Arena.Concat(media, []byte("+"), codec)
}

func webResponse(x *filter.Exchange) {
	r := &x.Resp
	value := webType(x, codecOf(r))
	takeTrailer(r)
	r.Header.Set(httpmsg.NameContentType, value)
	stream(r)
	x.WrapResponseBody(func(source io.Reader) io.Reader {
		source = &ending{source: source, x: x, end: func() []byte { return appendTrailerFrame(nil, &r.Trailer) }}
		if x.Kept.Bridge == webText {
			source = &textWriter{source: source}
		}
		return source
	})
}

// appendTrailerFrame appends a trailer as the last frame of an answer.
func appendTrailerFrame(dst []byte, trailer *httpmsg.Header) []byte {
	at := len(dst)
	dst = append(dst, trailerFlag, 0, 0, 0, 0)
	if !trailer.Has(httpmsg.NameGRPCStatus) {
		dst = append(dst, "grpc-status: 13\r\ngrpc-message: the backend's answer has no status\r\n"...)
	}
	for i := range trailer.Len() {
		f := trailer.At(i)
		for _, c := range f.Name {
			if 'A' <= c && c <= 'Z' {
				c |= 0x20
			}
			dst = append(dst, c)
		}
		dst = append(append(append(dst, ": "...), f.Value...), "\r\n"...)
	}
	binary.BigEndian.PutUint32(dst[at+1:], uint32(len(dst)-at-prefixSize))
	return dst
}

// ending reads from source and then what end returns once that is over. If source
// breaks off, the trailer gets a status that says so: the client learns more from
// that than from a reset.
type ending struct {
	source io.Reader
	x      *filter.Exchange
	end    func() []byte
	rest   []byte
	over   bool
}

func (e *ending) Read(p []byte) (int, error) {
	if !e.over {
		n, err := e.source.Read(p)
		if err == nil || err != io.EOF && !e.breakOff(err) {
			return n, err
		}
		e.rest, e.over = e.end(), true
		if n > 0 {
			return n, nil
		}
	}
	if len(e.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// breakOff is false if there is nobody to tell.
func (e *ending) breakOff(err error) bool {
	x := e.x
	late, gone := x.Cause(err)
	if gone {
		return false
	}
	x.BrokenOff = err
	code, message := grpc.Unavailable, "the backend broke the response off"
	if late {
		code, message = grpc.DeadlineExceeded, "the call took longer than it may"
	}
	t := &x.Resp.Trailer
	t.Reset()
	t.AddID(httpmsg.NameGRPCStatus, code.Text())
	t.AddID(httpmsg.NameGRPCMessage, grpc.AppendMessage(nil, message))
	return true
}
