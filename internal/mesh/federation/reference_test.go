package federation_test

import (
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// reference is a partner's bundle as go-spiffe asks for it.
type reference struct{ p *partner }

func (r reference) GetX509BundleForTrustDomain(td spiffeid.TrustDomain) (*x509bundle.Bundle, error) {
	return x509bundle.FromX509Authorities(td, r.p.bundle.Load().Roots()), nil
}
