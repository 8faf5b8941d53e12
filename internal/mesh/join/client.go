package join

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/jointoken"
	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// maxMessage bounds what a control plane may answer, in bytes: bundles are the most of it.
const maxMessage = 8 << 20

// ClientOptions of a Client.
type ClientOptions struct {
	// Addresses of control planes, as host:port. They are tried in this order.
	Addresses []string
	// Keyring gets what the client is given, and has the SVID by which it renews.
	Keyring *identity.Keyring
	// As is who to be. Of a workload it has namespace and service, of a node the node.
	As identity.Name
	// Token is the text of a join token. Without one, Account has the token of a
	// Kubernetes service account. It is sent: Bundle or Keyring have what the control plane
	// is verified by before. Both are asked at each join; Bundle may be nil.
	Token   string
	Account func() (string, error)
	Bundle  func() (*identity.Bundle, error)
	// Dial connects; nil is by TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// Now is the clock; nil is the system's.
	Now func() time.Time
}

// Client is a proxy's end. Its methods may be called at the same time.
type Client struct {
	opt   ClientOptions
	token jointoken.Token

	mu sync.Mutex
	// key is that of the first request, which stays the same until it was answered: an
	// answer that was lost can be asked for again by the same key.
	key *ecdsa.PrivateKey // guarded by mu
}

// NewClient makes one. It does not connect.
func NewClient(o ClientOptions) (*Client, error) {
	c := &Client{opt: o}
	if o.Now == nil {
		c.opt.Now = time.Now
	}
	if len(o.Addresses) == 0 {
		return nil, errors.New("to join a mesh, give the address of a control plane: --control HOST:PORT")
	}
	var err error
	switch o.As.Role {
	case identity.RoleWorkload:
		err = identity.CheckWorkload(o.As.Namespace, o.As.Service)
	case identity.RoleNode:
		err = identity.CheckNode(o.As.Node)
	default:
		err = fmt.Errorf("a proxy joins as a workload or a node, not as %.20q", o.As.Role)
	}
	if err == nil && o.Token != "" {
		c.token, err = jointoken.Parse(o.Token)
	}
	return c, err
}

// ErrImpostor: who answers is not the control plane that made the token.
var ErrImpostor = errors.New("who answers cannot prove that it knows the join token: it is another control plane than the one that made it, the token has ended, or somebody is between")

// ErrNoToken: there is nothing to join by.
var ErrNoToken = errors.New("to join a mesh, a join token is needed: gridway identity token create makes one")

// Join gets the first SVID, and puts it into the keyring with the trust bundles.
func (c *Client) Join(ctx context.Context) error {
	if c.token != (jointoken.Token{}) {
		return c.each(ctx, c.unverified(), c.byToken)
	}
	if c.opt.Account == nil {
		return ErrNoToken
	}
	td, config, err := c.trusted()
	if err != nil {
		return err
	}
	return c.each(ctx, config, func(ctx context.Context, at meshpb.JoinClient) error { return c.byAccount(ctx, at, td) })
}

// trusted is TLS with a control plane that the keyring or Bundle prove, for who has nothing
// to show: an SVID that has ended is no reason not to join again.
func (c *Client) trusted() (td identity.TrustDomain, config *tls.Config, err error) {
	known, own := c.opt.Keyring.Bundles(), c.opt.Keyring.Own()
	var given *identity.Bundle
	if c.opt.Bundle != nil {
		if given, err = c.opt.Bundle(); err != nil {
			return td, nil, err
		}
	}
	switch {
	case given != nil:
		td = given.TrustDomain()
	case !own.IsZero():
		td = own.TrustDomain()
	case len(known) == 1:
		td = known[0].TrustDomain()
	default:
		return td, nil, fmt.Errorf("to join by a service account, one trust bundle is needed to verify the control plane by, and there are %d", len(known))
	}
	return td, &tls.Config{
		MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, NextProtos: []string{"h2"},
		VerifyConnection: func(s tls.ConnectionState) (err error) {
			for _, b := range []*identity.Bundle{given, c.opt.Keyring.Bundle(td)} {
				if b == nil {
					continue
				}
				if err = c.isControl(s.PeerCertificates, b); err == nil {
					return nil
				}
			}
			return err
		},
	}, nil
}

// isControl verifies that a chain is a control plane's of the bundle's trust domain.
func (c *Client) isControl(chain []*x509.Certificate, b *identity.Bundle) error {
	id, err := identity.Verify(chain, func(of identity.TrustDomain) *identity.Bundle {
		if of == b.TrustDomain() {
			return b
		}
		return nil
	}, c.opt.Now())
	if err == nil && id != identity.Control(b.TrustDomain()) {
		err = fmt.Errorf("who answers is %s, and no control plane", id)
	}
	return err
}

