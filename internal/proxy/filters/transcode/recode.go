package transcode

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/transcoding"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

var (
	grpcJSON  = []byte("application/grpc+json")
	grpcProto = []byte("application/grpc+proto")
)

// Recode lets clients of gRPC-Web and Connect whose messages are JSON call endpoints
// that know Protocol Buffers only. It stands behind the bridge on the way there, and
// before it on the way back. Messages of methods that the schema does not have stay.
type Recode struct{ t *Transcode }

// Recode is the filter with the same schema.
func (t *Transcode) Recode() *Recode { return &Recode{t} }

// OnRequest makes messages of Protocol Buffers of those of a bridged call.
func (r *Recode) OnRequest(x *filter.Exchange) filter.Verdict {
	h := &x.Req.Header
	if x.Kept.Bridge == 0 || !bytes.EqualFold(mediaType(h.Get(httpmsg.NameContentType)), grpcJSON) {
		return filter.Continue
	}
	s := r.t.source.Schema()
	if s == nil {
		return filter.Continue
	}
	b := s.ByPath(x.Req.Path)
	if b == nil {
		return filter.Continue
	}
	coding := h.Get(httpmsg.NameGRPCEncoding)
	coded := httpmsg.EqualFold(coding, "gzip")
	if !coded && len(coding) > 0 && !httpmsg.EqualFold(coding, "identity") {
		return x.Fail(415, filter.BadRequest, "messages of JSON for this service may be compressed by gzip, not otherwise")
	}
	c := &recoding{t: r.t, schema: s, binding: b}
	x.Kept.Recoding = c
	h.Set(httpmsg.NameContentType, grpcProto)
	for _, name := range []httpmsg.Name{httpmsg.NameContentLength, httpmsg.NameGRPCEncoding, httpmsg.NameGRPCAcceptEncoding} {
		h.Del(name)
	}
	if x.Req.Body != httpmsg.BodyNone {
		x.Req.Body, x.Req.Length = httpmsg.BodyChunked, -1
	}
	x.WrapRequestBody(func(source io.Reader) io.Reader {
		return &recoder{frames: frames{source: source, most: r.t.maxMessage, coded: coded}, recode: c.toProto, request: true}
	})
	return filter.Continue
}

// OnResponse makes JSON of the answer of a call whose request was recoded.
func (r *Recode) OnResponse(x *filter.Exchange) {
	if x.Kept.Recoding != nil && x.Local.Status == 0 {
		x.Kept.Recoding.OnResponse(x)
	}
}

// recoding is one exchange.
type recoding struct {
	t       *Transcode
	schema  *transcoding.Schema
	binding *transcoding.Binding
}

func (c *recoding) OnResponse(x *filter.Exchange) {
	h := &x.Resp.Header
	media := h.Get(httpmsg.NameContentType)
	if !grpc.IsContentType(media) || bytes.EqualFold(mediaType(media), grpcJSON) {
		return
	}
	h.Set(httpmsg.NameContentType, grpcJSON)
	if x.HoldResponse > 0 {
		out, err := io.ReadAll(&recoder{frames: frames{source: bytes.NewReader(x.Held), most: c.t.maxMessage}, recode: c.toJSON})
		if err != nil {
			out = nil
			t := &x.Resp.Trailer
			h.Del(httpmsg.NameGRPCStatus)
			t.Reset()
			t.AddID(httpmsg.NameGRPCStatus, grpc.Internal.Text())
			t.AddID(httpmsg.NameGRPCMessage, []byte("the backend's answer is not what the schema says"))
		}
		x.Held = out
		return
	}
	x.WrapResponseBody(func(source io.Reader) io.Reader {
		return &recoder{frames: frames{source: source, most: c.t.maxMessage}, recode: c.toJSON}
	})
}

func (c *recoding) toProto(message []byte) ([]byte, error) {
	out, err := c.schema.Recode(c.binding, &c.t.json, message, false)
	var input *transcoding.InputError
	if errors.As(err, &input) {
		return nil, &filter.Malformed{Detail: input.Detail}
	}
	return out, err
}

func (c *recoding) toJSON(message []byte) ([]byte, error) {
	out, err := c.schema.Recode(c.binding, &c.t.json, message, true)
	if err != nil {
		return nil, errSchema
	}
	return out, nil
}

// recoder gives messages another form as they come.
type recoder struct {
	frames  frames
	recode  func([]byte) ([]byte, error)
	request bool
	rest    []byte
}

func (r *recoder) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		message, coded, err := r.frames.next()
		if err == nil && coded {
			message, err = inflate(message, r.frames.most)
		}
		if err == nil {
			message, err = r.recode(message)
		}
		if err != nil {
			return 0, r.fault(err)
		}
		r.rest = frame(message)
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// fault says of a request what its client can understand.
func (r *recoder) fault(err error) error {
	switch {
	case !r.request:
		return err
	case errors.Is(err, errTooLong):
		return errTooLarge
	case errors.Is(err, errCut), errors.Is(err, errCompressed):
		return &filter.Malformed{Detail: "the body is not a sequence of messages, each with its length before it"}
	}
	return err
}

// inflate undoes gzip, up to a bound.
func inflate(message []byte, most int64) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(message))
	if err != nil {
		return nil, &filter.Malformed{Detail: "a message is not compressed by gzip as it says"}
	}
	out, err := io.ReadAll(io.LimitReader(z, most+1))
	switch {
	case err != nil:
		return nil, &filter.Malformed{Detail: "a message is not compressed by gzip as it says"}
	case int64(len(out)) > most:
		return nil, errTooLong
	}
	return out, nil
}
