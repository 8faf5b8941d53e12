package trace

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gridway/gridway/internal/telemetry/otlp"
)

// Fields of a Span of OTLP (opentelemetry/proto/trace/v1/trace.proto).
const (
	spanTraceID    = 1
	spanID         = 2
	spanParentID   = 4
	spanName       = 5
	spanKind       = 6
	spanStart      = 7
	spanEnd        = 8
	spanAttributes = 9
	spanEvents     = 11
	spanStatus     = 15
	spanFlags      = 16

	eventTime       = 1
	eventName       = 2
	eventAttributes = 3

	statusMessage = 2
	statusCode    = 3
	statusError   = 2

	kindServer = 2
	kindClient = 3
)

// AppendSpan appends the span of the exchange, as the semantic conventions for HTTP and
// RPC name its attributes. The span's events are what policies have decided. Extra appends
// attributes with the field that it is given; it may be nil.
func AppendSpan(b []byte, x *Exchange, extra func(b []byte, field protowire.Number) []byte) []byte {
	e := x.Entry
	b = x.begin(b, x.Span, x.Parent, kindServer, 0, e.Duration)
	b = protowire.AppendTag(b, spanName, protowire.BytesType)
	b = protowire.AppendString(b, x.name())
	b = x.requestAttributes(b)
	text := func(key, value string) { b = otlp.AppendText(b, spanAttributes, key, value) }
	if e.Client.IsValid() {
		text("client.address", e.Client.Unmap().WithZone("").String())
	}
	b = otlp.AppendText(b, spanAttributes, "user_agent.original", clipped(e.UserAgent))
	b = otlp.AppendText(b, spanAttributes, "gridway.request.id", clipped(e.RequestID))
	text("gridway.listener", e.Listener)
	text("gridway.route", e.Route)
	text("gridway.rule", e.Rule)
	text("gridway.cluster", e.Cluster)
	text("gridway.side", x.Side.String())
	text("gridway.peer.identity", e.PeerIdentity)
	if e.Consumer != "" {
		text("gridway.consumer", e.ConsumerNamespace+"/"+e.Consumer)
	}
	text("gridway.reason", e.Reason)
	b = otlp.AppendText(b, spanAttributes, "gridway.flags", e.Flags)
	if extra != nil {
		b = extra(b, spanAttributes)
	}
	b = answerAttributes(b, e.Status, e.GRPCStatus, x.errorType())
	for i := range x.Decisions {
		b = x.appendDecision(b, &x.Decisions[i])
	}
	if x.Failed || x.Faulty || e.Status >= 500 {
		b = appendStatus(b, x.Detail)
	}
	return b
}

// AppendTry appends the span of one of its tries.
func AppendTry(b []byte, x *Exchange, t *Try) []byte {
	b = x.begin(b, TrySpan(x.Span, t.Number), x.Span, kindClient, t.Start, max(t.End, t.Start))
	b = protowire.AppendTag(b, spanName, protowire.BytesType)
	b = protowire.AppendString(b, x.tryName())
	b = x.requestAttributes(b)
	b = appendEndpoint(b, t.Endpoint)
	if t.Number > 1 && t.Kind == Retry {
		b = otlp.AppendInt(b, spanAttributes, "http.request.resend_count", int64(t.Number-1))
	}
	b = otlp.AppendText(b, spanAttributes, "gridway.try", t.Kind.String())
	b = otlp.AppendText(b, spanAttributes, "gridway.cluster", x.Entry.Cluster)
	if t.Connected > 0 {
		b = x.appendEvent(b, t.Connected, "connected")
	}
	if t.Head > 0 {
		b = x.appendEvent(b, t.Head, "response head")
	}
	kind := t.errorType()
	b = answerAttributes(b, t.Status, t.GRPCStatus, kind)
	if kind != "" {
		b = appendStatus(b, "")
	}
	return b
}

// AppendQuestion appends the span of a question that a server was asked about it.
func AppendQuestion(b []byte, x *Exchange, q *Question) []byte {
	b = x.begin(b, QuestionSpan(x.Span, q.Number), x.Span, kindClient, q.Start, max(q.End, q.Start))
	b = protowire.AppendTag(b, spanName, protowire.BytesType)
	b = protowire.AppendString(b, q.Purpose)
	b = appendEndpoint(b, q.Endpoint)
	b = otlp.AppendText(b, spanAttributes, "gridway.question", q.Purpose)
	b = otlp.AppendText(b, spanAttributes, "gridway.cluster", q.Cluster)
	if q.GRPCStatus != "" {
		b = otlp.AppendText(b, spanAttributes, "rpc.system", "grpc")
	}
	kind := q.Problem
	switch {
	case kind != "":
	case q.GRPCStatus != "" && q.GRPCStatus != "OK":
		kind = q.GRPCStatus
	case q.Status >= 500: // other statuses are what such servers refuse with
		kind = strconv.Itoa(q.Status)
	}
	b = answerAttributes(b, q.Status, q.GRPCStatus, kind)
	if kind != "" {
		b = appendStatus(b, "")
	}
	return b
}