// each tries the control planes in turn. What one of them refuses for good, the others do
// too.
func (c *Client) each(ctx context.Context, config *tls.Config, f func(context.Context, meshpb.JoinClient) error) error {
	var failed []error
	for i, address := range c.opt.Addresses {
		// One that does not answer leaves time for the others.
		try, cancel := share(ctx, len(c.opt.Addresses)-i)
		err := c.at(try, address, config, f)
		cancel()
		if err == nil {
			return nil
		}
		err = fmt.Errorf("control plane %s: %w", address, plain(err))
		if failed = append(failed, err); ctx.Err() != nil || final(err) {
			break
		}
	}
	return errors.Join(failed...)
}

// share is one of so many equal parts of the time that there is.
func share(ctx context.Context, parts int) (context.Context, context.CancelFunc) {
	end, bounded := ctx.Deadline()
	if !bounded {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)/time.Duration(parts))
}

func (c *Client) at(ctx context.Context, address string, config *tls.Config, f func(context.Context, meshpb.JoinClient) error) error {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(config)), grpc.WithDisableServiceConfig(), grpc.WithNoProxy(), grpc.WithDisableRetry(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
	}
	if c.opt.Dial != nil {
		options = append(options, grpc.WithContextDialer(c.opt.Dial))
	}
	conn, err := grpc.NewClient("passthrough:///"+address, options...)
	if err != nil {
		return err
	}
	defer conn.Close()
	return f(ctx, meshpb.NewJoinClient(conn))
}

// refusedError has the code of what a control plane said.
type refusedError struct {
	code codes.Code
	text string
}

func (e *refusedError) Error() string { return e.text }

// plain takes away what gRPC puts around errors.
func plain(err error) error {
	if s, ok := status.FromError(err); ok {
		return &refusedError{s.Code(), s.Message()}
	}
	return err
}

// Refused tells whether an error of Join or Renew will not change by asking again: a
// control plane's word, a token that nobody knows, or none.
func Refused(err error) bool {
	return final(err) || errors.Is(err, ErrImpostor) || errors.Is(err, ErrNoToken)
}

func final(err error) bool {
	var r *refusedError
	if !errors.As(err, &r) {
		return false
	}
	switch r.code {
	case codes.Unauthenticated, codes.PermissionDenied, codes.InvalidArgument, codes.Unimplemented:
		return true
	}
	return false
}

// unverified is TLS for the first contact: the proof by the token is what verifies.
func (c *Client) unverified() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, NextProtos: []string{"h2"}}
}

// verified is TLS with a control plane that the keyring's bundles prove, with our SVID if
// there is one.
func (c *Client) verified() *tls.Config { return ClientTLS(c.opt.Keyring) }

// ClientTLS is for connections of a proxy to its control plane, which is the one of its
// own trust domain or, before it has an identity, of one that is trusted.
func ClientTLS(k *identity.Keyring) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, NextProtos: []string{"h2"},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if k.Own().IsZero() {
				return &tls.Certificate{}, nil
			}
			return k.Certificate("")
		},
		VerifyConnection: func(s tls.ConnectionState) error {
			text, err := k.VerifyPeer(s.PeerCertificates)
			if err != nil {
				return err
			}
			own := k.Own()
			if id, err := identity.Parse(text); err != nil || identity.NameOf(id).Role != identity.RoleControl || !own.IsZero() && own.TrustDomain() != id.TrustDomain() {
				return fmt.Errorf("who answers is %s, and no control plane of ours", text)
			}
			return nil
		},
	}
}

