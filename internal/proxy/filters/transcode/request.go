package transcode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/transcoding"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// prefixSize is that of a message's prefix: flags, and the length in four bytes.
const prefixSize = 5

var errTooLarge = fmt.Errorf("transcode: %w", filter.ErrTooLarge)

// call is one exchange. It is the exchange's Replier.
type call struct {
	t      *Transcode
	schema *transcoding.Schema
	match  transcoding.Match
	form   form
	query  string
	media  string // of a raw body
}

// request makes the request one of gRPC.
func (c *call) request(x *filter.Exchange) filter.Verdict {
	r := &x.Req
	h := &r.Header
	if verdict := c.accept(x); verdict != filter.Continue {
		return verdict
	}
	if v := h.Get(httpmsg.NameGRPCTimeout); v != nil {
		d, ok := grpc.ParseTimeout(v)
		if !ok {
			return x.Fail(400, filter.BadRequest, "grpc-timeout is not a number of up to eight digits with a unit")
		}
		x.Timeout = max(d, 1)
	}
	c.form = formOf(h, c.match.ServerStreams, c.t.lines)
	if r.HasQuery {
		c.query = string(r.Query)
	}
	var whole []byte // the message, if it needs no body
	if c.match.Body == transcoding.NoBody {
		var err error
		if whole, err = c.schema.Message(&c.match, &c.t.json, c.query, nil, ""); err != nil {
			return x.Fail(400, filter.BadRequest, err.Error())
		}
		whole = frame(whole)
	}
	x.Translated, x.CallPath = true, c.match.Path
	r.Method, r.MethodID, r.Path = post, httpmsg.MethodPost, c.match.Path
	r.Query, r.HasQuery = nil, false
	for _, name := range []httpmsg.Name{httpmsg.NameContentLength, httpmsg.NameContentEncoding, httpmsg.NameTrailer, httpmsg.NameGRPCAcceptEncoding, httpmsg.NameGRPCEncoding} {
		h.Del(name)
	}
	h.Set(httpmsg.NameContentType, grpcType)
	if !c.match.ServerStreams {
		x.HoldResponse = c.t.maxMessage + prefixSize
	}
	r.Body, r.Length = httpmsg.BodyChunked, -1
	x.WrapRequestBody(func(source io.Reader) io.Reader {
		switch {
		case whole != nil:
			return bytes.NewReader(whole)
		case c.match.ClientStreams && !c.match.RawRequest():
			return &values{c: c, source: source, split: splitter{noArray: c.match.TakesArrays()}}
		}
		return &unary{c: c, source: source}
	})
	if whole != nil {
		r.Body, r.Length = httpmsg.BodyLength, int64(len(whole))
	}
	return filter.Continue
}

// accept refuses bodies that cannot be taken.
func (c *call) accept(x *filter.Exchange) filter.Verdict {
	r := &x.Req
	has := r.Body == httpmsg.BodyChunked || r.Body == httpmsg.BodyLength && r.Length > 0
	media := r.Header.Get(httpmsg.NameContentType)
	switch {
	case has && c.match.Body == transcoding.NoBody:
		return x.Fail(400, filter.BadRequest, "this method takes no body")
	case !has:
	case len(r.Header.Get(httpmsg.NameContentEncoding)) > 0 && !httpmsg.EqualFold(r.Header.Get(httpmsg.NameContentEncoding), "identity"):
		return x.Fail(415, filter.BadRequest, "the body must have no Content-Encoding")
	case !c.match.RawRequest() && (!isJSON(mediaType(media)) || len(media) == 0 && r.Header.Has(httpmsg.NameOrigin)):
		// A page may send a body without a type anywhere without a question by CORS.
		return x.Fail(415, filter.BadRequest, "the body must be JSON, with Content-Type: application/json")
	case !c.match.ClientStreams && r.Body == httpmsg.BodyLength && r.Length > c.t.maxMessage:
		return x.Fail(413, filter.BodyTooLarge, "the body is longer than a message may be")
	}
	c.media = string(media)
	return filter.Continue
}

// isJSON: who sends no type sends JSON.
func isJSON(media []byte) bool {
	switch {
	case len(media) == 0, bytes.EqualFold(media, jsonType), bytes.EqualFold(media, linesType):
		return true
	}
	return hasPrefixFold(media, []byte("application/")) && len(media) > 5 && bytes.EqualFold(media[len(media)-5:], []byte("+json"))
}

// frame puts a message's prefix before it.
func frame(message []byte) []byte {
	out := make([]byte, prefixSize, prefixSize+len(message))
	binary.BigEndian.PutUint32(out[1:], uint32(len(message)))
	return append(out, message...)
}

// message makes a message of a body, or of a part of one.
func (c *call) message(body []byte) ([]byte, error) {
	message, err := c.schema.Message(&c.match, &c.t.json, c.query, body, c.media)
	var input *transcoding.InputError
	if errors.As(err, &input) {
		return nil, &filter.Malformed{Detail: input.Detail}
	}
	if err != nil {
		return nil, err
	}
	return frame(message), nil
}

// unary makes one message of a whole body.
type unary struct {
	c      *call
	source io.Reader
	rest   []byte
	read   bool
}

func (u *unary) Read(p []byte) (int, error) {
	if !u.read {
		body, err := io.ReadAll(io.LimitReader(u.source, u.c.t.maxMessage+1))
		switch {
		case err != nil:
			return 0, err
		case int64(len(body)) > u.c.t.maxMessage:
			return 0, errTooLarge
		}
		if u.rest, err = u.c.message(body); err != nil {
			return 0, err
		}
		u.read = true
	}
	if len(u.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}
