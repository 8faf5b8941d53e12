package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"time"
)

const (
	// MaxChain bounds the certificates that prove one identity, from the leaf to the last
	// before the root.
	MaxChain = 5
	// Backdate is how long before its making an SVID is valid, for those whose clocks are
	// late.
	Backdate = 10 * time.Minute
)

// SVID is a certificate that proves an identity, with its key. It never changes.
type SVID struct {
	id     ID
	serial string
	pair   tls.Certificate
	chain  []*x509.Certificate
}

// NewSVID makes one of a chain, the leaf first, and the leaf's key. It does not verify who
// has signed it.
func NewSVID(chain []*x509.Certificate, key crypto.Signer) (*SVID, error) {
	if len(chain) == 0 || key == nil {
		return nil, errors.New("an SVID needs a certificate and its key")
	}
	if len(chain) > MaxChain {
		return nil, fmt.Errorf("the chain has %d certificates, at most %d are allowed", len(chain), MaxChain)
	}
	id, err := checkLeaf(chain[0])
	if err != nil {
		return nil, err
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(chain[0].PublicKey) {
		return nil, fmt.Errorf("the key is not that of the certificate of %s", id)
	}
	s := &SVID{id: id, serial: Serial(chain[0].SerialNumber), chain: chain}
	s.pair = tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, c := range chain {
		s.pair.Certificate = append(s.pair.Certificate, c.Raw)
	}
	return s, nil
}

// ParseSVID makes one of DER: certificates behind one another, the leaf first.
func ParseSVID(chain []byte, key crypto.Signer) (*SVID, error) {
	list, err := x509.ParseCertificates(chain)
	if err != nil {
		return nil, fmt.Errorf("certificates of an SVID: %w", err)
	}
	return NewSVID(list, key)
}

// ID is whose it is.
func (s *SVID) ID() ID { return s.id }

// Serial is the serial number of the leaf, as deny lists have it.
func (s *SVID) Serial() string { return s.serial }

// Leaf is the certificate; nobody may change it.
func (s *SVID) Leaf() *x509.Certificate { return s.pair.Leaf }

// Certificate is the chain and key as TLS takes them; nobody may change it.
func (s *SVID) Certificate() *tls.Certificate { return &s.pair }

// Key signs as the identity.
func (s *SVID) Key() crypto.Signer { return s.pair.PrivateKey.(crypto.Signer) }

// Chain is the DER of all certificates behind one another.
func (s *SVID) Chain() (der []byte) {
	for _, c := range s.pair.Certificate {
		der = append(der, c...)
	}
	return der
}

// NotAfter is when it ends.
func (s *SVID) NotAfter() time.Time { return s.pair.Leaf.NotAfter }

// Serial writes a serial number as deny lists and commands do: lower-case hexadecimal,
// without zeros before it.
func Serial(n *big.Int) string {
	if n == nil {
		return ""
	}
	return n.Text(16)
}

// NewRequest makes a key (ECDSA P-256) and a certificate signing request (RFC 2986) for an
// identity, whose one name is the SPIFFE ID.
func NewRequest(id ID) (csr []byte, key *ecdsa.PrivateKey, err error) {
	key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	csr, err = Request(id, key)
	return csr, key, err
}

// Request makes a signing request for a key that is there. For the zero ID it names
// nobody: the authority knows who asks.
func Request(id ID, key crypto.Signer) ([]byte, error) {
	var r x509.CertificateRequest
	if !id.IsZero() {
		r.URIs = []*url.URL{id.URL()}
	}
	return x509.CreateCertificateRequest(rand.Reader, &r, key)
}
