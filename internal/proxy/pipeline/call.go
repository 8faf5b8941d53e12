package pipeline

import (
	"errors"
	"io"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/proxy/upstream/http2"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/netx"
)

// call is what is kept of an exchange that is a call of gRPC.
type call struct {
	on bool
	// translated: the client does not speak gRPC itself.
	translated bool
	// service and method are parts of the path as the client asked for it; empty
	// if that is no call's.
	service, method []byte
	// code is what the call ended with, if known; answered tells that the
	// endpoint said so.
	code            grpc.Code
	known, answered bool
	// early is what was read of a response's body before its head was passed on.
	early early
	// reset is what the endpoint's reset of the stream means, if there was one.
	reset    grpc.Code
	hasReset bool
	// frames are those of the response that were passed on. by is the client's own
	// deadline, zero if it has none.
	frames grpc.Frames
	by     int64
}

// early is a piece of a body, or its end, that was read ahead.
type early struct {
	has   bool
	piece []byte
	err   error
}

var teTrailers = []byte("trailers")

const (
	// maxCallTimeout keeps deadlines within what the clock can express.
	maxCallTimeout = 100 * 365 * 24 * time.Hour
	// holdHead is how long the head of a response may wait for what follows it,
	// where the status in its trailer could be one to try again for.
	holdHead = 50 * time.Millisecond
	// maxPushback bounds what an endpoint may ask for where the policy has no
	// retryAfter.
	maxPushback = 10 * time.Second
	// maxMessage bounds what a direct response's body gives to grpc-message.
	maxMessage = 1024
)

// beginCall finds out whether the exchange is a call of gRPC.
func (x *Exchange) beginCall() {
	if x.Req.MethodID != httpmsg.MethodPost || x.Req.Version < httpmsg.HTTP2 ||
		!grpc.IsContentType(x.Req.Header.Get(httpmsg.NameContentType)) {
		return
	}
	x.call.on = true
	x.call.service, x.call.method, _ = grpc.SplitPath(x.path)
}

// native tells whether the client speaks gRPC.
func (x *Exchange) native() bool { return x.call.on && !x.call.translated }

// translate makes a call of what a filter has translated to one.
func (x *Exchange) translate() {
	x.call.on, x.call.translated = true, true
	path := x.CallPath
	if path == nil {
		path = x.path
	}
	x.call.service, x.call.method, _ = grpc.SplitPath(path)
}

// limitCall takes the client's deadline.
func (x *Exchange) limitCall() bool {
	v := x.Req.Header.Get(httpmsg.NameGRPCTimeout)
	if v == nil {
		return true
	}
	d, ok := grpc.ParseTimeout(v)
	if !ok {
		x.Fail(400, filter.BadRequest, "grpc-timeout is not a number of up to eight digits with a unit")
		return false
	}
	x.call.by = x.started + int64(min(d, maxCallTimeout))
	x.deadline = earlier(x.deadline, x.call.by)
	return true
}

// prepareCall writes what each try of a call says: that trailers are taken, how
// much time is left, and how many tries there were.
func (x *Exchange) prepareCall(tries int) {
	h := &x.Req.Header
	if !h.Has(httpmsg.NameTE) && x.backend.Cluster.Config().HTTP2 {
		h.AddID(httpmsg.NameTE, teTrailers)
	}
	// What a filter has written of the client's own time stays for the first try.
	own := tries == 0 && x.call.translated && x.Timeout > 0 && x.deadline == x.started+int64(min(x.Timeout, maxCallTimeout)) &&
		h.Has(httpmsg.NameGRPCTimeout)
	if x.deadline > 0 && !own {
		left := time.Duration(x.deadline - x.tick())
		h.Set(httpmsg.NameGRPCTimeout, grpc.AppendTimeout(x.Req.Arena.Alloc(12)[:0], left))
	}
	if tries > 0 {
		h.SetName(grpc.PreviousAttempts, grpc.Code(min(tries, grpc.Codes-1)).Text())
	}
}

// callReply makes the head of a reply of our own to a call: a response that is
// nothing but trailers.
func (x *Exchange) callReply() {
	h := &x.Resp.Header
	if v := h.Get(httpmsg.NameGRPCStatus); v != nil { // of a direct response
		x.call.code, _ = grpc.ParseCode(v)
	} else {
		x.call.code = x.localCode()
		h.Set(httpmsg.NameGRPCStatus, x.call.code.Text())
		message := x.callMessage()
		h.Set(httpmsg.NameGRPCMessage, grpc.AppendMessage(x.Req.Arena.Alloc(3 * len(message))[:0], message))
	}
	x.call.known = true
	h.Set(httpmsg.NameContentType, grpc.ReplyType(x.Req.Header.Get(httpmsg.NameContentType)))
	x.Resp.Status, x.Resp.Body, x.Resp.Length = 200, httpmsg.BodyNone, 0
}

