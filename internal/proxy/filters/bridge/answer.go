package bridge

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

var (
	trailerPrefix = []byte("trailer-")
	statusDetails = []byte("grpc-status-details-bin")
)

// endFlag marks the message of Connect that ends a stream.
const endFlag = 0x02

// unaryResponse makes the answer to a unary call of one that is whole.
func unaryResponse(x *filter.Exchange) {
	r := &x.Resp
	codec := codecOf(r)
	if len(codec) == 0 {
		codec = protoCodec
	}
	contentType := x.Req.Arena.Concat(unaryPrefix, codec)
	takeTrailer(r)
	code := statusOf(&r.Trailer)
	var message []byte
	coded := false
	if code == grpc.OK {
		message, coded, code = single(x.Held)
		if code != grpc.OK {
			r.Trailer.Set(httpmsg.NameGRPCMessage, []byte("the backend's answer is not one message"))
		}
	}
	h := &r.Header
	coding := h.Get(httpmsg.NameGRPCEncoding)
	h.Del(httpmsg.NameGRPCEncoding)
	h.Del(httpmsg.NameGRPCAcceptEncoding)
	h.Del(httpmsg.NameTrailer)
	h.Del(httpmsg.NameContentLength)
	if code != grpc.OK {
		message, contentType, coded = appendError(nil, code, &r.Trailer), jsonType, false
	}
	if coded && len(coding) > 0 {
		h.Set(httpmsg.NameContentEncoding, coding)
	}
	for i := range r.Trailer.Len() {
		if f := r.Trailer.At(i); isMetadata(f) {
			h.Add(x.Req.Arena.Concat(trailerPrefix, f.Name), f.Value)
		}
	}
	r.Trailer.Reset()
	h.Set(httpmsg.NameContentType, contentType)
	r.Status, r.Reason = code.HTTPStatus(), nil
	x.ReplaceResponse(message)
}

// single takes the only message out of its frame.
func single(body []byte) (message []byte, coded bool, code grpc.Code) {
	if len(body) < prefixSize {
		return nil, false, grpc.Unimplemented
	}
	size := uint64(binary.BigEndian.Uint32(body[1:]))
	switch have := uint64(len(body) - prefixSize); {
	case body[0] > 1 || have < size:
		return nil, false, grpc.Internal
	case have > size:
		return nil, false, grpc.Unimplemented
	}
	return body[prefixSize:], body[0] == 1, grpc.OK
}

// isMetadata tells fields of the application from gRPC's own.
func isMetadata(f *httpmsg.Field) bool {
	return f.ID != httpmsg.NameGRPCStatus && f.ID != httpmsg.NameGRPCMessage && !bytes.EqualFold(f.Name, statusDetails)
}

// streamResponse passes messages as they come, and ends with one that says what
// gRPC says in its trailer.
func streamResponse(x *filter.Exchange) {
	r := &x.Resp
	h := &r.Header
	codec := codecOf(r)
	if len(codec) == 0 {
		codec = protoCodec
	}
	value := x.Req.Arena.Concat(streamPrefix, codec)
	if v := h.Get(httpmsg.NameGRPCEncoding); v != nil {
		h.SetName(streamCoding, v)
		h.Del(httpmsg.NameGRPCEncoding)
	}
	if v := h.Get(httpmsg.NameGRPCAcceptEncoding); v != nil {
		h.SetName(streamAccept, v)
		h.Del(httpmsg.NameGRPCAcceptEncoding)
	}
	takeTrailer(r)
	h.Set(httpmsg.NameContentType, value)
	stream(r)
	x.WrapResponseBody(func(source io.Reader) io.Reader {
		return &ending{source: source, x: x, end: func() []byte { return appendEndFrame(nil, &r.Trailer, &r.Trailer) }}
	})
}
