package join

import (
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/meshpb"
)

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
