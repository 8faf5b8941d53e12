// Package transcode lets clients that speak JSON over HTTP call endpoints that
// speak gRPC, as google.api.http says or by the method's own path. Messages are
// decoded, so that it needs their descriptors. A unary call's request and answer
// are held, up to a bound; of streams it holds one message at a time.
//
// Its values are shared by all exchanges; it owns no goroutines. The list in
// package filters imports it.
package transcode

import (
	"bytes"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/transcoding"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Source has the schema as it is now; nil while there is none.
type Source interface {
	Schema() *transcoding.Schema
}

// Transcode is the policy of a rule.
type Transcode struct {
	source     Source
	json       transcoding.JSON
	lines      bool
	annotated  bool // methods without an annotation cannot be called
	pass       bool
	maxMessage int64
	// connect and web: the bridge takes these protocols.
	connect, web bool
}

// New makes a policy. bridge may be nil.
func New(t *ir.Transcoding, bridge *ir.Bridge, source Source) *Transcode {
	return &Transcode{
		source: source, lines: t.Lines, annotated: t.AnnotatedOnly, pass: t.PassUnmatched, maxMessage: t.MaxMessageBytes,
		json: transcoding.JSON{
			Defaults: t.Defaults, EnumNumbers: t.EnumNumbers, ProtoNames: t.ProtoNames, IgnoreUnknown: t.IgnoreUnknown,
		},
		connect: bridge != nil && bridge.Connect, web: bridge != nil && bridge.GRPCWeb,
	}
}

var (
	post        = []byte("POST")
	grpcType    = []byte("application/grpc")
	connectType = []byte("application/connect+")
	jsonType    = []byte("application/json")
	linesType   = []byte("application/x-ndjson")
	eventsType  = []byte("text/event-stream")
	octetType   = []byte("application/octet-stream")

	connectVersion = []byte("connect-protocol-version")
)

// Recognize gives replies that are made before the request is translated the
// form that its client understands.
func (t *Transcode) Recognize(x *filter.Exchange) {
	if !t.foreign(x) {
		c := &call{t: t}
		c.schema = t.source.Schema()
		x.Replier = c
	}
}

// OnRequest makes a request of gRPC of one that has JSON.
func (t *Transcode) OnRequest(x *filter.Exchange) filter.Verdict {
	if t.foreign(x) {
		return filter.Continue
	}
	c := &call{t: t, schema: t.source.Schema()}
	x.Replier = c
	if c.schema == nil {
		if t.pass {
			x.Replier = nil
			return filter.Continue
		}
		return x.Fail(503, filter.SchemaUnavailable, "the schema of this service is not known yet")
	}
	allowed, ok := t.find(x, c)
	switch {
	case ok:
		return c.request(x)
	case t.pass:
		x.Replier = nil
		return filter.Continue
	case len(allowed) > 0:
		x.Resp.Header.Set(httpmsg.NameAllow, []byte(strings.Join(allowed, ", ")))
		return x.Fail(405, filter.BadRequest, "this path has no such method; see Allow")
	}
	return x.Fail(404, filter.RouteNotFound, "no method of the service has this path")
}

// CallPath is the path of the method that a request with JSON will call; nil for
// requests that will call none, or the one that their own path names.
func (t *Transcode) CallPath(x *filter.Exchange) []byte {
	if t.foreign(x) {
		return nil
	}
	c := &call{t: t, schema: t.source.Schema()}
	if c.schema == nil {
		return nil
	}
	if _, ok := t.find(x, c); !ok {
		return nil
	}
	return c.match.Path
}

// Translation is what a request is transcoded with.
type Translation struct {
	// Schema is nil while it is not known.
	Schema *transcoding.Schema
	Match  transcoding.Match // if the request is Translated
	JSON   *transcoding.JSON
}

// Of is the translation of an exchange that the filter has taken for its own.
func Of(x *filter.Exchange) (t Translation, ok bool) {
	c, ok := x.Replier.(*call)
	if !ok {
		return Translation{}, false
	}
	return Translation{Schema: c.schema, Match: c.match, JSON: &c.t.json}, true
}

// find finds the method for the request.
func (t *Transcode) find(x *filter.Exchange, c *call) (allowed []string, ok bool) {
	if c.match, allowed, ok = c.schema.Find(string(x.Req.Method), string(x.Req.Path)); ok {
		return nil, true
	}
	if t.annotated {
		return allowed, false
	}
	b := c.schema.ByPath(x.Req.Path)
	switch {
	case b == nil:
		return allowed, false
	case x.Req.MethodID != httpmsg.MethodPost:
		return append(allowed, "POST"), false
	}
	c.match = transcoding.Match{Binding: b}
	return nil, true
}

// foreign tells whether a request is of a protocol that is not JSON over HTTP:
// gRPC, gRPC-Web and Connect.
func (t *Transcode) foreign(x *filter.Exchange) bool {
	media := mediaType(x.Req.Header.Get(httpmsg.NameContentType))
	if hasPrefixFold(media, grpcType) || hasPrefixFold(media, connectType) || x.Req.MethodID == httpmsg.MethodOptions {
		return true
	}
	if !t.connect {
		return false
	}
	if x.Req.Header.HasName(connectVersion) { // which only its clients send
		return true
	}
	// Connect has the methods' own paths.
	s := t.source.Schema()
	if s == nil || s.ByPath(x.Req.Path) == nil {
		return s == nil && x.Req.MethodID == httpmsg.MethodPost
	}
	_, _, annotated := s.Find(string(x.Req.Method), string(x.Req.Path))
	return !annotated
}

// OnResponse makes of gRPC's answer what the client understands.
func (t *Transcode) OnResponse(x *filter.Exchange) {
	c, ok := x.Replier.(*call)
	if !ok || !x.Translated || x.Local.Status != 0 || !grpc.IsContentType(x.Resp.Header.Get(httpmsg.NameContentType)) {
		return
	}
	if c.match.ServerStreams {
		c.streamResponse(x)
	} else {
		c.unaryResponse(x)
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