// callMessage is what the reply says to people.
func (x *Exchange) callMessage() string {
	local := &x.Local
	switch {
	case local.Detail != "":
		return local.Detail
	case len(local.Body) > 0 && len(local.Body) <= maxMessage:
		return string(local.Body)
	}
	return httpmsg.StatusText(local.Status)
}

// localCode is the code for what the reply says.
func (x *Exchange) localCode() grpc.Code {
	if x.Local.Reason == filter.UpstreamReset && x.call.hasReset {
		return x.call.reset
	}
	return x.Local.Code()
}

// noteReset keeps what the endpoint's reset of the stream means.
func (x *Exchange) noteReset(err error) {
	var r *http2.ResetError
	if errors.As(err, &r) {
		x.call.reset, x.call.hasReset = grpc.OfReset(uint32(r.Code)), true
	}
}

// endCall ends a call whose response broke off, with a status in its trailer
// rather than a reset, which says less. It is false if that cannot be done.
func (x *Exchange) endCall(err error, overdue bool) bool {
	if x.Resp.Body == httpmsg.BodyLength || errors.Is(err, netx.ErrWatchGone) {
		return false // what is announced would be missing, or nobody is there
	}
	if !x.call.frames.Between() && x.breakCall(err, overdue) {
		return true
	}
	code, message := grpc.Unavailable, "the backend broke the response off"
	switch {
	case overdue:
		code, message = grpc.DeadlineExceeded, "the call took longer than it may"
	case netx.IsTimeout(err):
		message = "the backend was silent for too long"
	case errors.Is(err, filter.ErrDecompressionLimit):
		code, message = grpc.ResourceExhausted, "the response is over the limit once it is decoded"
	default:
		if x.noteReset(err); x.call.hasReset {
			code, message = x.call.reset, "the backend reset the stream"
		}
	}
	x.call.code, x.call.known = code, true
	t := &x.Resp.Trailer
	t.Reset()
	t.AddID(httpmsg.NameGRPCStatus, code.Text())
	t.AddID(httpmsg.NameGRPCMessage, grpc.AppendMessage(x.Req.Arena.Alloc(3 * len(message))[:0], message))
	return x.endResponse(t) == nil
}

// breakCall ends a call in the middle of a message by a reset, where one says as
// much as a status: clients that find a message cut short before they see the
// trailer may tell of that alone. What means something between two hops only, or
// would have the client send the call again, is not passed on.
func (x *Exchange) breakCall(err error, overdue bool) bool {
	down, ok := x.Down.(interface{ Reset(code uint32) })
	if !ok {
		return false
	}
	var r *http2.ResetError
	code := h2.InternalError
	switch {
	case overdue && x.call.by > 0 && x.deadline == x.call.by: // which the client knows
		code = h2.Cancel
		x.call.code = grpc.DeadlineExceeded
	case overdue || !errors.As(err, &r) || r.Code == h2.RefusedStream:
		return false
	default:
		if r.Code == h2.Cancel || r.Code == h2.EnhanceYourCalm || r.Code == h2.InadequateSecurity {
			code = r.Code
		}
		x.noteReset(err)
		x.call.code = x.call.reset
	}
	x.call.known, x.broken = true, true
	down.Reset(uint32(code))
	return true
}

// noteAnswer keeps the status that the endpoint has given, once all of its
// response is there, and makes it the try's outcome.
func (x *Exchange) noteAnswer(o *upstream.Outcome) {
	code, ok := x.answerOf(&x.Resp.Trailer)
	if !ok {
		code = grpc.Unknown // neither head nor trailer has one
	}
	x.call.code, x.call.known, x.call.answered = code, true, true
	x.rate(o, code)
}

// noteBroken keeps the status that the client was told when a translated
// response broke off.
func (x *Exchange) noteBroken() {
	if x.call.on {
		x.call.code, _ = grpc.ParseCode(x.Resp.Trailer.Get(httpmsg.NameGRPCStatus))
		x.call.known = true
	}
}

// answerOf is the status in the head of a response, or else in its trailer.
func (x *Exchange) answerOf(trailer *httpmsg.Header) (grpc.Code, bool) {
	v := x.Resp.Header.Get(httpmsg.NameGRPCStatus)
	if v == nil && trailer != nil {
		v = trailer.Get(httpmsg.NameGRPCStatus)
	}
	switch {
	case v != nil:
		code, _ := grpc.ParseCode(v)
		return code, true
	case x.Resp.Status != 200: // who answered does not speak gRPC
		return grpc.OfHTTP(x.Resp.Status), true
	}
	return grpc.Unknown, false
}