func (c *Client) firstKey() (*ecdsa.PrivateKey, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	if c.key == nil {
		c.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return c.key, err
}

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

func (c *Client) id(td identity.TrustDomain) identity.ID {
	if c.opt.As.Role == identity.RoleNode {
		return identity.Node(td, c.opt.As.Node)
	}
	return identity.Workload(td, c.opt.As.Namespace, c.opt.As.Service)
}

func (c *Client) byAccount(ctx context.Context, at meshpb.JoinClient, td identity.TrustDomain) error {
	token, err := c.opt.Account()
	if err != nil {
		return fmt.Errorf("token of the service account: %w", err)
	}
	key, err := c.firstKey()
	if err != nil {
		return err
	}
	id := c.id(td)
	csr, err := identity.Request(id, key)
	if err != nil {
		return err
	}
	given, err := at.Enroll(ctx, &meshpb.EnrollRequest{
		Identity: &meshpb.Identity{Namespace: c.opt.As.Namespace, Service: c.opt.As.Service, Node: c.opt.As.Node}, Csr: csr,
		Evidence: &meshpb.EnrollRequest_Kubernetes{Kubernetes: token},
	})
	if err != nil {
		return err
	}
	more, err := readBundles(given.GetBundles())
	if err != nil {
		return err
	}
	return c.enter(id, given, key, more)
}

// Renew gets the next SVID by the one there is, with the bundles as they are now. It is
// what an identity.Renewer calls.
func (c *Client) Renew(ctx context.Context) (*identity.SVID, error) {
	id := c.opt.Keyring.Own()
	if id.IsZero() {
		return nil, errors.New("there is no SVID to renew: join first")
	}
	csr, key, err := identity.NewRequest(id)
	if err != nil {
		return nil, err
	}
	return c.given(ctx, id, key, func(ctx context.Context, at meshpb.JoinClient) (*meshpb.SVIDResponse, error) {
		return at.Renew(ctx, &meshpb.RenewRequest{Csr: csr})
	})
}

// Delegate gets a node proxy an SVID of one of its workloads, with the bundles as they are
// now: the first one, and each next.
func (c *Client) Delegate(ctx context.Context, id identity.ID) (*identity.SVID, error) {
	csr, key, err := identity.NewRequest(id)
	if err != nil {
		return nil, err
	}
	return c.given(ctx, id, key, func(ctx context.Context, at meshpb.JoinClient) (*meshpb.SVIDResponse, error) {
		return at.Delegate(ctx, &meshpb.DelegateRequest{Identity: message(id), Csr: csr})
	})
}

func message(id identity.ID) *meshpb.Identity {
	n := identity.NameOf(id)
	return &meshpb.Identity{Namespace: n.Namespace, Service: n.Service, Node: n.Node}
}

// given puts what a control plane gives for an SVID that we have into the keyring.
func (c *Client) given(ctx context.Context, id identity.ID, key *ecdsa.PrivateKey, ask func(context.Context, meshpb.JoinClient) (*meshpb.SVIDResponse, error)) (out *identity.SVID, err error) {
	err = c.each(ctx, c.verified(), func(ctx context.Context, at meshpb.JoinClient) error {
		given, err := ask(ctx, at)
		if err != nil {
			return err
		}
		bundles, err := readBundles(given.GetBundles())
		if err != nil {
			return err
		}
		out, err = c.take(id, given, key, bundles)
		return err
	})
	return out, err
}

// SignJWT gets a JWT-SVID of the own identity, or of one of a node proxy's workloads.
func (c *Client) SignJWT(ctx context.Context, id identity.ID, audiences []string) (token string, ends time.Time, err error) {
	request := &meshpb.SignJWTRequest{Audience: audiences}
	if id != c.opt.Keyring.Own() {
		request.Identity = message(id)
	}
	err = c.each(ctx, c.verified(), func(ctx context.Context, at meshpb.JoinClient) error {
		given, err := at.SignJWT(ctx, request)
		if err == nil {
			token, ends = given.GetToken(), time.Unix(given.GetExpires(), 0)
		}
		return err
	})
	return token, ends, err
}

func readBundles(list []*meshpb.Bundle) (out []*identity.Bundle, err error) {
	for _, b := range list {
		td, err := identity.ParseTrustDomain(b.GetTrustDomain())
		if err != nil {
			return nil, err
		}
		read, err := identity.ParseBundle(td, b.GetBundle())
		if err != nil {
			return nil, err
		}
		out = append(out, read)
	}
	if len(out) == 0 {
		return nil, errors.New("the control plane has sent no trust bundle")
	}
	return out, nil
}

// enter takes the first SVID, which is who the process is.
func (c *Client) enter(id identity.ID, given *meshpb.SVIDResponse, key *ecdsa.PrivateKey, bundles []*identity.Bundle) error {
	if _, err := c.take(id, given, key, bundles); err != nil {
		return err
	}
	c.opt.Keyring.Apply(identity.Change{Own: id})
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.key == key {
		c.key = nil
	}
	return nil
}

// take makes sure that what was given is ours, and puts it into the keyring.
func (c *Client) take(id identity.ID, given *meshpb.SVIDResponse, key *ecdsa.PrivateKey, bundles []*identity.Bundle) (*identity.SVID, error) {
	var chain []*x509.Certificate
	for _, der := range given.GetChain() {
		one, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("the control plane has sent a certificate that cannot be read: %w", err)
		}
		chain = append(chain, one)
	}
	s, err := identity.NewSVID(chain, key)
	if err != nil {
		return nil, fmt.Errorf("the control plane has sent no SVID of ours: %w", err)
	}
	got, err := identity.Verify(chain, func(td identity.TrustDomain) *identity.Bundle {
		for _, b := range bundles {
			if b.TrustDomain() == td {
				return b
			}
		}
		return nil
	}, c.opt.Now())
	switch {
	case err != nil:
		return nil, fmt.Errorf("the control plane has sent an SVID that its own trust bundle does not prove: %w", err)
	case got != id:
		return nil, fmt.Errorf("the control plane has sent an SVID of %s, and not of %s", got, id)
	}
	c.opt.Keyring.Apply(identity.Change{Put: []*identity.SVID{s}, Bundles: bundles})
	return s, nil
}
