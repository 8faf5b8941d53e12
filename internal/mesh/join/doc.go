// Package join lets proxies into a mesh and keeps them there: both ends of the service
// gridway.mesh.v1.Join, by which a proxy gets its first SVID, the next ones, and JWT-SVIDs
// for its workload.
//
// A new machine has a token and an address, and no certificate to verify the control plane
// by. It connects without verifying, and the control plane proves by an HMAC under a key
// from the token that the trust bundle it shows is its own and that the connection is this
// one: the TLS exporter (RFC 9266) is in the HMAC, so that whoever sits between and speaks
// TLS to both has two connections with two exporters, and can pass on neither proof. Then
// the proxy verifies the certificate of the connection by that bundle, and only then proves
// the token itself, over its signing request. Nothing is copied to a machine beforehand but
// the token, and nobody who listens learns anything of it.
//
// The package owns no goroutines but those of grpc-go. It may be imported by app and cli.
package join

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/gridway/gridway/internal/mesh/identity"
)

// exporterLabel is that of the channel binding "tls-exporter" (RFC 9266 §2), of 32 bytes.
const (
	exporterLabel = "EXPORTER-Channel-Binding"
	exporterSize  = 32
)

// Identities are what a control plane shows and verifies by; identity.Keyring is them.
type Identities interface {
	Certificate(id string) (*tls.Certificate, error)
	VerifyPeer(chain []*x509.Certificate) (id string, err error)
}

// ServerTLS is for a control plane's listener: TLS 1.3 with its own SVID; who shows one
// must show one that is trusted, and who joins has none to show.
func ServerTLS(ids Identities) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		NextProtos:     []string{"h2"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return ids.Certificate("") },
		ClientAuth:     tls.RequestClientCert,
		// A resumed session would carry on what was verified when it began.
		SessionTicketsDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return nil
			}
			_, err := ids.VerifyPeer(s.PeerCertificates)
			return err
		},
	}
}

// ErrNoSVID: who calls has shown no SVID.
var ErrNoSVID = errors.New("an SVID is needed, and none was shown")

// PeerID verifies, at this moment, who is at the other end of the connection of a call.
func PeerID(ctx context.Context, ids Identities) (identity.ID, error) {
	state, err := connection(ctx)
	if err != nil {
		return identity.ID{}, err
	}
	if len(state.PeerCertificates) == 0 {
		return identity.ID{}, ErrNoSVID
	}
	text, err := ids.VerifyPeer(state.PeerCertificates)
	if err != nil {
		return identity.ID{}, err
	}
	return identity.Parse(text)
}

func connection(ctx context.Context) (*tls.ConnectionState, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, errors.New("a call without a connection")
	}
	return stateOf(p)
}

func stateOf(p *peer.Peer) (*tls.ConnectionState, error) {
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || info.State.Version < tls.VersionTLS13 {
		return nil, errors.New("joining needs TLS 1.3")
	}
	return &info.State, nil
}

func exporter(s *tls.ConnectionState) ([]byte, error) {
	return s.ExportKeyingMaterial(exporterLabel, nil, exporterSize)
}

// requestText is what a proof by a proxy is over.
func requestText(namespace, service, node string, csr []byte) []byte {
	var out []byte
	for _, part := range []string{namespace, service, node, string(csr)} {
		n := len(part)
		out = append(out, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
		out = append(out, part...)
	}
	return out
}
