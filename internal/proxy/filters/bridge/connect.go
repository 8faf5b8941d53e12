package bridge

import (
	"bytes"
	"encoding/binary"
	"io"
	"strconv"
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// The protocol is that of https://connectrpc.com/docs/protocol.
var (
	streamPrefix  = []byte("application/connect+")
	unaryPrefix   = []byte("application/")
	jsonType      = []byte("application/json")
	protoCodec    = []byte("proto")
	jsonCodec     = []byte("json")
	identity      = []byte("identity")
	post          = []byte("POST")
	version       = []byte("connect-protocol-version")
	timeoutMillis = []byte("connect-timeout-ms")
	streamCoding  = []byte("connect-content-encoding")
	streamAccept  = []byte("connect-accept-encoding")
)

// connectRequest takes a request of Connect if it is one.
func (b *Bridge) connectRequest(x *filter.Exchange, media []byte) filter.Verdict {
	h := &x.Req.Header
	if hasPrefixFold(media, streamPrefix) && len(media) > len(streamPrefix) {
		b.begin(x, connectStream, x.Req.Arena.Copy(media[len(streamPrefix):]))
		rename(h, streamCoding, httpmsg.NameGRPCEncoding)
		rename(h, streamAccept, httpmsg.NameGRPCAcceptEncoding)
		// Codings are the messages' here.
		h.Del(httpmsg.NameAcceptEncoding)
		return b.control(x)
	}
	codec := unaryCodec(media)
	if codec == nil {
		return filter.Continue
	}
	b.begin(x, connectUnary, codec)
	if v := h.Get(httpmsg.NameContentEncoding); v != nil {
		h.Set(httpmsg.NameGRPCEncoding, v)
	}
	if v := h.Get(httpmsg.NameAcceptEncoding); v != nil {
		h.Set(httpmsg.NameGRPCAcceptEncoding, v)
	}
	b.frameRequest(x, nil)
	return b.control(x)
}

func unaryCodec(media []byte) []byte {
	if !hasPrefixFold(media, unaryPrefix) {
		return nil
	}
	for _, codec := range [][]byte{protoCodec, jsonCodec} {
		if httpmsg.EqualFold(media[len(unaryPrefix):], string(codec)) {
			return codec
		}
	}
	return nil
}

// rename gives a field another name. Empty ones say nothing.
func rename(h *httpmsg.Header, from []byte, to httpmsg.Name) {
	if v := h.GetName(from); len(v) > 0 {
		h.Set(to, v)
	}
	h.DelName(from)
}

// control takes the version and the timeout.
func (b *Bridge) control(x *filter.Exchange) filter.Verdict {
	h := &x.Req.Header
	if v := h.GetName(version); v != nil && string(v) != "1" {
		return x.Fail(400, filter.BadRequest, "connect-protocol-version must be 1")
	}
	h.DelName(version)
	if v := h.GetName(timeoutMillis); v != nil {
		n, err := strconv.ParseUint(string(v), 10, 64)
		if err != nil || len(v) > 10 {
			return x.Fail(400, filter.BadRequest, "connect-timeout-ms is not a number of up to ten digits")
		}
		x.Timeout = max(time.Duration(n)*time.Millisecond, 1)
		h.Set(httpmsg.NameGRPCTimeout, grpc.AppendTimeout(x.Req.Arena.Alloc(12)[:0], x.Timeout))
		h.DelName(timeoutMillis)
	}
	return filter.Continue
}

// frameRequest puts a prefix before a unary request, and has its answer held. The
// message is the request's body, unless it is given.
func (b *Bridge) frameRequest(x *filter.Exchange, message []byte) {
	r := &x.Req
	h := &r.Header
	coding := h.Get(httpmsg.NameGRPCEncoding)
	coded := len(coding) > 0 && !httpmsg.EqualFold(coding, "identity")
	h.Del(httpmsg.NameContentEncoding)
	h.Del(httpmsg.NameAcceptEncoding)
	h.Del(httpmsg.NameContentLength)
	h.Del(httpmsg.NameTrailer)
	x.HoldResponse = b.maxMessage + prefixSize
	length, limit := r.Length, b.maxMessage
	switch {
	case message != nil:
		length = int64(len(message))
	case r.Body == httpmsg.BodyNone:
		length = 0
	case r.Body == httpmsg.BodyChunked:
		length = -1
	}
	r.Body, r.Length = httpmsg.BodyChunked, -1
	if length >= 0 {
		r.Body, r.Length = httpmsg.BodyLength, length+prefixSize
	}
	x.WrapRequestBody(func(source io.Reader) io.Reader {
		if message != nil {
			source = bytes.NewReader(message)
		}
		return &framer{source: source, coded: coded, length: length, limit: limit}
	})
}

// framer puts a message's prefix before the body that is the message. One whose
// length was not announced is read first, up to limit.
type framer struct {
	source io.Reader
	coded  bool
	length int64 // -1 is not known
	limit  int64
	rest   []byte // goes first
	whole  bool   // rest is all
	begun  bool
}

func (f *framer) Read(p []byte) (int, error) {
	if !f.begun {
		if err := f.begin(); err != nil {
			return 0, err
		}
	}
	if len(f.rest) > 0 {
		n := copy(p, f.rest)
		f.rest = f.rest[n:]
		return n, nil
	}
	if f.whole {
		return 0, io.EOF
	}
	return f.source.Read(p)
}

func (f *framer) begin() error {
	if f.length > 1<<32-1 {
		return errMessageTooLarge
	}
	prefix := make([]byte, prefixSize, 512)
	if f.coded {
		prefix[0] = 1
	}
	if f.length < 0 {
		body, err := io.ReadAll(io.MultiReader(bytes.NewReader(prefix), io.LimitReader(f.source, f.limit+1)))
		if err != nil {
			return err
		}
		prefix, f.whole = body, true
		if f.length = int64(len(body)) - prefixSize; f.length > f.limit {
			return errMessageTooLarge
		}
	}
	binary.BigEndian.PutUint32(prefix[1:], uint32(f.length))
	f.rest, f.begun = prefix, true
	return nil
}