// AppendOwn appends the span of a request that the proxy has sent itself, for a Purpose.
func AppendOwn(b []byte, x *Exchange) []byte {
	e := x.Entry
	b = x.begin(b, x.Span, x.Parent, kindClient, 0, e.Duration)
	b = protowire.AppendTag(b, spanName, protowire.BytesType)
	b = protowire.AppendString(b, x.Purpose)
	b = x.requestAttributes(b)
	b = appendEndpoint(b, e.Endpoint)
	b = otlp.AppendText(b, spanAttributes, "gridway.purpose", x.Purpose)
	b = otlp.AppendText(b, spanAttributes, "gridway.side", x.Side.String())
	b = otlp.AppendText(b, spanAttributes, "gridway.route", e.Route)
	b = otlp.AppendText(b, spanAttributes, "gridway.rule", e.Rule)
	b = otlp.AppendText(b, spanAttributes, "gridway.cluster", e.Cluster)
	kind := e.Reason
	switch {
	case kind != "":
	case e.GRPCStatus != "" && e.GRPCStatus != "OK":
		kind = e.GRPCStatus
	case e.Status >= 400:
		kind = strconv.Itoa(e.Status)
	}
	b = answerAttributes(b, e.Status, e.GRPCStatus, kind)
	if kind != "" {
		b = appendStatus(b, x.Detail)
	}
	return b
}

func appendEndpoint(b []byte, endpoint string) []byte {
	at, err := netip.ParseAddrPort(endpoint)
	if err != nil {
		return otlp.AppendText(b, spanAttributes, "network.peer.address", endpoint)
	}
	b = otlp.AppendText(b, spanAttributes, "network.peer.address", at.Addr().String())
	return otlp.AppendInt(b, spanAttributes, "network.peer.port", int64(at.Port()))
}

// begin appends the fields that all spans have, but for the name. From and to are since
// the start.
func (x *Exchange) begin(b []byte, span, parent uint64, kind uint64, from, to time.Duration) []byte {
	var id [16]byte
	be := binary.BigEndian
	be.PutUint64(id[:], x.Trace.High)
	be.PutUint64(id[8:], x.Trace.Low)
	b = protowire.AppendTag(b, spanTraceID, protowire.BytesType)
	b = protowire.AppendBytes(b, id[:])
	be.PutUint64(id[:], span)
	b = protowire.AppendTag(b, spanID, protowire.BytesType)
	b = protowire.AppendBytes(b, id[:8])
	if parent != 0 {
		be.PutUint64(id[:], parent)
		b = protowire.AppendTag(b, spanParentID, protowire.BytesType)
		b = protowire.AppendBytes(b, id[:8])
	}
	b = protowire.AppendTag(b, spanKind, protowire.VarintType)
	b = protowire.AppendVarint(b, kind)
	b = protowire.AppendTag(b, spanStart, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, uint64(x.at(from)))
	b = protowire.AppendTag(b, spanEnd, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, uint64(x.at(to)))
	const sampled = 1
	if x.Sampled {
		b = protowire.AppendTag(b, spanFlags, protowire.Fixed32Type)
		b = protowire.AppendFixed32(b, sampled)
	}
	return b
}

func (x *Exchange) at(since time.Duration) int64 { return x.Entry.Start.Add(max(since, 0)).UnixNano() }

// name is that of the server's span: the method and what took it, which are few.
func (x *Exchange) name() string {
	e := x.Entry
	if e.GRPCStatus != "" {
		return string(clipped(e.GRPCService)) + "/" + string(clipped(e.GRPCMethod))
	}
	method := x.method()
	if at := strings.IndexByte(e.Route, '/'); at >= 0 {
		return method + " " + e.Route[at+1:]
	}
	return method
}

func (x *Exchange) tryName() string {
	if x.Entry.GRPCStatus != "" {
		return x.name()
	}
	return x.method()
}

// method is "_OTHER", as the conventions have it, for what they do not know.
func (x *Exchange) method() string {
	switch m := string(x.Entry.Method); m {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH":
		return m
	}
	return "_OTHER"
}

