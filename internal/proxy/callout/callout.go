// Package callout is a question to a server of the configuration about a request
// on its way: whether it may go on, who sends it, how much of it there may be.
// Filters make a Call and hand it to the exchange (filter.Exchange.Call), which
// has the endpoints of a cluster answer it: balancing, TLS, health, outlier
// detection and circuit breakers are the cluster's. What a call may take is bounded
// in time and bytes. It owns no goroutines; filters, upstream and the pipeline
// import it.
//
// Each request may bring a question, so the memory of calls is used again: New and
// Release.
package callout

import (
	"errors"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Call is one question with its answer. One that New has made is given back by Release.
type Call struct {
	// Purpose says what for, in metrics and spans.
	Purpose Purpose
	// Cluster is the name of the cluster whose endpoints are asked.
	Cluster string
	// Request is the head of the question: Method, Path, Query and Header, and Host
	// unless the cluster or the endpoint is to name it. Its framing is that of Body.
	Request httpmsg.Request
	Body    []byte
	// Timeout bounds the call, from the wait for a connection to the end of the answer.
	Timeout time.Duration
	// MaxAnswer bounds the answer's body in bytes.
	MaxAnswer int
	// Shared: others wait for the answer, too, so that the call goes on when the
	// client has gone.
	Shared bool
	// GRPC: the answer's status is that of gRPC, which endpoints are judged by.
	GRPC bool

	// Response is the head of the answer, and its trailer, and Answer its body: they
	// are the Call's own.
	Response httpmsg.Response
	Answer   []byte
	// Endpoint is the address of the one that was asked last, empty for none.
	Endpoint string
}

// Purpose is what a server is asked for.
type Purpose uint8

const (
	// ExternalAuthorization is Envoy's ext_authz, by gRPC or HTTP.
	ExternalAuthorization Purpose = iota
	// Introspection is of tokens (RFC 7662).
	Introspection
	// RateLimit is Envoy's rate limit service.
	RateLimit
	purposes
)

var purposeNames = [purposes]string{"external-authorization", "introspection", "rate-limit"}

func (p Purpose) String() string { return purposeNames[p] }

// PurposeNames lists the names of purposes by number, for metrics.
func PurposeNames() []string { return purposeNames[:] }

var calls = sync.Pool{New: func() any { return new(Call) }}

// New is a Call that says nothing yet, in memory that another one may have had.
func New() *Call { return calls.Get().(*Call) }

// maxKept bounds, in bytes, what an idle Call holds on to of its Answer.
const maxKept = 16 << 10

// Release ends the use of the Call and of all that it refers to: what is kept of the
// answer is copied before.
func (c *Call) Release() {
	c.Request.Reset()
	c.Response.Reset()
	answer := c.Answer[:0]
	if cap(answer) > maxKept {
		answer = nil
	}
	*c = Call{Request: c.Request, Response: c.Response, Answer: answer}
	calls.Put(c)
}

// Kind is why there is no answer.
type Kind uint8

const (
	// NoServer: there is no such cluster, or none of its endpoints can be used.
	NoServer Kind = iota
	// Overload: as much is under way as the cluster's circuit breaker allows.
	Overload
	// BreakerOpen: the endpoints have failed too often.
	BreakerOpen
	// ConnectFailure: no connection, for reasons of TLS too.
	ConnectFailure
	// Timeout: no answer in time.
	Timeout
	// Reset: the connection broke before the answer was complete.
	Reset
	// Protocol: the answer is not what the protocol says.
	Protocol
	// TooLarge: the answer is longer than may be.
	TooLarge
	// Gone: the client has gone, and nobody waits for the answer any more.
	Gone
	kinds
)

var kindNames = [kinds]string{
	"no-server", "overload", "breaker-open", "connect-failure", "timeout", "reset", "protocol", "too-large", "gone",
}

// ResultNames lists what may become of a call, for metrics: by Result.
func ResultNames() []string { return append([]string{"ok"}, kindNames[:]...) }

// KindOf is why there is no answer, by an error of a call.
func KindOf(err error) Kind {
	if failed, is := errors.AsType[*Error](err); is {
		return failed.Kind
	}
	return Protocol
}

// Result is the number of what became of a call: 0 where there was an answer.
func Result(err error) int {
	if err == nil {
		return 0
	}
	return 1 + int(KindOf(err))
}

// String is a label of metrics and logs.
func (k Kind) String() string { return kindNames[k] }

// ErrImagined is why there is no answer about a request that nobody has sent: no
// server is asked about it.
var ErrImagined = errors.New("no server is asked about imagined requests")

// Error says why there is no answer.
type Error struct {
	Kind Kind
	Err  error
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Kind.String()
	}
	return e.Kind.String() + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }
