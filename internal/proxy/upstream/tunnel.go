package upstream

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/gridway/gridway/internal/proxy/websocket"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/netx"
)

// Tunnel is a stream of bytes to the application behind an endpoint of the mesh: a
// CONNECT (RFC 9113 §8.5) on a connection to its proxy that others share, as HBONE
// has it.
type Tunnel struct {
	websocket.Side
	e    *Endpoint
	s    Stream
	req  httpmsg.Request
	resp httpmsg.Response
}

var methodConnect = []byte("CONNECT")

// maxTunnelAgain is how often an endpoint may say that it did nothing with a CONNECT,
// or close the connection that it comes on, before that counts as its failure.
const maxTunnelAgain = 3

// OpenTunnel opens a tunnel, on behalf of the client that a names as Source. Close must
// follow.
func (e *Endpoint) OpenTunnel(a *Ask) (*Tunnel, error) {
	t := &Tunnel{e: e}
	r := &t.req
	r.Method, r.MethodID, r.Version = methodConnect, httpmsg.MethodConnect, httpmsg.HTTP2
	r.Body, r.Length = httpmsg.BodyChunked, -1
	r.Host = []byte(e.authority())
	if a.Source.IsValid() {
		r.Header.AddID(httpmsg.NameForwarded, appendForwarded(nil, a.Source))
	}
	by := a.By
	if by == 0 {
		by = orNow(a.Now) + int64(e.cluster.connectTimeout())
	}
	for again := 0; ; again++ {
		s, reused, err := e.openShared(a)
		if err != nil {
			return nil, err
		}
		t.s = s
		if err = t.ask(by); err == nil {
			t.Side = s.Tunnel()
			return t, nil
		}
		retry := again < maxTunnelAgain && (s.Unprocessed() || reused && !s.Received()) && netx.Monotonic() < by
		e.Close(s, false, netx.Monotonic())
		if !retry {
			return nil, err
		}
	}
}

// ask sends the CONNECT and waits for the answer to it.
func (t *Tunnel) ask(by int64) error {
	fail := func(kind OutcomeKind, err error) error {
		if netx.IsTimeout(err) {
			kind = Timeout
		}
		return &ConnectError{Address: t.e.address, Kind: kind, Err: fmt.Errorf("tunnel to %s: %w", t.e.mesh.serverName, err)}
	}
	t.s.SetReadBy(by)
	t.s.SetWriteBy(by)
	if err := t.s.Send(&t.req, nil, false); err != nil {
		return fail(ConnectFailure, err)
	}
	for {
		if err := t.s.ReadHead(&t.resp); err != nil {
			return fail(ConnectFailure, err)
		}
		switch status := t.resp.Status; {
		case status/100 == 2:
			return nil
		case status >= 200:
			failed := &ConnectError{Address: t.e.address, Kind: ConnectFailure, Denied: status == 403, Err: fmt.Errorf("tunnel to %s: its proxy has answered %d %s", t.e.mesh.serverName, status, t.resp.Header.GetName(reasonHeader))}
			if failed.Denied { // of which the endpoint is none the worse for others
				failed.Kind = Cancelled
			}
			return failed
		}
	}
}

var reasonHeader = []byte("X-Gridway-Reason")

// Identity is who the endpoint's proxy is.
func (t *Tunnel) Identity() string { return t.e.mesh.identity }

// Close gives the tunnel's place on the connection back. What it has not sent or
// received by then is cancelled.
func (t *Tunnel) Close() { t.e.Close(t.s, true, netx.Monotonic()) }

// authority is where the tunnel leads as HBONE says it: the address of the workload
// with the port of its application, with which the server name begins. Proxies of
// Gridway go by the server name.
func (e *Endpoint) authority() string {
	host, port, err := net.SplitHostPort(e.address)
	if err != nil {
		return "localhost:1" // a Unix socket
	}
	first, _, _ := strings.Cut(e.mesh.serverName, ".")
	if n, err := strconv.ParseUint(first, 10, 16); err == nil && n > 0 {
		port = first
	}
	return net.JoinHostPort(host, port)
}

// appendForwarded appends a Forwarded element (RFC 7239 §4) that names a client with
// its port.
func appendForwarded(b []byte, source netip.AddrPort) []byte {
	return append(source.AppendTo(append(b, `for="`...)), '"')
}
