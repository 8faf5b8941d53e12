package pipeline

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/bridge"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

var (
	serverName  = []byte("gridway")
	problemType = []byte("application/problem+json")
	allowed     = []byte("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
)

// replyLocal sends the reply that a filter or a failure has set.
func (x *Exchange) replyLocal() {
	body := x.makeLocal()
	x.filterResponse()
	x.writeLocal(body)
}

// sendLocal is replyLocal without response filters.
func (x *Exchange) sendLocal() { x.writeLocal(x.makeLocal()) }

// makeLocal sets the head of the reply and returns its body.
func (x *Exchange) makeLocal() (body []byte) {
	r := &x.Resp
	local := &x.Local
	r.Status, r.Reason, r.Version = local.Status, nil, httpmsg.HTTP11
	body = local.Body
	h := &r.Header
	if form, ok := x.clientsForm(); ok {
		body = form
	} else if x.native() {
		x.callReply()
	} else if body == nil && local.Reason != filter.ReasonNone {
		x.scratch = appendProblem(x.scratch[:0], local, x.RequestID)
		body = x.scratch
		h.Set(httpmsg.NameContentType, problemType)
	} else if local.ContentType != "" {
		h.Set(httpmsg.NameContentType, x.Req.Arena.CopyString(local.ContentType))
	}
	h.Set(httpmsg.NameServer, serverName)
	h.Set(httpmsg.NameDate, x.Listener.Clock.Date())
	if local.Reason != filter.ReasonNone {
		h.Set(httpmsg.NameXGridwayReason, x.Req.Arena.CopyString(local.Reason.String()))
	}
	if local.Status == 405 && !x.native() && !h.Has(httpmsg.NameAllow) { // RFC 9110 §15.5.6
		h.Set(httpmsg.NameAllow, allowed)
	}
	if local.Status == 426 { // RFC 9110 §15.5.22, RFC 6455 §4.2.2
		r.Upgrade = webSocketProtocol
		h.Set(httpmsg.NameSecWebSocketVersion, webSocketVersion)
	}
	if x.RequestID != nil {
		h.SetName(x.Listener.RequestIDHeader, x.RequestID)
	}
	if x.native() {
		return nil
	}
	r.Body, r.Length = httpmsg.BodyLength, int64(len(body))
	if noBody(r.Status) {
		r.Body, r.Length, body = httpmsg.BodyNone, 0, nil
	}
	return body
}

func (x *Exchange) writeLocal(body []byte) {
	if x.Req.MethodID == httpmsg.MethodHead {
		body = nil
	}
	if x.writeHead() != nil {
		return
	}
	if len(body) > 0 && x.writeBody(body) != nil {
		return
	}
	x.endResponse(nil)
}

// clientsForm makes the reply for a client of a protocol above HTTP, other than
// gRPC. It is false if the reply is one of HTTP.
func (x *Exchange) clientsForm() (body []byte, ok bool) {
	if x.Replier == nil && !x.call.on {
		bridge.Recognize(&x.Exchange)
	}
	local := &x.Local
	if x.Replier == nil || local.Status == 421 || local.Status == 425 {
		return nil, false // RFC 9110 §15.5.20, RFC 8470 §5.2: clients send the request again by themselves
	}
	code, message := x.replyCode(), local.Detail
	if local.Reason == filter.ReasonNone {
		if code, message, ok = x.directCode(); !ok {
			return nil, false
		}
	}
	if x.Kept.Bridge != 0 && !x.call.on {
		x.translate()
	}
	if x.call.on {
		x.call.code, x.call.known = code, true
	}
	return x.Replier.Reply(&x.Exchange, code, message), true
}

// directCode is what a configured reply says to a client of gRPC-Web or Connect. It
// is false for one that is to be passed on as it is: an answer, a redirect, JSON
// that may be written for these clients.
func (x *Exchange) directCode() (code grpc.Code, message string, ok bool) {
	h := &x.Resp.Header
	if x.Kept.Bridge == 0 {
		return 0, "", false
	}
	if v := h.Get(httpmsg.NameGRPCStatus); v != nil {
		code, _ = grpc.ParseCode(v)
		message = string(grpc.AppendDecoded(nil, h.Get(httpmsg.NameGRPCMessage)))
		if code != grpc.OK {
			h.Del(httpmsg.NameGRPCStatus)
			h.Del(httpmsg.NameGRPCMessage)
		}
		return code, message, code != grpc.OK
	}
	if x.Local.Status < 400 || strings.HasPrefix(x.Local.ContentType, "application/json") {
		return 0, "", false
	}
	return x.localCode(), x.callMessage(), true
}

// replyCode is the code of gRPC for what the reply says to a client that does not
// speak gRPC itself.
func (x *Exchange) replyCode() grpc.Code {
	if x.Local.Reason == filter.BadRequest {
		return grpc.InvalidArgument
	}
	return x.localCode()
}

// noBody tells whether a final status never has a body (RFC 9110 §6.4.1).
func noBody(status int) bool { return status == 204 || status == 304 }

// appendProblem appends a problem document, RFC 9457, with "reason" and
// "request_id" as extension members.
func appendProblem(dst []byte, l *filter.LocalReply, id []byte) []byte {
	dst = append(dst, `{"type":"about:blank","title":`...)
	dst = appendJSON(dst, httpmsg.StatusText(l.Status))
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, int64(l.Status), 10)
	if l.Detail != "" {
		dst = append(dst, `,"detail":`...)
		dst = appendJSON(dst, l.Detail)
	}
	dst = append(dst, `,"reason":"`...)
	dst = append(dst, l.Reason.String()...)
	dst = append(dst, '"')
	if id != nil {
		dst = append(dst, `,"request_id":"`...)
		dst = append(append(dst, id...), '"')
	}
	return append(dst, '}', '\n')
}

// appendJSON appends s as a JSON string (RFC 8259 §7); what is not UTF-8 in it
// becomes U+FFFD.
func appendJSON(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"', r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}
