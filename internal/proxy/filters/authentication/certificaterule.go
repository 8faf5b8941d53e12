package authentication

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/clientcert"
)

// certificateRule is a rule about certificates.
type certificateRule struct {
	*ir.CertificateRule
	issuers [][sha256.Size]byte
}

func newCertificateRule(r *ir.CertificateRule) certificateRule {
	out := certificateRule{CertificateRule: r}
	for _, text := range r.Issuers {
		var digest [sha256.Size]byte
		if n, err := hex.Decode(digest[:], []byte(text)); err == nil && n == len(digest) { // compile lets no other through
			out.issuers = append(out.issuers, digest)
		}
	}
	return out
}

// holds tells whether the certificate has something of each list that there is.
func (r *certificateRule) holds(c *clientcert.Certificate, chains [][]*x509.Certificate) bool {
	return r.lacks(c, chains) == ""
}

// lacks is the first list of which the certificate has nothing; empty is none.
func (r *certificateRule) lacks(c *clientcert.Certificate, chains [][]*x509.Certificate) (field string) {
	switch {
	case !among(r.CommonNames, c.Subject.Values("CN"), exactly):
		return "commonNames"
	case !among(r.Organizations, c.Subject.Values("O"), exactly):
		return "organizations"
	case !among(r.OrganizationalUnits, c.Subject.Values("OU"), exactly):
		return "organizationalUnits"
	case len(r.Subjects) > 0 && !slices.Contains(r.Subjects, c.SubjectText):
		return "subjects"
	case !among(r.DNSNames, c.DNS, isDNS):
		return "dnsNames"
	case !among(r.URIs, c.URIs, isBelow):
		return "uris"
	case !among(r.Emails, c.Emails, isEmail):
		return "emails"
	case !r.hasAddress(c):
		return "ips"
	case !r.hasIdentity(c):
		return "identities"
	case len(r.Fingerprints) > 0 && !(c.Hashed && slices.Contains(r.Fingerprints, hex.EncodeToString(c.Fingerprint[:]))):
		return "fingerprints"
	case len(r.Issuers) > 0 && !r.issued(chains):
		return "issuers"
	}
	return ""
}

// among tells whether one of the patterns is one of the values, or there is none.
func among(patterns, values []string, is func(pattern, value string) bool) bool {
	for _, p := range patterns {
		for _, v := range values {
			if is(p, v) {
				return true
			}
		}
	}
	return len(patterns) == 0
}

func exactly(pattern, value string) bool { return pattern == value }

// isDNS compares names; "*.example.com" is any name below that one.
func isDNS(pattern, name string) bool {
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		return len(name) > len(suffix) && strings.HasSuffix(name, suffix)
	}
	return pattern == name
}

// isBelow compares URIs; one that ends in "/*" is anything below that segment.
func isBelow(pattern, uri string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return len(uri) > len(prefix) && strings.HasPrefix(uri, prefix)
	}
	return pattern == uri
}

func isEmail(pattern, address string) bool {
	if domain, ok := strings.CutPrefix(pattern, "*"); ok {
		at := strings.LastIndexByte(address, '@')
		return at > 0 && address[at:] == domain
	}
	return pattern == address
}

func (r *certificateRule) hasAddress(c *clientcert.Certificate) bool {
	for _, n := range r.IPs {
		for _, a := range c.IPs {
			if n.Contains(a) {
				return true
			}
		}
	}
	return len(r.IPs) == 0
}

func (r *certificateRule) hasIdentity(c *clientcert.Certificate) bool {
	if len(r.Identities) == 0 {
		return true
	}
	id := c.SPIFFE()
	return id != "" && slices.ContainsFunc(r.Identities, func(p string) bool { return p == "*" || isBelow(p, id) })
}

// issued tells whether one of the issuers has part in a chain by which the
// certificate was verified.
func (r *certificateRule) issued(chains [][]*x509.Certificate) bool {
	for _, chain := range chains {
		if slices.ContainsFunc(chain[1:], func(c *x509.Certificate) bool { return slices.Contains(r.issuers, sha256.Sum256(c.Raw)) }) {
			return true
		}
	}
	return false
}