// rate makes a code that says that the endpoint failed count like the status of
// HTTP that says the same, unless all the client's time was used.
func (x *Exchange) rate(o *upstream.Outcome, code grpc.Code) {
	x.trace.answeredTry(o.Status, code)
	late := code == grpc.DeadlineExceeded && x.deadline > 0 && x.tick() >= x.deadline
	if code.Fault() && o.Status == 200 && !late {
		o.Status = code.HTTPStatus()
	}
}

// earlyAnswer is the status of a response of which nothing was passed on yet, if
// that is all there is of it. Where the request is over, it waits for a moment
// to see.
func (x *Exchange) earlyAnswer() (grpc.Code, bool) {
	if code, ok := x.answerOf(nil); ok {
		return code, true
	}
	if !x.pump.complete() || x.up.Conn() != nil || len(x.ResponseBodyFuncs()) > 0 {
		return 0, false
	}
	if !x.call.early.has {
		x.up.SetReadBy(earlier(x.deadline, x.tick()+int64(holdHead)))
		piece, err := x.up.ReadBody()
		if len(piece) == 0 && netx.IsTimeout(err) && (x.deadline == 0 || x.tick() < x.deadline) {
			return 0, false
		}
		x.call.early = early{has: true, piece: piece, err: err}
	}
	if len(x.call.early.piece) > 0 || x.call.early.err != io.EOF {
		return 0, false
	}
	return x.answerOf(&x.Resp.Trailer)
}

// readBody is the next piece of the response.
func (x *Exchange) readBody() ([]byte, error) {
	if e := &x.call.early; e.has {
		piece, err := e.piece, e.err
		*e = early{}
		return piece, err
	}
	if x.events != nil {
		return x.readEvents()
	}
	for {
		piece, err := x.up.ReadBody()
		if err == nil || err == io.EOF || !netx.IsTimeout(err) || !x.stillSpoken() {
			return piece, err
		}
	}
}

// wantsCall tells whether a call is to be tried again for the status that it
// would end with.
func (x *Exchange) wantsCall(r *ir.Retry, f failure) bool {
	if r.GRPCCodes == 0 || !x.mayResendBody(r) {
		return false
	}
	if !f.failed() {
		code, ok := x.earlyAnswer()
		return ok && r.GRPCCodes&(1<<code) != 0
	}
	switch f.reason {
	case filter.UpstreamTimeout:
		return r.GRPCCodes&(1<<grpc.DeadlineExceeded) != 0
	case filter.UpstreamConnectFailure, filter.UpstreamTLSFailure, filter.MeshTLSFailure, filter.UpstreamProtocolError:
		return r.GRPCCodes&(1<<grpc.Unavailable) != 0
	case filter.UpstreamReset:
		code := grpc.Unavailable
		var reset *http2.ResetError
		if errors.As(f.err, &reset) {
			code = grpc.OfReset(uint32(reset.Code))
		}
		return r.GRPCCodes&(1<<code) != 0
	}
	return false
}

// pushback is what the endpoint says of another try: the wait before it, if it
// says so, and ok is false if there is to be none.
func (x *Exchange) pushback(r *ir.Retry) (wait time.Duration, said, ok bool) {
	v := x.Resp.Header.GetName(grpc.RetryPushback)
	if v == nil {
		v = x.Resp.Trailer.GetName(grpc.RetryPushback)
	}
	if v == nil {
		return 0, false, true
	}
	most := maxPushback
	if r.RetryAfterMax > 0 {
		most = r.RetryAfterMax
	}
	wait, ok = grpc.ParsePushback(v)
	return wait, true, ok && wait <= most
}

// metricStatus is the status that the exchange counts as: that of HTTP, and for
// calls what comes nearest where the server is at fault.
func (x *Exchange) metricStatus() int {
	switch {
	case !x.call.on || x.status == 0:
		return x.status
	case x.Local.Status != 0 && !x.call.answered:
		return x.Local.Status
	case x.call.known && x.call.code.Fault() && x.status == 200:
		return x.call.code.HTTPStatus()
	}
	return x.status
}

// accountCall counts the call by its service, method and status. A method gets
// a series of its own if a route names it, or a schema has it, or once an endpoint
// has answered as one would that has it.
func (x *Exchange) accountCall() {
	if !x.call.known {
		x.call.code = grpc.Cancelled
		if !x.Flags.Has(filter.ClientGone) {
			x.call.code = grpc.Unknown
		}
		x.call.known = true
	}
	// What was transcoded has a method that the schema has.
	known := x.CallPath != nil || x.Match != nil && x.Match.GRPC != nil && x.Match.GRPC.Type == ir.Exact && x.Match.Path.Type == ir.Exact
	if !known && x.call.answered {
		switch x.call.code {
		case grpc.Unimplemented, grpc.Unauthenticated, grpc.PermissionDenied:
		default:
			known = true
		}
	}
	x.p.Metrics.Calls().Observe(x.call.service, x.call.method, x.call.code, known)
}
