package listen

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/downstream/http1"
	"github.com/gridway/gridway/internal/proxy/downstream/http2"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/limit/peer"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
	"github.com/gridway/gridway/internal/wire/tlsx"
)

// session is one connection, from its first byte to its end.
type session struct {
	l  *Listener
	nc *netx.Conn
	s  *snapshot.Listener // when it was accepted
	// http is nil until PROXY header and TLS handshake are over. It is set with
	// l.mu held, which others than the session's task need to look. Streams are
	// drivers too.
	http  driver
	host  http1.Host
	began time.Time
	// peer is who has come in by mutual TLS of the mesh; nil elsewhere.
	peer *tlsx.Guarded
	// place is that of the connection among those of its client.
	place peer.Place
	// over, if not nil, is told when the connection is.
	over func()
}

// driver serves a connection in its protocol.
type driver interface {
	// Serve handles what has come. It is true if the connection is idle, false
	// if it is over and closed.
	Serve(t *loop.Task) (idle bool)
	// EndIdle ends the connection as soon as it has nothing to do.
	EndIdle()
	// Kill closes it whatever it does, for a reason that the access log tells.
	Kill(why filter.Reason)
}

// Resume serves what has come. The loop calls it each time the connection was
// idle and has something to say, or is to end.
func (ss *session) Resume(t *loop.Task) (idle bool) {
	defer ss.contain()
	if ss.http == nil && !ss.begin(t) {
		ss.nc.Kill()
		ss.l.remove(ss)
		return false
	}
	for {
		if ss.http.Serve(t) {
			return true
		}
		if !ss.speaksHTTP2() && !ss.tunnel(t) {
			break
		}
	}
	if _, ok := ss.http.(*http1.Conn); ok { // others say so themselves
		ss.l.remove(ss)
	}
	return false
}

// speaksHTTP2 goes over to HTTP/2 if the client has begun with its preface, on a
// connection without TLS (RFC 9113 §3.3).
func (ss *session) speaksHTTP2() bool {
	first, ok := ss.http.(*http1.Conn)
	if !ok || !first.IsHTTP2() {
		return false
	}
	return ss.start(ss.http2(first.Early()))
}

func (ss *session) http2(early []byte) driver {
	o := http2.Options{Host: ss.host, Pipeline: ss.l.pipeline, Proxy: ss.l.connect, Early: early, Ended: func() { ss.l.remove(ss) }}
	if ss.peer != nil {
		o.Streams, o.Peer = ss.l.streams, ss.peer.Peer().ID
	}
	return http2.New(ss.nc, o)
}

// begin reads what comes before the first request.
func (ss *session) begin(t *loop.Task) bool {
	nc, client := ss.nc, &ss.s.IR.Client
	nc.Bind(t)
	if nc.Interrupted() && nc.Silent() { // a drain does not wait for who has said nothing
		return false
	}
	if client.ProxyProtocol != ir.ProxyProtocolOff {
		required := client.ProxyProtocol == ir.ProxyProtocolRequired
		if _, err := nc.ReadProxyHeader(required, client.ProxyProtocolFrom); err != nil {
			ss.s.Metrics.Rejected(metric.RejectProxyProtocol)
			ss.l.log.Debug("PROXY header refused", "listener", ss.l.name, "peer", nc.RemoteAddrPort(), "error", err)
			return false
		}
		if !ss.enter() {
			return false
		}
	}
	if ss.s.IR.Mesh {
		return ss.beginMesh()
	}
	o := ss.open(t)
	if !o.ok {
		return false
	}
	if !ss.proceed(o) {
		o.start.Abandon()
		return false
	}
	return true
}

// proceed gives the connection to the driver of what it speaks.
func (ss *session) proceed(o opened) bool {
	nc := ss.nc
	nc.SetWriteBy(0)
	if !o.http {
		o.start.Conn, o.start.Listener, o.start.Began = nc, ss.s, ss.began
		o.start.Closed = func() { ss.l.remove(ss) }
		return o.ok && ss.start(ss.l.streams.New(o.start))
	}
	if o.outlet != nil {
		ss.host = o.outlet
	}
	if o.secure && ss.s.Secure != ss.s {
		ss.host = secureSide{ss.l}
	}
	if state := nc.TLSState(); state != nil && state.NegotiatedProtocol == "h2" {
		return ss.start(ss.http2(nil))
	}
	return ss.start(http1.New(nc, ss.host, ss.l.pipeline, ss.s.Door))
}

