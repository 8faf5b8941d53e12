// Package tlsx makes the crypto/tls configurations of listeners and clusters
// from the IR: which certificate a server name gets, who verifies whom, which
// keys seal session tickets. It starts no goroutines; what has to be fetched
// (OCSP responses) comes through the Stapler interface, which package
// ocspstaple below this one implements. It imports the standard library and
// internal/ir, and only packages of proxy and app import it.
package tlsx

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// What is offered as ALPN (RFC 7301).
var (
	alpnHTTP1 = []string{"http/1.1"}
	alpnHTTP2 = []string{"h2", "http/1.1"}
	alpnHTTP3 = []string{"h3"}
)

// Stapler provides OCSP responses for certificates that must carry one.
type Stapler interface {
	// Staple returns the last good DER response for leaf, or nil if there is
	// none yet. It must not block; asking is what makes the Stapler fetch and
	// refresh.
	Staple(leaf, issuer *x509.Certificate) []byte
}

// Challenges knows the certificates that certificate authorities look for.
type Challenges interface {
	// Certificate returns the one that proves to an authority that a name leads
	// here (TLS-ALPN-01, RFC 8737). It may block.
	Certificate(name string) (*tls.Certificate, bool)
}

// ChallengeProtocol is what an authority negotiates in such a handshake. Such a
// connection is good for nothing else, and must be closed.
const ChallengeProtocol = "acme-tls/1"

// Options of a Server. The zero value has no Stapler, answers no challenges,
// and has the system's clock.
type Options struct {
	Stapler    Stapler
	Challenges Challenges
	// HTTP2 is offered to clients.
	HTTP2 bool
	// HTTP3 is offered to those that come by QUIC.
	HTTP3 bool
	// Tickets may be nil: then a Server has its own, or those of the one before.
	Tickets *Tickets
	Now     func() time.Time
}

func (o *Options) alpn() []string {
	if o.HTTP2 {
		return alpnHTTP2
	}
	return alpnHTTP1
}

// Error is a part of a section that cannot be served.
type Error struct {
	// Section is the section's name.
	Section string
	// Certificate is the name of the certificate; empty if the section's other
	// settings are at fault.
	Certificate string
	Err         error
}

func (e *Error) Error() string {
	if e.Certificate == "" {
		return fmt.Sprintf("%s: %v", e.Section, e.Err)
	}
	return fmt.Sprintf("%s: certificate %s: %v", e.Section, e.Certificate, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Errors lists the parts that the error of NewServer is made of.
func Errors(err error) []*Error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	var all []*Error
	for _, e := range joined.Unwrap() {
		var te *Error
		if errors.As(e, &te) {
			all = append(all, te)
		}
	}
	return all
}

// parseVersion reads "1.2" or "1.3"; older versions are below the floor.
func parseVersion(s string, fallback uint16) (uint16, error) {
	switch s {
	case "":
		return fallback, nil
	case "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	}
	return fallback, fmt.Errorf("TLS version %q is not 1.2 or 1.3", s)
}

// parseVersions reads the bounds of a configuration.
func parseVersions(lowest, highest string) (lo, hi uint16, err error) {
	lo, err1 := parseVersion(lowest, tls.VersionTLS12)
	hi, err2 := parseVersion(highest, tls.VersionTLS13)
	if err := errors.Join(err1, err2); err != nil {
		return lo, hi, err
	}
	if lo > hi {
		return lo, hi, fmt.Errorf("the lowest TLS version %s is above the highest %s", lowest, highest)
	}
	return lo, hi, nil
}

// suites are those of TLS 1.2 with forward secrecy and AEAD. What crypto/tls
// would add by itself, CBC with SHA-1, nobody needs who can speak TLS 1.2 well.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// parseSuites looks up TLS 1.2 cipher suites by IANA name; those that
// crypto/tls calls insecure are unknown here. No name stands for the suites above.
func parseSuites(names []string) ([]uint16, error) {
	if len(names) == 0 {
		return suites, nil
	}
	var ids []uint16
	var errs []error
	for _, name := range names {
		i := slices.IndexFunc(tls.CipherSuites(), func(s *tls.CipherSuite) bool { return s.Name == name })
		if i < 0 {
			errs = append(errs, fmt.Errorf("cipher suite %q is unknown or insecure", name))
			continue
		}
		ids = append(ids, tls.CipherSuites()[i].ID)
	}
	return ids, errors.Join(errs...)
}

// parsePool reads a PEM bundle in which every certificate must be sound: one
// that was left out silently would refuse peers for no visible reason.
func parsePool(pool *x509.CertPool, bundle []byte) error {
	found := false
	for {
		var block *pem.Block
		if block, bundle = pem.Decode(bundle); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("CA bundle: %w", err)
		}
		pool.AddCert(cert)
		found = true
	}
	if !found {
		return errors.New("CA bundle has no certificate in PEM form")
	}
	return nil
}

// parsePair reads a certificate with its key.
func parsePair(c *ir.Certificate) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(c.Chain, c.Key)
	if err != nil {
		return nil, err
	}
	return &pair, nil
}
