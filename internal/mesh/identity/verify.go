package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// checkLeaf reads the SPIFFE ID of a certificate that must be a leaf SVID.
func checkLeaf(c *x509.Certificate) (ID, error) {
	if len(c.URIs) != 1 { // X509-SVID §2: exactly one
		return ID{}, fmt.Errorf("the certificate has %d URI names, an SVID has one", len(c.URIs))
	}
	id, err := spiffeid.FromURI(c.URIs[0])
	switch {
	case err != nil:
		return ID{}, fmt.Errorf("the URI of the certificate is no SPIFFE ID: %w", err)
	case len(id.String()) > maxID || len(id.TrustDomain().Name()) > maxTrustDomain:
		return ID{}, errors.New("the SPIFFE ID of the certificate is too long")
	case id.Path() == "": // X509-SVID §5.2
		return ID{}, errors.New("the SPIFFE ID of the certificate has no path: it is that of an authority")
	case c.IsCA: // X509-SVID §4.1
		return ID{}, fmt.Errorf("the certificate of %s is that of an authority", id)
	case c.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0: // X509-SVID §4.3
		return ID{}, fmt.Errorf("the key of %s may sign certificates, which that of a workload must not", id)
	case c.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return ID{}, fmt.Errorf("the key of %s may not sign handshakes (digitalSignature)", id)
	}
	// X509-SVID §4.4: who restricts the use must allow both ends of TLS.
	if (len(c.ExtKeyUsage) > 0 || len(c.UnknownExtKeyUsage) > 0) && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny) &&
		(!slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) || !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth)) {
		return ID{}, fmt.Errorf("the certificate of %s is not for both clients and servers (extKeyUsage)", id)
	}
	return id, nil
}

// Verify verifies a chain, the leaf first, by the trust bundle of the leaf's own trust
// domain at a time, and returns whose it is. The deny list is not looked at.
func Verify(chain []*x509.Certificate, bundles func(TrustDomain) *Bundle, now time.Time) (ID, error) {
	switch {
	case len(chain) == 0:
		return ID{}, errors.New("the peer has shown no certificate")
	case len(chain) > MaxChain:
		return ID{}, fmt.Errorf("the peer has shown %d certificates, at most %d are allowed", len(chain), MaxChain)
	}
	id, err := checkLeaf(chain[0])
	if err != nil {
		return ID{}, err
	}
	bundle := bundles(id.TrustDomain())
	if bundle == nil {
		return ID{}, fmt.Errorf("%s is of a trust domain that is not trusted here", id)
	}
	options := x509.VerifyOptions{
		Roots: bundle.pool, Intermediates: x509.NewCertPool(), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, // the leaf's has been looked at, an authority's does not bind
	}
	for _, c := range chain[1:] {
		options.Intermediates.AddCert(c)
	}
	chains, err := chain[0].Verify(options)
	if err != nil {
		return ID{}, &UntrustedError{ID: id, Err: explain(chain[0], err, now)}
	}
	for _, c := range chains {
		if len(c) <= MaxChain+1 { // the root is in them too
			return id, nil
		}
	}
	return ID{}, &UntrustedError{ID: id, Err: fmt.Errorf("more than %d certificates are between it and a root", MaxChain)}
}

// UntrustedError: a certificate that no trust bundle proves.
type UntrustedError struct {
	ID  ID // who it says it is
	Err error
}

func (e *UntrustedError) Error() string {
	return fmt.Sprintf("the certificate of %s is not trusted: %v", e.ID, e.Err)
}

func (e *UntrustedError) Unwrap() error { return e.Err }

// explain says what is wrong with times in a way that tells which clock to look at.
func explain(leaf *x509.Certificate, err error, now time.Time) error {
	at := now.UTC().Format(time.RFC3339)
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("it ended at %s, and here it is %s: %w", leaf.NotAfter.UTC().Format(time.RFC3339), at, err)
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("it begins at %s, and here it is %s: is a clock wrong? %w", leaf.NotBefore.UTC().Format(time.RFC3339), at, err)
	}
	return err
}