// enter counts the connection for its client, as soon as that is known; it is false
// if it is one too many.
func (ss *session) enter() (ok bool) {
	ss.place, ok = ss.l.clients.Enter(ss.nc.RemoteAddrPort().Addr(), ss.began)
	if !ok {
		ss.s.Metrics.Rejected(metric.RejectClientLimit)
	}
	return ok
}

// start makes d the session's driver, unless the listener is closed.
func (ss *session) start(d driver) bool {
	ss.l.mu.Lock()
	defer ss.l.mu.Unlock()
	if ss.l.closed {
		ss.s.Metrics.Rejected(metric.RejectDraining)
		return false
	}
	ss.http = d
	if ss.l.ending {
		d.EndIdle()
	}
	return true
}

// handshake terminates TLS.
func (ss *session) handshake() bool {
	nc, config := ss.nc, ss.l.tls.Load()
	if config == nil { // the listener has another protocol by now
		return false
	}
	begun := time.Now()
	if err := nc.HandshakeServer(config, handshakeBy(&ss.s.IR.Client)); err != nil {
		ss.s.Metrics.HandshakeFailed(handshakeFailure(err))
		ss.l.refused(nc.RemoteAddrPort(), err)
		ss.l.log.Debug("TLS handshake failed", "listener", ss.l.name, "peer", nc.RemoteAddrPort(), "error", err)
		refusePlain(nc, err)
		return false
	}
	state := nc.TLSState()
	ss.s.Metrics.Handshake(state.Version, state.DidResume, time.Since(begun))
	if state.NegotiatedProtocol == tlsx.ChallengeProtocol {
		nc.SetDeadline(time.Now().Add(refusalTime))
		awaitEnd(nc) // a certificate authority has seen what it wanted
		return false
	}
	return true
}

// endIdle ends the session as soon as it waits for a request, also its first.
// The caller holds l.mu.
func (ss *session) endIdle() {
	if ss.http != nil {
		ss.http.EndIdle()
	} else {
		ss.nc.Interrupt()
	}
}

// leave tells an HTTP/2 client to open another connection for what comes next,
// which costs it nothing. The caller holds l.mu.
func (ss *session) leave() {
	if c, ok := ss.http.(*http2.Conn); ok {
		c.EndIdle()
	}
}

// kill closes the connection whatever it does.
func (ss *session) kill(why filter.Reason) {
	if ss.http != nil {
		ss.http.Kill(why)
	} else {
		ss.nc.Kill()
	}
}

// contain keeps a defect in the reading of requests to the connection that met it.
func (ss *session) contain() {
	if defect := recover(); defect != nil {
		ss.nc.Kill()
		ss.l.log.Error("a defect in Gridway ended a connection; please report it", "listener", ss.l.name,
			"panic", fmt.Sprint(defect), "stack", string(debug.Stack()))
		if c, ok := ss.http.(*http2.Conn); ok {
			c.Abandon() // its exchanges are still ending
			return
		}
		ss.l.remove(ss)
	}
}

// handshakeFailure sorts errors of crypto/tls for metrics. It has no exported
// type for a client's alerts and for a certificate that did not come.
func handshakeFailure(err error) metric.HandshakeFailure {
	var cert *tls.CertificateVerificationError
	var remote *net.OpError
	switch {
	case netx.IsTimeout(err):
		return metric.HandshakeTimeout
	case netx.IsGone(err):
		return metric.HandshakeClientGone
	case errors.As(err, &cert), err.Error() == "tls: client didn't provide a certificate",
		errors.As(err, &remote) && remote.Op == "remote error" && strings.Contains(remote.Err.Error(), "certificate"):
		return metric.HandshakeCertificate
	}
	return metric.HandshakeProtocol
}
