package metric

import (
	"crypto/tls"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// Listener counts the connections of one listener, and the exchanges that did
// not get as far as a rule.
type Listener struct {
	life
	beyond    *Listener
	red       red
	handshake histogram
	events    events
	name      string
	resets    resets
	resets3   [len(resetSides)][len(http3Codes)]atomic.Uint64

	unrouted [maxReasons]atomic.Uint64 // streams

	mu sync.Mutex // guards the maps
	// protocol counts malformed requests by the parser's code.
	protocol map[string]uint64
	// goAways counts ends of HTTP/2 connections by reason.
	goAways map[string]uint64
	// goAways3 counts those of HTTP/3.
	goAways3 map[string]uint64
}

// maxProtocolCodes bounds the codes that are told apart; the rest are "other".
const maxProtocolCodes = 64

func newListener(r *Registry, name string) *Listener {
	h := &Listener{beyond: r.beyond.listener, name: name, protocol: map[string]uint64{}, goAways: map[string]uint64{}, goAways3: map[string]uint64{}}
	h.begin(r, &r.kinds.listener)
	h.red.cells.stripes, h.red.native = r.stripes, r.opt.Native
	h.handshake.cells.stripes, h.handshake.native = r.stripes, r.opt.Native
	h.events.cells.stripes = r.stripes
	return h
}

// self is what counts: the handle, or the overflow's.
func (h *Listener) self() *Listener {
	if h.place.own() {
		return h
	}
	return h.beyond
}

const (
	eventAccepted = iota
	eventClosed
	eventAcceptError
	eventRejected  // + RejectReason
	eventTLS       = eventRejected + int(rejectReasons)
	eventTLSFailed = eventTLS + len(tlsVersions)
	eventResumed   = eventTLSFailed + int(handshakeFailures)
	eventHTTP2     = eventResumed + 1
	eventHTTP3     = eventHTTP2 + int(http2Events)
	listenerEvents = eventHTTP3 + int(http3Events)
)

var _ [maxEvents - listenerEvents]struct{}

// RejectReason is why a connection was closed before its first request.
type RejectReason uint8

const (
	RejectConnectionLimit RejectReason = iota
	RejectDraining
	RejectProxyProtocol
	RejectClientLimit
	rejectReasons
)

var rejectNames = [rejectReasons]string{"connection_limit", "draining", "proxy_protocol", "client_limit"}

// HandshakeFailure is why a TLS handshake failed.
type HandshakeFailure uint8

const (
	HandshakeTimeout HandshakeFailure = iota
	HandshakeClientGone
	HandshakeCertificate // the client's certificate was missing or refused
	HandshakeProtocol    // no common version, cipher or protocol; malformed
	handshakeFailures
)

var handshakeFailureNames = [handshakeFailures]string{"timeout", "client_gone", "certificate", "protocol"}

var tlsVersions = [...]string{"1.2", "1.3", "other"}

// Observe records an exchange that reached no rule: malformed, refused, or not
// routed. Those with a rule are counted there.
func (h *Listener) Observe(status int, d time.Duration, in, out int64, flags uint64) {
	h.self().red.observe(status, d, in, out, flags)
}

// Accepted and Closed bracket the life of a connection.
func (h *Listener) Accepted() { h.self().events.add(eventAccepted) }
func (h *Listener) Closed()   { h.self().events.add(eventClosed) }

// Unrouted counts a stream that reached no route, by what is in flags.
func (h *Listener) Unrouted(flags uint64) {
	h = h.self()
	for ; flags != 0; flags &= flags - 1 {
		h.unrouted[bits.TrailingZeros64(flags)].Add(1)
	}
}

// AcceptError counts a failed accept, such as for want of descriptors.
func (h *Listener) AcceptError() { h.self().events.add(eventAcceptError) }

// Rejected counts an accepted connection that was closed at once.
func (h *Listener) Rejected(why RejectReason) { h.self().events.add(eventRejected + int(why)) }

// Handshake records a TLS handshake: its version (as in crypto/tls), whether it
// resumed a session, and how long it took.
func (h *Listener) Handshake(version uint16, resumed bool, d time.Duration) {
	h = h.self()
	h.handshake.observe(d)
	i := 2
	switch version {
	case tls.VersionTLS12:
		i = 0
	case tls.VersionTLS13:
		i = 1
	}
	h.events.add(eventTLS + i)
	if resumed {
		h.events.add(eventResumed)
	}
}

// HandshakeFailed counts a TLS handshake that failed.
func (h *Listener) HandshakeFailed(why HandshakeFailure) {
	h.self().events.add(eventTLSFailed + int(why))
}

// ProtocolError counts a request that the parser refused. Code must be one of
// the parser's own, never text from the client.
func (h *Listener) ProtocolError(code string) {
	h = h.self()
	h.count(h.protocol, code)
}

// count adds one to a name's count, "other" if there are too many names.
func (h *Listener) count(m map[string]uint64, name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := m[name]; !ok && len(m) >= maxProtocolCodes {
		name = "other"
	}
	m[name]++
}