func (x *Exchange) requestAttributes(b []byte) []byte {
	e := x.Entry
	method := x.method()
	b = otlp.AppendText(b, spanAttributes, "http.request.method", method)
	if method == "_OTHER" {
		b = otlp.AppendText(b, spanAttributes, "http.request.method_original", clipped(e.Method))
	}
	b = otlp.AppendText(b, spanAttributes, "url.scheme", e.Scheme)
	b = otlp.AppendText(b, spanAttributes, "url.path", valid(e.Path[:min(len(e.Path), maxPath)]))
	host := string(clipped(e.Host))
	if at := strings.LastIndexByte(host, ':'); at > 0 && !strings.HasSuffix(host, "]") {
		if port, err := strconv.ParseUint(host[at+1:], 10, 16); err == nil {
			b = otlp.AppendInt(b, spanAttributes, "server.port", int64(port))
			host = host[:at]
		}
	}
	b = otlp.AppendText(b, spanAttributes, "server.address", host)
	if _, version, has := strings.Cut(e.Protocol, "/"); has {
		b = otlp.AppendText(b, spanAttributes, "network.protocol.name", "http")
		b = otlp.AppendText(b, spanAttributes, "network.protocol.version", version)
	}
	if e.GRPCStatus != "" {
		b = otlp.AppendText(b, spanAttributes, "rpc.system", "grpc")
		b = otlp.AppendText(b, spanAttributes, "rpc.service", clipped(e.GRPCService))
		b = otlp.AppendText(b, spanAttributes, "rpc.method", clipped(e.GRPCMethod))
	}
	return b
}

func answerAttributes(b []byte, status int, grpcStatus, errorType string) []byte {
	if status > 0 {
		b = otlp.AppendInt(b, spanAttributes, "http.response.status_code", int64(status))
	}
	b = otlp.AppendText(b, spanAttributes, "rpc.response.status_code", grpcStatus)
	return otlp.AppendText(b, spanAttributes, "error.type", errorType)
}

// errorType is why there was no good answer. To who asks, other than to who answers, each
// status that refuses is one of failure.
func (t *Try) errorType() string {
	switch {
	case t.Reason != "":
		return t.Reason
	case t.GRPCStatus != "" && t.GRPCStatus != "OK":
		return t.GRPCStatus
	case t.Status >= 400:
		return strconv.Itoa(t.Status)
	}
	return ""
}

// errorType is why the exchange has failed: the reason of the proxy's own answer, or the
// status.
func (x *Exchange) errorType() string {
	switch e := x.Entry; {
	case !x.Failed && !x.Faulty && e.Status < 500:
		return ""
	case e.Reason != "":
		return e.Reason
	case e.GRPCStatus != "" && e.GRPCStatus != "OK":
		return e.GRPCStatus
	case e.Status >= 500:
		return strconv.Itoa(e.Status)
	}
	return "_OTHER"
}

// appendDecision appends an event.
func (x *Exchange) appendDecision(b []byte, d *Decided) []byte {
	var scratch [512]byte
	v := x.eventHead(scratch[:0], x.Entry.Duration, "policy "+d.Verdict.String())
	v = otlp.AppendText(v, eventAttributes, "gridway.policy.kind", d.Kind)
	v = otlp.AppendText(v, eventAttributes, "gridway.policy.name", d.Policy)
	v = otlp.AppendText(v, eventAttributes, "gridway.policy.rule", d.Rule)
	v = otlp.AppendText(v, eventAttributes, "gridway.policy.verdict", d.Verdict.String())
	if d.Place.File != "" {
		v = otlp.AppendText(v, eventAttributes, "code.file.path", d.Place.File)
		v = otlp.AppendInt(v, eventAttributes, "code.line.number", int64(d.Place.Line))
	}
	b = protowire.AppendTag(b, spanEvents, protowire.BytesType)
	return protowire.AppendBytes(b, v)
}

func (x *Exchange) appendEvent(b []byte, at time.Duration, name string) []byte {
	var scratch [64]byte
	b = protowire.AppendTag(b, spanEvents, protowire.BytesType)
	return protowire.AppendBytes(b, x.eventHead(scratch[:0], at, name))
}

func (x *Exchange) eventHead(b []byte, at time.Duration, name string) []byte {
	b = protowire.AppendTag(b, eventTime, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, uint64(x.at(at)))
	b = protowire.AppendTag(b, eventName, protowire.BytesType)
	return protowire.AppendString(b, name)
}

func appendStatus(b []byte, message string) []byte {
	var scratch [256]byte
	v := scratch[:0]
	if message != "" {
		v = protowire.AppendTag(v, statusMessage, protowire.BytesType)
		v = protowire.AppendString(v, message[:min(len(message), 200)])
	}
	v = protowire.AppendTag(v, statusCode, protowire.VarintType)
	v = protowire.AppendVarint(v, statusError)
	b = protowire.AppendTag(b, spanStatus, protowire.BytesType)
	return protowire.AppendBytes(b, v)
}

func clipped(v []byte) []byte { return valid(v[:min(len(v), maxText)]) }

// valid is UTF-8 whatever clients sent: receivers refuse all of a request for one text
// that is not.
func valid(v []byte) []byte {
	if utf8.Valid(v) {
		return v
	}
	return bytes.ToValidUTF8(v, []byte("\uFFFD"))
}
