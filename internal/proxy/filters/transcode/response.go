package transcode

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/transcoding"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// form is how a stream of answers is written.
type form uint8

const (
	array form = iota
	ndjson
	events
)

// formOf is the form that the client asks for, or else that of the policy.
func formOf(h *httpmsg.Header, streams, byLine bool) form {
	if !streams {
		return array
	}
	accept := h.Get(httpmsg.NameAccept)
	switch {
	case bytes.Contains(accept, eventsType):
		return events
	case bytes.Contains(accept, linesType), bytes.Contains(accept, []byte("application/jsonl")), byLine && !hasPrefixFold(accept, jsonType):
		return ndjson
	}
	return array
}

var statusDetails = []byte("grpc-status-details-bin")

// Reply gives a reply of Gridway's own the form of an error of google.rpc.
func (c *call) Reply(x *filter.Exchange, code grpc.Code, message string) (body []byte) {
	switch x.Resp.Status { // as google/rpc/code.proto has them
	case 400:
		code = grpc.InvalidArgument
	case 404:
		code = grpc.NotFound
	case 405:
		code = grpc.Unimplemented
	case 409:
		code = grpc.Aborted
	case 412:
		code = grpc.FailedPrecondition
	case 429:
		code = grpc.ResourceExhausted
	}
	x.Resp.Header.Set(httpmsg.NameContentType, jsonType)
	return c.schema.Status(&c.t.json, uint8(code), message, nil)
}

// outcome is what a trailer says.
func (c *call) outcome(trailer *httpmsg.Header) (code grpc.Code, body []byte) {
	v := trailer.Get(httpmsg.NameGRPCStatus)
	if v == nil {
		return grpc.Internal, c.schema.Status(&c.t.json, uint8(grpc.Internal), "the backend's answer has no status", nil)
	}
	if code, _ = grpc.ParseCode(v); code == grpc.OK {
		return code, nil
	}
	message := string(grpc.AppendDecoded(nil, trailer.Get(httpmsg.NameGRPCMessage)))
	return code, c.schema.Status(&c.t.json, uint8(code), message, transcoding.DecodeBase64(trailer.GetName(statusDetails)))
}

// takeTrailer moves what a response without messages says into its trailer.
func takeTrailer(r *httpmsg.Response) {
	if !r.Header.Has(httpmsg.NameGRPCStatus) {
		return
	}
	r.Header.DelFunc(func(f *httpmsg.Field) bool {
		if isOurs(f) {
			r.Trailer.AddField(f.Name, f.Value, f.ID)
			return true
		}
		return false
	})
}

// isOurs tells fields of gRPC from those of the application.
func isOurs(f *httpmsg.Field) bool {
	return f.ID == httpmsg.NameGRPCStatus || f.ID == httpmsg.NameGRPCMessage || bytes.EqualFold(f.Name, statusDetails)
}

func clean(h *httpmsg.Header) {
	h.Del(httpmsg.NameGRPCAcceptEncoding)
	h.Del(httpmsg.NameTrailer)
	h.Del(httpmsg.NameContentLength)
}

// fail ends a response of which nothing was passed on.
func (c *call) fail(x *filter.Exchange, code grpc.Code, body []byte) {
	r := &x.Resp
	r.Trailer.Reset()
	r.Status, r.Reason = code.HTTPStatus(), nil
	r.Header.Set(httpmsg.NameContentType, jsonType)
	x.ReplaceResponse(body)
}

// unaryResponse makes the answer of a response that is whole.
func (c *call) unaryResponse(x *filter.Exchange) {
	r := &x.Resp
	takeTrailer(r)
	clean(&r.Header)
	for i := range r.Trailer.Len() { // there is no place for metadata at the end
		if f := r.Trailer.At(i); !isOurs(f) {
			r.Header.AddField(f.Name, f.Value, f.ID)
		}
	}
	code, body := c.outcome(&r.Trailer)
	if code != grpc.OK {
		c.fail(x, code, body)
		return
	}
	body, media, err := c.single(x)
	if err != nil {
		c.fail(x, grpc.Internal, c.schema.Status(&c.t.json, uint8(grpc.Internal), err.Error(), nil))
		return
	}
	r.Trailer.Reset()
	r.Header.Set(httpmsg.NameContentType, c.mediaOf(x, media))
	x.ReplaceResponse(body)
}

// mediaOf is the content type of an answer, whose own is media if it is raw.
func (c *call) mediaOf(x *filter.Exchange, media string) []byte {
	if !c.match.RawResponse() {
		return jsonType
	}
	for i := range len(media) {
		if media[i] < ' ' || media[i] > '~' {
			media = ""
			break
		}
	}
	if media == "" {
		return octetType
	}
	return x.Req.Arena.CopyString(media)
}

// single is the only message of an answer.
func (c *call) single(x *filter.Exchange) (body []byte, media string, err error) {
	in := x.Held
	if len(in) < prefixSize {
		return nil, "", fmt.Errorf("the backend's answer has no message")
	}
	size := uint64(binary.BigEndian.Uint32(in[1:]))
	switch have := uint64(len(in) - prefixSize); {
	case in[0] != 0:
		return nil, "", fmt.Errorf("the backend's answer is compressed, which was not asked for")
	case have != size:
		return nil, "", fmt.Errorf("the backend's answer is not one message")
	}
	body, media, err = c.schema.Response(c.match.Binding, &c.t.json, in[prefixSize:])
	if err != nil {
		return nil, "", fmt.Errorf("the backend's answer is not what the schema says")
	}
	return body, media, nil
}

// streamResponse passes messages on as they come.
func (c *call) streamResponse(x *filter.Exchange) {
	r := &x.Resp
	takeTrailer(r)
	clean(&r.Header)
	if r.Body == httpmsg.BodyNone || r.Body == httpmsg.BodyLength && r.Length == 0 {
		if code, body := c.outcome(&r.Trailer); code != grpc.OK {
			c.fail(x, code, body)
			return
		}
	}
	media := jsonType
	switch {
	case c.match.RawResponse():
		media = octetType
	case c.form == ndjson:
		media = linesType
	case c.form == events:
		media = eventsType
	}
	r.Header.Set(httpmsg.NameContentType, media)
	none := r.Body == httpmsg.BodyNone
	r.Body, r.Length = httpmsg.BodyChunked, -1
	if none {
		w := writer{c: c}
		x.ReplaceResponse(w.end(nil))
		return
	}
	x.WrapResponseBody(func(source io.Reader) io.Reader {
		return &messages{w: writer{c: c}, x: x, frames: frames{source: source, most: c.t.maxMessage}}
	})
}
