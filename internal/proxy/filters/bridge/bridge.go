// Package bridge lets clients that speak gRPC-Web or Connect reach endpoints that
// speak gRPC. Both protocols frame messages as gRPC does, so that messages are
// not looked into and streams pass as they come; what differs is where metadata
// and status stand. Only the answer to a unary call of Connect is held, up to a
// bound, since its first line depends on the last of what gRPC says.
//
// Its values are shared by all exchanges; it owns no goroutines. The list in
// package filters imports it.
package bridge

import (
	"bytes"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Bridge is the policy of a rule.
type Bridge struct {
	web, connect bool
	maxMessage   int64
}

// New makes a policy.
func New(b *ir.Bridge) *Bridge {
	return &Bridge{web: b.GRPCWeb, connect: b.Connect, maxMessage: b.MaxMessageBytes}
}

// What the client speaks, in Kept.Bridge. Zero is none of it.
const (
	web uint8 = iota + 1
	webText
	connectUnary
	connectStream
)

var (
	trailers    = []byte("trailers")
	grpcPrefix  = []byte("application/grpc+")
	webPrefix   = []byte("application/grpc-web")
	textSuffix  = []byte("-text")
	xGRPCWeb    = []byte("x-grpc-web")
	acceptsText = []byte("application/grpc-web-text")
)

// Recognize tells which protocol's form replies have that are made before the
// request is translated.
func (b *Bridge) Recognize(x *filter.Exchange) {
	media := mediaType(x.Req.Header.Get(httpmsg.NameContentType))
	switch x.Req.MethodID {
	case httpmsg.MethodPost:
		if b.web && hasPrefixFold(media, webPrefix) {
			text, codec, ok := webCodec(media[len(webPrefix):])
			if !ok {
				return
			}
			kind := web
			if wantsText(&x.Req.Header, text) {
				kind = webText
			}
			b.recognized(x, kind, codec)
			return
		}
		if !b.connect {
			return
		}
		if hasPrefixFold(media, streamPrefix) && len(media) > len(streamPrefix) {
			b.recognized(x, connectStream, media[len(streamPrefix):])
		} else if codec := unaryCodec(media); codec != nil {
			b.recognized(x, connectUnary, codec)
		}
	case httpmsg.MethodGet:
		if b.connect && x.Req.HasQuery && x.Req.Body != httpmsg.BodyLength && isQuery(x.Req.Query) {
			b.recognized(x, connectUnary, nil)
		}
	}
}

func (b *Bridge) recognized(x *filter.Exchange, kind uint8, codec []byte) {
	x.Kept.Bridge, x.Kept.Codec, x.Replier = kind, x.Req.Arena.Copy(codec), b
}

// OnRequest makes a request of gRPC of what the client has sent.
func (b *Bridge) OnRequest(x *filter.Exchange) filter.Verdict {
	if x.Translated {
		return filter.Continue
	}
	x.Kept.Bridge, x.Kept.Codec, x.Replier = 0, nil, nil
	media := mediaType(x.Req.Header.Get(httpmsg.NameContentType))
	switch x.Req.MethodID {
	case httpmsg.MethodPost:
		if b.web && hasPrefixFold(media, webPrefix) {
			return b.webRequest(x, media[len(webPrefix):])
		}
		if b.connect {
			return b.connectRequest(x, media)
		}
	case httpmsg.MethodGet:
		if b.connect && x.Req.HasQuery && x.Req.Body != httpmsg.BodyLength {
			return b.connectGet(x)
		}
	}
	return filter.Continue
}

// OnResponse makes of gRPC's answer what the client understands.
func (b *Bridge) OnResponse(x *filter.Exchange) {
	if x.Kept.Bridge == 0 || x.Local.Status != 0 || !grpc.IsContentType(x.Resp.Header.Get(httpmsg.NameContentType)) {
		return
	}
	switch x.Kept.Bridge {
	case web, webText:
		webResponse(x)
	case connectUnary:
		unaryResponse(x)
	case connectStream:
		streamResponse(x)
	}
}

// Reply gives a reply of Gridway's own the client's form.
func (b *Bridge) Reply(x *filter.Exchange, code grpc.Code, message string) (body []byte) {
	var fields httpmsg.Header
	fields.AddID(httpmsg.NameGRPCStatus, code.Text())
	fields.AddID(httpmsg.NameGRPCMessage, grpc.AppendMessage(nil, message))
	r := &x.Resp
	switch x.Kept.Bridge {
	case web, webText:
		r.Status = 200
		r.Header.Set(httpmsg.NameContentType, webType(x, x.Kept.Codec))
		body = appendTrailerFrame(nil, &fields)
		if x.Kept.Bridge == webText {
			body = appendText(nil, body)
		}
	case connectUnary:
		r.Status = code.HTTPStatus()
		r.Header.Set(httpmsg.NameContentType, jsonType)
		body = appendError(nil, code, &fields)
	case connectStream:
		r.Status = 200
		r.Header.Set(httpmsg.NameContentType, x.Req.Arena.Concat(streamPrefix, x.Kept.Codec))
		body = appendEndFrame(nil, &fields, nil)
	}
	return body
}

// begin is what all requests have in common.
func (b *Bridge) begin(x *filter.Exchange, kind uint8, codec []byte) {
	x.Kept.Bridge, x.Kept.Codec = kind, codec
	x.Replier, x.Translated = b, true
	h := &x.Req.Header
	h.Set(httpmsg.NameTE, trailers)
	if codec == nil {
		h.Set(httpmsg.NameContentType, grpc.ContentType)
	} else {
		h.Set(httpmsg.NameContentType, x.Req.Arena.Concat(grpcPrefix, codec))
	}
}

// mediaType is a content type without its parameters.
func mediaType(v []byte) []byte {
	media, _, _ := bytes.Cut(v, []byte(";"))
	return httpmsg.TrimOWS(media)
}

func hasPrefixFold(b, prefix []byte) bool {
	return len(b) >= len(prefix) && bytes.EqualFold(b[:len(prefix)], prefix)
}

// codecOf is what follows "+" in the content type of an answer of gRPC.
func codecOf(r *httpmsg.Response) []byte {
	_, codec, _ := bytes.Cut(mediaType(r.Header.Get(httpmsg.NameContentType)), []byte("+"))
	return codec
}

// takeTrailer moves what a response without messages says into its trailer:
// there gRPC has metadata and status in the head. What is HTTP's stays.
func takeTrailer(r *httpmsg.Response) {
	if !r.Header.Has(httpmsg.NameGRPCStatus) {
		return
	}
	r.Header.DelFunc(func(f *httpmsg.Field) bool {
		switch f.ID {
		case httpmsg.NameOther, httpmsg.NameGRPCStatus, httpmsg.NameGRPCMessage:
			r.Trailer.AddField(f.Name, f.Value, f.ID)
			return true
		}
		return false
	})
}

// stream is the framing of an answer whose end is not known yet.
func stream(r *httpmsg.Response) {
	r.Header.Del(httpmsg.NameContentLength)
	r.Header.Del(httpmsg.NameTrailer)
	r.Body, r.Length = httpmsg.BodyChunked, -1
}

// statusOf is the status that an answer ends with.
func statusOf(trailer *httpmsg.Header) grpc.Code {
	v := trailer.Get(httpmsg.NameGRPCStatus)
	if v == nil {
		return grpc.Internal // it says nothing
	}
	code, _ := grpc.ParseCode(v)
	return code
}
