package tlsx

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"strings"
	"sync/atomic"

	"github.com/gridway/gridway/internal/ir"
)

// certificate is one parsed certificate. It is shared by the sections, and the
// successive Servers, that name the same content.
type certificate struct {
	pair    tls.Certificate
	issuer  *x509.Certificate // nil if the chain does not hold it
	stapler Stapler           // nil unless a response has to be fetched
	stapled atomic.Pointer[tls.Certificate]
}

// certificate parses c, unless this Server or the one before has done so.
func (s *Server) certificate(c *ir.Certificate, prev *Server) (*certificate, error) {
	key := digest(c.Chain, c.Key, c.Staple)
	if cert := s.certs[key]; cert != nil {
		return cert, nil
	}
	if prev != nil && prev.opts.Stapler == s.opts.Stapler && prev.certs[key] != nil {
		s.certs[key] = prev.certs[key]
		return s.certs[key], nil
	}
	pair, err := parsePair(c)
	if err != nil {
		return nil, err
	}
	cert := &certificate{pair: *pair}
	if len(pair.Certificate) > 1 {
		cert.issuer, _ = x509.ParseCertificate(pair.Certificate[1])
	}
	if len(c.Staple) > 0 {
		cert.pair.OCSPStaple = c.Staple
	} else if cert.issuer != nil && MustStaple(pair.Leaf) && s.opts.Stapler != nil {
		cert.stapler = s.opts.Stapler
		cert.current() // lets the stapler begin before the first client comes
	}
	s.certs[key] = cert
	return cert, nil
}

// digest of several byte strings, none of which can be mistaken for another's part.
func digest(parts ...[]byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, p := range parts {
		_ = binary.Write(h, binary.BigEndian, uint64(len(p)))
		h.Write(p)
	}
	h.Sum(sum[:0])
	return sum
}

// current is the certificate with its newest OCSP response.
func (c *certificate) current() *tls.Certificate {
	if c.stapler == nil {
		return &c.pair
	}
	staple := c.stapler.Staple(c.pair.Leaf, c.issuer)
	if staple == nil {
		return &c.pair
	}
	if last := c.stapled.Load(); last != nil && bytes.Equal(last.OCSPStaple, staple) {
		return last
	}
	next := c.pair
	next.OCSPStaple = staple
	c.stapled.Store(&next)
	return &next
}

// choose picks the certificate for a client: one whose signatures it can
// verify, then the one whose names fit best, then the cheaper kind of key, then
// the order of the configuration.
func (sec *section) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c := choose(sec.certs, hello)
	if sec.before != nil && !c.ready() {
		c = sec.instead(c, hello)
	}
	return c.current(), nil
}

func choose(certs []*certificate, hello *tls.ClientHelloInfo) *certificate {
	if len(certs) == 1 {
		return certs[0]
	}
	nameless := *hello
	nameless.ServerName = "" // names only rank here, they do not exclude
	best, bestScore := certs[0], -1
	for _, c := range certs {
		score := nameScore(c.pair.Leaf, hello.ServerName)*2 + keyScore(c.pair.Leaf)
		if nameless.SupportsCertificate(&c.pair) == nil {
			score += 100
		}
		if score > bestScore {
			best, bestScore = c, score
		}
	}
	return best
}

// nameScore is 2 for a certificate that names the host, 1 for one with a
// wildcard for it, 0 for others.
func nameScore(leaf *x509.Certificate, host string) int {
	if host == "" || leaf.VerifyHostname(host) != nil {
		return 0
	}
	for _, name := range leaf.DNSNames {
		if strings.EqualFold(name, host) {
			return 2
		}
	}
	return 1
}

// keyScore prefers elliptic curves: an RSA signature costs many times more.
func keyScore(leaf *x509.Certificate) int {
	switch leaf.PublicKey.(type) {
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return 1
	}
	return 0
}

// oidTLSFeature is id-pe-tlsfeature of RFC 7633.
var oidTLSFeature = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}

// MustStaple reports whether a certificate asks for an OCSP response in the
// handshake (RFC 7633: feature status_request, 5).
func MustStaple(leaf *x509.Certificate) bool {
	for _, ext := range leaf.Extensions {
		if !ext.Id.Equal(oidTLSFeature) {
			continue
		}
		var features []int
		if _, err := asn1.Unmarshal(ext.Value, &features); err != nil {
			return false
		}
		for _, f := range features {
			if f == 5 {
				return true
			}
		}
	}
	return false
}
