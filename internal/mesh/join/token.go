package join

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/jointoken"
	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// byToken joins by a token. Where the trust bundle has changed between question and answer,
// or the connection has, it asks once more.
func (c *Client) byToken(ctx context.Context, at meshpb.JoinClient) error {
	err := c.proveToken(ctx, at)
	if status.Code(err) == codes.Unauthenticated {
		err = c.proveToken(ctx, at)
	}
	return err
}

// proveToken is the protocol that the package's comment tells.
func (c *Client) proveToken(ctx context.Context, at meshpb.JoinClient) error {
	nonce := make([]byte, jointoken.NonceSize)
	_, _ = rand.Read(nonce) // which never fails
	var who peer.Peer
	answer, err := at.Challenge(ctx, &meshpb.ChallengeRequest{TokenId: c.token.ID(), Nonce: nonce}, grpc.Peer(&who))
	if err != nil {
		return err
	}
	info, ok := who.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return errors.New("joining needs TLS 1.3")
	}
	binding, err := jointoken.Binding(&info.State)
	if err != nil {
		return err
	}
	x := &jointoken.Transcript{
		TokenID: c.token.ID(), ClientNonce: nonce, ServerNonce: answer.GetNonce(), TrustDomain: answer.GetTrustDomain(), Bundle: answer.GetBundle(), Exporter: binding,
	}
	if len(answer.GetNonce()) != jointoken.NonceSize || !jointoken.Equal(c.token.AuthorityProof(x), answer.GetProof()) {
		return ErrImpostor
	}
	bundle, err := c.authority(answer, info.State.PeerCertificates)
	if err != nil {
		return err
	}
	key, err := c.firstKey()
	if err != nil {
		return err
	}
	id := c.id(bundle.TrustDomain())
	csr, err := identity.Request(id, key)
	if err != nil {
		return err
	}
	as := c.opt.As
	given, err := at.Enroll(ctx, &meshpb.EnrollRequest{
		Identity: &meshpb.Identity{Namespace: as.Namespace, Service: as.Service, Node: as.Node}, Csr: csr,
		Evidence: &meshpb.EnrollRequest_Token{Token: &meshpb.TokenEvidence{
			TokenId: c.token.ID(), Nonce: nonce, Proof: c.token.ProxyProof(x, jointoken.Request(as.Namespace, as.Service, as.Node, csr)),
		}},
	})
	if err != nil {
		return err
	}
	// The bundles of the answer wait for a connection that is verified: this one may be
	// another than that of the challenge.
	return c.enter(id, given, key, []*identity.Bundle{bundle})
}

// authority verifies the certificate of the connection by the bundle that was proven.
func (c *Client) authority(answer *meshpb.ChallengeResponse, chain []*x509.Certificate) (*identity.Bundle, error) {
	td, err := identity.ParseTrustDomain(answer.GetTrustDomain())
	if err != nil {
		return nil, err
	}
	bundle, err := identity.ParseBundle(td, answer.GetBundle())
	if err != nil {
		return nil, err
	}
	return bundle, c.isControl(chain, bundle)
}
