// Package admit lets proxies into a mesh: the control plane's end of the service
// gridway.mesh.v1.Join, whose protocol package join tells. It knows the join tokens of the
// state store, the service accounts of Kubernetes and the authority that signs.
//
// The package owns no goroutines but those of grpc-go. It may be imported by app; proxies
// never reach it, nor the state store behind it.
package admit

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/gridway/gridway/internal/mesh/identity"
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
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return nil, errors.New("joining needs TLS 1.3")
	}
	return &info.State, nil
}
