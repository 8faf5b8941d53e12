package join

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// trusted is TLS with a control plane that the keyring, Bundle or an SVID's own bundles
// prove, for who shows nothing of this mesh: an SVID that has ended is no reason not to
// join again.
func (c *Client) trusted(by *Held) (td identity.TrustDomain, config *tls.Config, err error) {
	known, own := c.opt.Keyring.Bundles(), c.opt.Keyring.Own()
	var given *identity.Bundle
	if c.opt.Bundle != nil {
		if given, err = c.opt.Bundle(); err != nil {
			return td, nil, err
		}
	}
	if by != nil && given == nil {
		if given, err = by.bundle(); err != nil {
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
		return td, nil, fmt.Errorf("to join without a token, one trust bundle is needed to verify the control plane by, and there are %d", len(known))
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
		err := c.patiently(try, address, config, f)
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

// A control plane that takes a connection and breaks it off is asked again, so often and
// with waits from the first on that double: one that is being replaced does so for a moment.
const (
	brokenTries = 5
	firstBroken = 50 * time.Millisecond
)

// patiently asks a control plane, and again where the connection was broken off.
func (c *Client) patiently(ctx context.Context, address string, config *tls.Config, f func(context.Context, meshpb.JoinClient) error) error {
	wait := firstBroken
	for try := 1; ; try++ {
		var reached atomic.Bool
		err := c.at(ctx, address, config, &reached, f)
		if err == nil || try == brokenTries || !reached.Load() || !broken(err) {
			return err
		}
		timer := time.NewTimer(time.Duration(float64(wait) * (0.9 + 0.2*rand.Float64())))
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
		wait *= 2
	}
}

// brokenOff is how errors of gRPC read when a connection was broken off, rather than that
// somebody has said something: of those it keeps the text alone.
var brokenOff = []string{"EOF", "connection reset", "broken pipe", "transport is closing", "closing transport", "connection closed"}

// broken tells whether a connection was broken off.
func broken(err error) bool {
	var r *refusedError
	return errors.As(plain(err), &r) && r.code == codes.Unavailable &&
		slices.ContainsFunc(brokenOff, func(text string) bool { return strings.Contains(r.text, text) })
}

// share is one of so many equal parts of the time that there is.
func share(ctx context.Context, parts int) (context.Context, context.CancelFunc) {
	end, bounded := ctx.Deadline()
	if !bounded {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)/time.Duration(parts))
}

func (c *Client) at(ctx context.Context, address string, config *tls.Config, reached *atomic.Bool, f func(context.Context, meshpb.JoinClient) error) error {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(config)), grpc.WithDisableServiceConfig(), grpc.WithNoProxy(), grpc.WithDisableRetry(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
	}
	options = append(options, grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := c.opt.Dial(ctx, address)
		if err == nil {
			reached.Store(true)
		}
		return conn, err
	}))
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
		return &refusedError{s.Code(), meshpb.Reason(err)}
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
			own := k.Own()
			text, err := k.VerifyPeer(s.PeerCertificates)
			if unknown := (x509.UnknownAuthorityError{}); errors.As(err, &unknown) && !own.IsZero() {
				return fmt.Errorf("%w; the identity of this proxy is of another authority: if that was made anew, end the proxy, remove its state folder, and start it with a join token", err)
			}
			if err != nil {
				return err
			}
			if id, err := identity.Parse(text); err != nil || identity.NameOf(id).Role != identity.RoleControl || !own.IsZero() && own.TrustDomain() != id.TrustDomain() {
				return fmt.Errorf("who answers is %s, and no control plane of ours", text)
			}
			return nil
		},
	}
}
