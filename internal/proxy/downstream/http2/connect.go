package http2

import (
	"crypto/tls"
	"net/netip"
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	l4 "github.com/gridway/gridway/internal/proxy/stream"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// isTunnel tells whether the request is a CONNECT (RFC 9113 §8.5) to a service of the
// mesh that takes streams. To others it is a method that is not allowed.
func (s *stream) isTunnel() bool {
	r, lst := &s.x.Req, s.x.Listener
	return r.MethodID == httpmsg.MethodConnect && len(r.Upgrade) == 0 && s.bad == nil &&
		lst.IR.Mesh && lst.Doors.Plain != nil && s.c.streams != nil
}

// connect carries a tunnel to its end. What it leads to the server name has said; the
// authority is for other proxies that speak HBONE.
func (s *stream) connect() {
	lst := s.x.Listener
	start := l4.Start{
		Tunnel: &connected{tunnel: (*tunnel)(s)}, Listener: lst, Began: time.Now(),
		Protocol: "TCP", Reason: filter.RouteNotFound, Closed: func() {},
		Route: lst.Doors.Plain.Route(""), Section: lst.Doors.Plain.IR,
	}
	if s.x.TLS != nil {
		start.ServerName = s.x.TLS.ServerName
	}
	s.c.streams.New(start).Serve(s.task)
}

// connected is a stream that was opened by CONNECT.
type connected struct{ *tunnel }

// Accept implements stream.Tunnel, as do the methods that follow.
func (c *connected) Accept() error {
	s := c.stream()
	r := &s.x.Resp
	r.Status, r.Body, r.Length = 200, httpmsg.BodyChunked, -1
	if err := s.WriteHead(r); err != nil {
		return err
	}
	if err := s.Flush(); err != nil {
		return err
	}
	s.Tunnel()
	return nil
}

var (
	serverName = []byte("gridway")
	reasonName = []byte("X-Gridway-Reason")
)

func (c *connected) Refuse(why filter.Reason) {
	s := c.stream()
	r := &s.x.Resp
	r.Status, r.Body, r.Length = refusalStatus(why), httpmsg.BodyNone, 0
	r.Header.AddID(httpmsg.NameServer, serverName)
	r.Header.Add(reasonName, []byte(why.String()))
	if s.WriteHead(r) == nil {
		_ = s.Flush()
	}
}

// refusalStatus is what a proxy is told that asks for a tunnel.
func refusalStatus(why filter.Reason) int {
	switch why {
	case filter.AddressDenied, filter.AccessDenied:
		return 403
	case filter.RouteNotFound:
		return 404
	case filter.UpstreamTimeout:
		return 504
	case filter.UpstreamConnectFailure, filter.UpstreamTLSFailure, filter.MeshTLSFailure:
		return 502
	}
	return 503
}

func (c *connected) Gone() bool         { return c.gone.Load() }
func (c *connected) Why() filter.Reason { return c.stream().Cut() }

func (c *connected) Peer() (netip.AddrPort, string) { return c.x.PeerAddr, c.c.peer }
func (c *connected) Source() netip.AddrPort {
	return l4.ParseSource(c.x.Req.Header.Get(httpmsg.NameForwarded))
}
func (c *connected) TLSState() *tls.ConnectionState { return c.x.TLS }

var _ l4.Tunnel = (*connected)(nil)
