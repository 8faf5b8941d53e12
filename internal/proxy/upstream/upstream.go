// Package upstream is the running side of ir.Cluster: which endpoint serves an
// exchange, the connections to it, and what protects both sides from each other
// (health, outlier detection, circuit breakers, retry budgets).
//
//	err := c.Begin(now)                 // once per exchange; breaker
//	e, err := c.Pick(&q)                // once per try; counts it active
//	conn, reused, err := e.Connect(by)  // pooled or new
//	e.Put(conn) or e.Drop(conn)
//	c.Done(e, outcome)                  // ends the try
//	c.AllowRetry(), c.RetryDone()       // around each further try
//	c.End()
//
// A Set owns all goroutines: one keeper for timed work (idle connections, ends
// of ejections, slow start) and the active health checkers; Close waits for
// them. Everything on the request path runs on the caller's goroutine and, with
// a pooled connection, allocates nothing. Package pipeline, snapshot and
// internal/app import it; it never imports them.
package upstream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
	"github.com/gridway/gridway/internal/wire/tlsx"
)

// What the request path answers. Connect's errors are *ConnectError, or wrap
// ErrOverload.
var (
	// ErrNoHealthyEndpoint: the cluster has no endpoint that may be used.
	ErrNoHealthyEndpoint = errors.New("no healthy endpoint")
	// ErrOverload: a circuit breaker's limit on connections, pending exchanges or requests.
	ErrOverload = errors.New("overload")
	// ErrBreakerOpen: the failure-rate breaker is open.
	ErrBreakerOpen = errors.New("circuit breaker open")
)

// Options of a Set.
type Options struct {
	// Loops are what connections belong to; nil leaves them to the net package.
	Loops *loop.Group
	// Zone is the proxy's own.
	Zone string
	// Log gets changes of health and state; nil discards them.
	Log *slog.Logger
	// Metrics may be nil.
	Metrics Metrics
	// ClientTLS makes the TLS settings of clusters that have TLS; nil is
	// tlsx.ClientConfig.
	ClientTLS func(*ir.UpstreamTLS) (*tls.Config, error)
	// Identities and Guard are for endpoints of the mesh; without them none is reached.
	Identities tlsx.Identities
	Guard      *tlsx.Guard
	// Mark is the mark of sockets that are opened; 0 is none.
	Mark uint32
}

// Metrics gives each cluster its counters.
type Metrics interface {
	Cluster(name string) ClusterMetrics
}

// ClusterMetrics counts what happens to a cluster. Methods are called from many
// goroutines and must not block.
type ClusterMetrics interface {
	// Connected is told of each attempt at a new connection; err is nil, or says
	// why there is none.
	Connected(d time.Duration, err error)
	// Reused is told of each pooled connection that was handed out.
	Reused()
	// Count is told of what else happens.
	Count(Event)
}

// Event is something that metrics count.
type Event uint8

const (
	EventEjectedConsecutive5xx Event = iota
	EventEjectedGatewayErrors
	EventEjectedSuccessRate
	EventReturned
	EventCheckPassed
	EventCheckFailed
	EventUnhealthy
	EventHealthy
	EventBreakerOpened
	EventBreakerHalfOpen
	EventBreakerClosed
	EventOverloadRequests
	EventOverloadPending
	EventOverloadConnections // waited in vain for a connection
	EventOverloadRetries
	EventRetryDenied
	EventBreakerRejected
	EventEndpointsUpdated // by discovery
	eventCount
)

var eventNames = [eventCount]string{
	"ejected_consecutive_5xx", "ejected_gateway_errors", "ejected_success_rate", "returned",
	"check_passed", "check_failed", "unhealthy", "healthy",
	"breaker_opened", "breaker_half_open", "breaker_closed",
	"overload_requests", "overload_pending", "overload_connections", "overload_retries",
	"retry_denied", "breaker_rejected", "endpoints_updated",
}

// String is a metric label.
func (e Event) String() string { return eventNames[e] }

type noMetrics struct{}

func (noMetrics) Connected(time.Duration, error) {}
func (noMetrics) Reused()                        {}
func (noMetrics) Count(Event)                    {}

// Query is what a pick depends on.
type Query struct {
	// Hash is HashOf's; used by the hashing algorithms if HasHash.
	Hash    uint64
	HasHash bool
	// Sticky is the address of the session's endpoint, or empty.
	Sticky string
	// Avoid are endpoints that were tried before; they are picked only if there
	// is no other.
	Avoid []*Endpoint
	// Now is netx.Monotonic if the caller has it at hand; zero reads the clock if needed.
	Now int64
}

// OutcomeKind is how a try ended.
type OutcomeKind uint8

const (
	// OK: a response came, of any status.
	OK OutcomeKind = iota
	ConnectFailure
	TLSFailure
	// Reset: the connection broke before the response was complete.
	Reset
	// Timeout: no response in time.
	Timeout
	// Cancelled: the try was given up for reasons that say nothing about the
	// endpoint (client gone, hedge won by another).
	Cancelled
)

// String returns "ok", "connect-failure" and so on.
func (k OutcomeKind) String() string {
	return [...]string{"ok", "connect-failure", "tls-failure", "reset", "timeout", "cancelled"}[k]
}

// Outcome of a try.
type Outcome struct {
	Kind   OutcomeKind
	Status int
	// Latency runs from Pick to the response's header, or to the failure; of a
	// cancelled try, it is what the endpoint had without an answer, or zero.
	Latency time.Duration
	// Started is the monotonic time of Pick. A half-open breaker is not judged
	// by tries that began before it opened; without Started, it takes a try to
	// have begun Latency before Done, which is too late for long bodies.
	Started int64
	// Now is netx.Monotonic if the caller has it at hand.
	Now int64
}

// Ask says what connection is wanted.
type Ask struct {
	// By is the monotonic deadline; zero leaves it to the cluster's connect timeout.
	By int64
	// Checked looks at a pooled connection before it is handed out: one that
	// the endpoint has closed is not. It costs a system call, and is for
	// exchanges that cannot be tried again.
	Checked bool
	// Fresh never takes a pooled connection.
	Fresh bool
	// Source and Destination are the client's connection, for the PROXY protocol.
	Source, Destination netip.AddrPort
	// Now is netx.Monotonic if the caller has it at hand.
	Now int64
	// Gone is asked every 100 ms while the caller waits in line for a connection,
	// or for one to be made.
	Gone func() bool
	// Task is who waits, and what a connection to be made is bound to; nil is an
	// ordinary goroutine.
	Task *loop.Task
}

// ConnectError says why there is no connection. Kind is ConnectFailure,
// TLSFailure, Timeout when the caller's deadline passed first, or Cancelled when that
// says nothing of the endpoint.
type ConnectError struct {
	Address string
	Kind    OutcomeKind
	// Mesh: it is the mutual TLS of the mesh that has failed.
	Mesh bool
	// Denied: the endpoint's proxy does not let the caller in.
	Denied bool
	Err    error
}

func (e *ConnectError) Error() string {
	return fmt.Sprintf("connect to %s: %s: %v", e.Address, e.Kind, e.Err)
}

func (e *ConnectError) Unwrap() error { return e.Err }

func orNow(t int64) int64 {
	if t != 0 {
		return t
	}
	return netx.Monotonic()
}
