package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream/http2"
	"github.com/gridway/gridway/internal/wire/netx"
	"github.com/gridway/gridway/internal/wire/tlsx"
)

// meshPeer is what makes an endpoint one of the mesh.
type meshPeer struct {
	// identity is the SPIFFE ID that it must prove, serverName what is asked of it.
	identity, serverName string
}

func meshPeerOf(spec *ir.Endpoint) meshPeer {
	if spec.Identity == "" {
		return meshPeer{}
	}
	return meshPeer{spec.Identity, spec.ServerName}
}

// InMesh tells whether the endpoint is one of the mesh, which is spoken to with
// mutual TLS and HTTP/2.
func (e *Endpoint) InMesh() bool { return e.mesh.identity != "" }

// InMesh tells whether the cluster's endpoints are of the mesh. They are alike: one is asked.
func (c *Cluster) InMesh() bool {
	all := c.view.Load().endpoints
	return len(all) > 0 && all[0].InMesh()
}

// Identity is the SPIFFE ID that the endpoint must prove; empty for one that is not
// in the mesh.
func (e *Endpoint) Identity() string { return e.mesh.identity }

// nameOf tells the endpoints of a cluster apart: several of the mesh may share an
// address, that of the proxy of their host.
func nameOf(spec *ir.Endpoint) string {
	if spec.Identity == "" || spec.ServerName == "" {
		return spec.Address
	}
	return spec.Address + "/" + spec.ServerName
}

// is tells whether spec is about this endpoint, so that its connections serve it.
func (e *Endpoint) is(spec *ir.Endpoint) bool {
	return e.address == spec.Address && e.mesh == meshPeerOf(spec)
}

// meshTLS is for one handshake with the endpoint. Its own SVID and the trust bundles
// are those of that moment.
func (e *Endpoint) meshTLS() (*tls.Config, error) {
	ids := e.cluster.set.opts.Identities
	if ids == nil {
		return nil, tlsx.ErrNoIdentity
	}
	return tlsx.MeshClient(ids, e.cluster.cfg.Load().Identity, e.mesh.identity, e.mesh.serverName), nil
}

// dialMesh makes a connection for HTTP/2 to an endpoint of the mesh, with the guard
// that cuts it when the endpoint is denied.
func (e *Endpoint) dialMesh(a *Ask, by int64) (*netx.Conn, *tlsx.Guarded, error) {
	fail := func(err error) error { return e.meshFailure(TLSFailure, err) }
	config, err := e.meshTLS()
	if err != nil {
		return nil, nil, fail(err)
	}
	guard := e.cluster.set.opts.Guard
	denials := guard.Denials()
	nc, err := e.dialTo(context.Background(), e.address, config, a, by)
	if err != nil {
		if failed := (*ConnectError)(nil); errors.As(err, &failed) && failed.Kind == TLSFailure {
			err = fail(failed.Err)
		}
		return nil, nil, err
	}
	guarded, err := guard.Add(nc.TLSState(), denials, nc.Kill)
	if err != nil {
		_ = nc.Abort()
		return nil, nil, fail(err)
	}
	return nc, guarded, nil
}

// welcomed tells whether the endpoint has let this proxy in: in TLS 1.3 it verifies
// the client after that has sent its first request.
func (e *Endpoint) welcomed(conn *http2.Conn) error {
	err := conn.Err()
	if err == nil || !e.InMesh() {
		return nil
	}
	if RefusesCertificate(err) {
		return &endedError{e.meshFailure(TLSFailure, fmt.Errorf("it does not accept this proxy's identity: %w", err))}
	}
	return &endedError{e.meshFailure(ConnectFailure, err)}
}

// meshFailure says with whom there is no connection, and tells the log of what may be
// an attack.
func (e *Endpoint) meshFailure(kind OutcomeKind, err error) *ConnectError {
	failed := &ConnectError{
		Address: e.address, Kind: kind, Mesh: kind == TLSFailure,
		Err: fmt.Errorf("mutual TLS with %s as %q: %w", e.mesh.identity, e.mesh.serverName, err),
	}
	if failed.Mesh {
		s := e.cluster.set
		s.refused.Warn(s.log, "no mutual TLS with an endpoint", "cluster", e.cluster.Name(), "endpoint", e.name, "identity", e.mesh.identity, "error", err)
	}
	return failed
}

// endedError is of a connection that was counted as one that there is, and has ended.
type endedError struct{ *ConnectError }

func (e *endedError) Unwrap() error { return e.ConnectError }
