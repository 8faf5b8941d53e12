package bridge

import (
	"bytes"
	"encoding/base64"
	"fmt"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

var errMessageTooLarge = fmt.Errorf("bridge: %w", filter.ErrTooLarge)

// connectGet takes a call without side effects, whose message is in the query.
func (b *Bridge) connectGet(x *filter.Exchange) filter.Verdict {
	q, ok := parseQuery(x.Req.Query)
	if !ok {
		return filter.Continue // somebody else's
	}
	var codec []byte
	switch string(q.encoding) {
	case "proto":
		codec = protoCodec
	case "json":
		codec = jsonCodec
	default:
		return x.Fail(415, filter.BadRequest, "the query's encoding is neither proto nor json")
	}
	h := &x.Req.Header
	accept := h.Get(httpmsg.NameAcceptEncoding)
	b.begin(x, connectUnary, codec)
	if q.message == nil || q.version != nil && string(q.version) != "v1" {
		return x.Fail(400, filter.BadRequest, "the query is not one of Connect: message must be encoded as base64 says, and connect be v1")
	}
	if len(q.compression) > 0 && !bytes.Equal(q.compression, identity) {
		h.Set(httpmsg.NameGRPCEncoding, x.Req.Arena.Copy(q.compression))
	}
	if accept != nil {
		h.Set(httpmsg.NameGRPCAcceptEncoding, accept)
	}
	x.Req.Method, x.Req.MethodID = post, httpmsg.MethodPost
	x.Req.Query, x.Req.HasQuery = nil, false
	b.frameRequest(x, q.message)
	return b.control(x)
}

// query is what a query of Connect says. Message is decoded, and nil if it cannot be.
type query struct {
	message, encoding, compression, version []byte
}

// isQuery tells whether a query is one of Connect, without decoding it.
func isQuery(raw []byte) bool {
	var message, encoding bool
	for len(raw) > 0 {
		var pair []byte
		pair, raw, _ = bytes.Cut(raw, []byte("&"))
		message = message || bytes.HasPrefix(pair, []byte("message="))
		encoding = encoding || bytes.HasPrefix(pair, []byte("encoding="))
	}
	return message && encoding
}

// parseQuery is false if a query has not both a message and an encoding.
func parseQuery(raw []byte) (q query, ok bool) {
	var text, isText bool
	var message []byte
	for len(raw) > 0 {
		var pair []byte
		pair, raw, _ = bytes.Cut(raw, []byte("&"))
		name, value, _ := bytes.Cut(pair, []byte("="))
		switch string(name) {
		case "message":
			message, isText = value, true
		case "encoding":
			q.encoding = unescape(value)
			ok = true
		case "compression":
			q.compression = unescape(value)
		case "connect":
			q.version = unescape(value)
		case "base64":
			text = string(value) == "1"
		}
	}
	if !ok || !isText {
		return query{}, false
	}
	message = unescape(message)
	if message != nil && text {
		message = decodeURLBase64(message)
	}
	q.message = message
	return q, true
}

// decodeURLBase64 takes base64 for URLs, with padding or without; nil if it is none.
func decodeURLBase64(v []byte) []byte {
	v = bytes.TrimRight(v, "=")
	out := make([]byte, base64.RawURLEncoding.DecodedLen(len(v)))
	n, err := base64.RawURLEncoding.Decode(out, v)
	if err != nil {
		return nil
	}
	return out[:n]
}

// unescape undoes percent-encoding and "+"; nil if it is not well-formed.
func unescape(v []byte) []byte {
	out := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		switch v[i] {
		case '+':
			out = append(out, ' ')
		case '%':
			if i+2 >= len(v) {
				return nil
			}
			hi, ok1 := httpmsg.Unhex(v[i+1])
			lo, ok2 := httpmsg.Unhex(v[i+2])
			if !ok1 || !ok2 {
				return nil
			}
			out = append(out, hi<<4|lo)
			i += 2
		default:
			out = append(out, v[i])
		}
	}
	return out
}
