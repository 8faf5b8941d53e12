package join

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

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
	// Token is the text of a join token. Without one, SVID is one that the host has
	// already, or Account has the token of a Kubernetes service account. Both are shown:
	// Bundle, the SVID's own bundles or Keyring have what the control plane is verified by
	// before. They are asked at each join; Bundle may be nil.
	Token   string
	SVID    func(context.Context) (*Held, error)
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
	if o.Dial == nil {
		c.opt.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		}
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
	if c.opt.SVID != nil {
		return c.bySVID(ctx)
	}
	if c.opt.Account == nil {
		return ErrNoToken
	}
	td, config, err := c.trusted(nil)
	if err != nil {
		return err
	}
	return c.each(ctx, config, func(ctx context.Context, at meshpb.JoinClient) error { return c.byAccount(ctx, at, td) })
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

func (c *Client) id(td identity.TrustDomain) identity.ID {
	if c.opt.As.Role == identity.RoleNode {
		return identity.Node(td, c.opt.As.Node)
	}
	return identity.Workload(td, c.opt.As.Namespace, c.opt.As.Service)
}

func (c *Client) byAccount(ctx context.Context, at meshpb.JoinClient, td identity.TrustDomain) error {
	return c.enroll(ctx, at, td, func(r *meshpb.EnrollRequest) error {
		token, err := c.opt.Account()
		if err != nil {
			return fmt.Errorf("token of the service account: %w", err)
		}
		r.Evidence = &meshpb.EnrollRequest_Kubernetes{Kubernetes: token}
		return nil
	})
}

// enroll asks for the first SVID over a connection whose other end is verified.
func (c *Client) enroll(ctx context.Context, at meshpb.JoinClient, td identity.TrustDomain, prove func(*meshpb.EnrollRequest) error) error {
	key, err := c.firstKey()
	if err != nil {
		return err
	}
	id, as := c.id(td), c.opt.As
	csr, err := identity.Request(id, key)
	if err != nil {
		return err
	}
	r := &meshpb.EnrollRequest{Identity: &meshpb.Identity{Namespace: as.Namespace, Service: as.Service, Node: as.Node}, Csr: csr}
	if err := prove(r); err != nil {
		return err
	}
	given, err := at.Enroll(ctx, r)
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
