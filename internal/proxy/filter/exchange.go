// Package filter is what a filter sees of an exchange and what it may answer.
// Filters are built once per rule when a snapshot is built, are then shared by
// all exchanges, and keep their per-exchange state in the Exchange. The package
// owns no goroutines; every filter and the pipeline import it.
package filter

import (
	"crypto/tls"
	"io"
	"net/netip"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/callout"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Verdict is what a request filter decides.
type Verdict uint8

const (
	// Continue with the next phase.
	Continue Verdict = iota
	// Reply: the filter has called Answer or Fail; nothing is sent upstream.
	Reply
)

// RequestFilter acts on the request's head, before an endpoint is chosen.
type RequestFilter interface {
	OnRequest(x *Exchange) Verdict
}

// ResponseFilter acts on the response's head, whoever made the response.
type ResponseFilter interface {
	OnResponse(x *Exchange)
}

// Exchange is one request and its response on their way through the proxy. It
// is reused: a filter keeps nothing of it after the exchange has ended.
type Exchange struct {
	Req  httpmsg.Request
	Resp httpmsg.Response
	// Connection is nil for requests.
	Connection *Connection

	// What the router chose.
	Section *ir.Section
	Route   *ir.Route
	Rule    *ir.Rule
	Match   *ir.Match

	// Client is the caller's address after trusted hops were taken into account;
	// PeerAddr and LocalAddr are the connection's own.
	Client    netip.Addr
	PeerAddr  netip.AddrPort
	LocalAddr netip.AddrPort
	// TLS is nil on plain connections.
	TLS *tls.ConnectionState
	// ForwardedCert is X-Forwarded-Client-Cert as a proxy that the listener trusts by
	// its address has sent it; nil is that nobody has who may.
	ForwardedCert []byte
	// RequestID is the value of the request ID header, made or kept.
	RequestID []byte

	// Start is when the request's head was complete.
	Start time.Time
	// Flags gather what happened, for the access log.
	Flags Flags

	// Local is the reply that Gridway itself makes; Local.Status is zero while there is none.
	Local LocalReply

	// Wait blocks a filter for d; it is false when the exchange was cancelled
	// (client gone, deadline) before d was over. Set by the pipeline.
	Wait func(d time.Duration) bool

	// Detach must be called by a filter that is about to wait for anything but
	// Wait: others share its thread otherwise. Set by the pipeline.
	Detach func()

	// Call asks a server of the configuration. It waits on the exchange's own
	// thread, so that no Detach is needed. Set by the pipeline.
	Call func(q *callout.Call) error

	// HoldRequest reads the request's body until it ends or is longer than max, for a
	// guard; the endpoint gets all of it all the same. Whole: body is all there is. It
	// is not ok if the exchange cannot go on, which has its reply where there is one.
	// Set by the pipeline; nil where there are no bodies.
	HoldRequest func(max int) (body []byte, whole, ok bool)

	// Caller is who calls, as far as it is known.
	Caller Caller
	// Policy is the policy that the reply is due to, "namespace/name", and PolicyRule
	// the part of it that decided.
	Policy, PolicyRule string
	// PermittedBy is the AuthorizationPolicy that has let the request through, where one
	// must, and PermittedByRule its rule.
	PermittedBy, PermittedByRule string
	// Faults are what was wrong with the credentials of a request that was refused, in
	// the order of the policy's methods.
	Faults []Faulted
	fault  Fault
	// Notes are what policies have noted of the request.
	Notes []Noted

	// Kept is what filters remember from the request for the response.
	Kept Kept

	// Timeout is how long the exchange may take from Start, as a request filter
	// has read it from the request; zero is as long as the rule says.
	Timeout time.Duration
	// HoldResponse has a response of gRPC read whole, up to so many bytes, before
	// response filters see it; Held is its body then, and its trailer is there.
	HoldResponse int64
	Held         []byte
	// BrokenOff is why the response's body ended early, if a body function has told
	// the client so in its own way and returned io.EOF.
	BrokenOff error
	// Cause tells, of an error of a response's body, whether the time that the
	// exchange may take was over, or the client has gone. Set by the pipeline.
	Cause func(error) (late, gone bool)
	// Replier gives replies of the proxy the form that the client understands; nil
	// is that of HTTP. Translated is set with it where the request is a call of gRPC
	// now; CallPath is the method's path if the client asked for another one.
	Replier Replier
	// CallPathOf tells before that which path it will be; nil, or a nil path, is the
	// request's own.
	Translated bool
	CallPath   []byte
	CallPathOf func(*Exchange) []byte

	// Limits is what rate limits have said about the request; LimitsRefused that one
	// of them has refused it.
	Limits        []Counted
	LimitsRefused bool
	// PaceRequest and PaceResponse slow bodies down; nil lets them pass. That of the
	// request may be called beside the exchange's own task.
	PaceRequest, PaceResponse Pacer
	// Passed is called when a response has passed, or broken off, while its trailer
	// is there; it may be nil.
	Passed func(*Exchange)

	replacement []byte
	replaced    bool

	requestBody, responseBody []BodyFunc
	withheld                  [][]byte
	after                     []func(*Exchange)
}

// Kept is per-exchange state of filters. Its slices live as long as the exchange.
type Kept struct {
	// Origin is the Origin header of a request whose origin CORS allows, as the
	// client sent it; header modifiers may have changed it since.
	Origin []byte
	// Coding is the content coding that the response may be given, as the
	// compress filter numbers them; zero is none. IdentityRefused says that the
	// client wants no response without one.
	Coding          uint8
	IdentityRefused bool
	// Session is the endpoint that a valid session token named, or empty, and
	// SessionBegan when that session began, in Unix seconds.
	Session      string
	SessionBegan int64
	// Bridge is what the client speaks instead of gRPC, as the bridge filter
	// numbers it; zero is nothing. Codec is the name of its messages' encoding.
	Bridge uint8
	Codec  []byte
	// Cookies are values of Set-Cookie that the response gets; AccessToken and IDToken
	// are those of a session, for endpoints.
	Cookies              [][]byte
	AccessToken, IDToken string
	// Recoding makes the client's form of an answer's messages, nil if they have it.
	Recoding ResponseFilter
	// Limited are what stores of rate limits want the response to have.
	Limited []ResponseFilter
	// Admitted give the response what those who let the request through have said.
	Admitted []ResponseFilter
}

// Recognizer sets the Replier of a request by what its head says, before request
// filters run, and changes nothing else.
type Recognizer interface {
	Recognize(x *Exchange)
}

// Replier makes replies for clients of a protocol above HTTP.
type Replier interface {
	// Reply sets status and content type of the response and returns its body.
	Reply(x *Exchange, code grpc.Code, message string) (body []byte)
}

// BodyFunc wraps a body with one that reads from it. The pipeline closes what
// it returns if that is an io.Closer. Read must return what is there rather
// than wait for more, so that streams flow.
type BodyFunc func(io.Reader) io.Reader

// LocalReply is a reply made here.
type LocalReply struct {
	Status int
	// Reason goes to X-Gridway-Reason, the access log and metrics; ReasonNone
	// for replies that are configured (direct response, redirect, preflight).
	Reason Reason
	// Detail is for people, in the problem document's "detail".
	Detail string
	// Body is sent as it is, with ContentType; without a Body a Reason makes a
	// problem document (RFC 9457), or a gRPC status for a gRPC request.
	Body        []byte
	ContentType string
}

// Answer sets a configured reply. Headers that a request filter adds to
// Resp.Header before it answers are part of it.
func (x *Exchange) Answer(status int, contentType string, body []byte) Verdict {
	x.Local = LocalReply{Status: status, ContentType: contentType, Body: body}
	return Reply
}

// Fail sets an error reply. Detail must not repeat what the client sent.
func (x *Exchange) Fail(status int, reason Reason, detail string) Verdict {
	x.Local = LocalReply{Status: status, Reason: reason, Detail: detail}
	x.Flags |= reason.Flag()
	return Reply
}

// WrapRequestBody and WrapResponseBody put a transformation around a body. The
// caller has set the framing and headers to what comes out of it.
func (x *Exchange) WrapRequestBody(f BodyFunc)  { x.requestBody = append(x.requestBody, f) }
func (x *Exchange) WrapResponseBody(f BodyFunc) { x.responseBody = append(x.responseBody, f) }

// ReplaceResponse makes body the whole of a response of which nothing is left to
// be read: one that was held, or that had no body.
func (x *Exchange) ReplaceResponse(body []byte) {
	x.replacement, x.replaced = body, true
	x.Resp.Body, x.Resp.Length = httpmsg.BodyLength, int64(len(body))
}

// Replacement is what ReplaceResponse was given, for the pipeline.
func (x *Exchange) Replacement() (body []byte, ok bool) { return x.replacement, x.replaced }

// RequestBodyFuncs and ResponseBodyFuncs are for the pipeline.
func (x *Exchange) RequestBodyFuncs() []BodyFunc  { return x.requestBody }
func (x *Exchange) ResponseBodyFuncs() []BodyFunc { return x.responseBody }

// After runs f when the exchange has ended, however it ended.
func (x *Exchange) After(f func(*Exchange)) { x.after = append(x.after, f) }

// End runs and forgets what After was given. The pipeline calls it once.
func (x *Exchange) End() {
	for i, f := range x.after {
		f(x)
		x.after[i] = nil
	}
	x.after = x.after[:0]
}

// Reset makes the exchange ready for the next request of its connection. What
// belongs to the connection (PeerAddr, LocalAddr, TLS, Wait, Detach, Call, HoldRequest) stays.
func (x *Exchange) Reset() {
	x.Section, x.Route, x.Rule, x.Match = nil, nil, nil, nil
	x.Client = netip.Addr{}
	x.RequestID, x.ForwardedCert = nil, nil
	x.Flags = 0
	x.Local = LocalReply{}
	x.Kept = Kept{}
	x.Caller, x.Policy, x.PolicyRule = Caller{}, "", ""
	x.PermittedBy, x.PermittedByRule = "", ""
	x.Notes, x.Faults, x.fault = x.Notes[:0], x.Faults[:0], FaultNone
	x.Timeout, x.HoldResponse, x.Held, x.Replier = 0, 0, nil, nil
	x.Translated, x.CallPath, x.CallPathOf = false, nil, nil
	x.replacement, x.replaced, x.BrokenOff = nil, false, nil
	x.Limits, x.LimitsRefused = x.Limits[:0], false
	x.PaceRequest, x.PaceResponse, x.Passed = nil, nil, nil
	clear(x.requestBody)
	clear(x.responseBody)
	x.requestBody, x.responseBody = x.requestBody[:0], x.responseBody[:0]
	clear(x.withheld)
	x.withheld = x.withheld[:0]
}
