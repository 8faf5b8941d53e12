// Package clientcert is what is known of the certificate that a client has proved
// itself with: to this proxy, or to one in front of it, which says so in
// X-Forwarded-Client-Cert. It reads and writes that header in the form that Envoy
// has given it. The pipeline and filters import it; it owns no goroutines.
package clientcert

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/x500"
)

// maxNames is how many of a certificate's alternative names of each kind count.
const maxNames = 64

// Certificate is what is known of one. It is immutable.
type Certificate struct {
	// Fingerprint is the SHA-256 of its DER; Hashed tells whether it is known.
	Fingerprint [sha256.Size]byte
	Hashed      bool
	// Subject, and SubjectText, which is it by RFC 4514.
	Subject     x500.Name
	SubjectText string
	// DNS names are in lower case, as are the domains of Emails.
	DNS, URIs, Emails []string
	IPs               []netip.Addr
	// TrustDomain and Path are of the SPIFFE ID, if it is one (X.509-SVID §2).
	TrustDomain, Path string
	// NotBefore and NotAfter are zero where they are not known.
	NotBefore, NotAfter time.Time
	// Claims are sub, iss, cn, o, ou, dns, uri, email, ip, spiffe, fingerprint,
	// serial, nbf and exp, as far as there are any.
	Claims *filter.Claims
	// Keys are what credentials of Consumers are found by, in their order: the
	// fingerprint, URIs, DNS names, email addresses, the subject.
	Keys [][sha256.Size]byte
}

// Of reads a certificate.
func Of(cert *x509.Certificate) (*Certificate, error) {
	c := &Certificate{NotBefore: cert.NotBefore, NotAfter: cert.NotAfter}
	if len(cert.Raw) > 0 { // an imagined one has none
		c.Fingerprint, c.Hashed = sha256.Sum256(cert.Raw), true
	}
	issuer := ""
	for _, n := range []struct {
		der  []byte
		text *string
		name *x500.Name
	}{{cert.RawSubject, &c.SubjectText, &c.Subject}, {cert.RawIssuer, &issuer, nil}} {
		if len(n.der) == 0 {
			continue
		}
		name, err := x500.FromDER(n.der)
		if err != nil {
			return nil, err
		}
		if *n.text = name.String(); n.name != nil {
			*n.name = name
		}
	}
	for _, u := range cert.URIs {
		c.URIs = append(c.URIs, u.String())
	}
	for _, ip := range cert.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok {
			c.IPs = append(c.IPs, a.Unmap())
		}
	}
	c.DNS, c.Emails = cert.DNSNames, cert.EmailAddresses
	more := map[string]any{}
	if issuer != "" {
		more["iss"] = issuer
	}
	if cert.SerialNumber != nil {
		more["serial"] = hex.EncodeToString(cert.SerialNumber.Bytes())
	}
	c.complete(more)
	return c, nil
}

// complete derives what the names lead to. Claims has those that they do not.
func (c *Certificate) complete(claims map[string]any) {
	c.DNS, c.URIs, c.Emails = bounded(c.DNS), bounded(c.URIs), bounded(c.Emails)
	c.IPs = c.IPs[:min(len(c.IPs), maxNames)]
	for i, name := range c.DNS {
		c.DNS[i] = strings.ToLower(name)
	}
	for i, address := range c.Emails {
		c.Emails[i] = ir.EmailAddress(address)
	}
	if len(c.URIs) == 1 {
		if u, err := url.Parse(c.URIs[0]); err == nil {
			c.TrustDomain, c.Path, _ = filter.SPIFFE(u)
		}
	}
	c.claim(claims)
	c.keys()
}

// bounded is a copy, which may be changed.
func bounded(list []string) []string {
	return append([]string(nil), list[:min(len(list), maxNames)]...)
}

func (c *Certificate) claim(claims map[string]any) {
	text := func(name, value string) {
		if value != "" {
			claims[name] = value
		}
	}
	list := func(name string, values []string) {
		if len(values) > 0 {
			all := make([]any, len(values))
			for i, v := range values {
				all[i] = v
			}
			claims[name] = all
		}
	}
	text("sub", c.Name())
	if cn := c.Subject.Values("CN"); len(cn) > 0 {
		text("cn", cn[0])
	}
	list("o", c.Subject.Values("O"))
	list("ou", c.Subject.Values("OU"))
	list("dns", c.DNS)
	list("uri", c.URIs)
	list("email", c.Emails)
	addresses := make([]string, len(c.IPs))
	for i, a := range c.IPs {
		addresses[i] = a.String()
	}
	list("ip", addresses)
	text("spiffe", c.SPIFFE())
	if c.Hashed {
		text("fingerprint", hex.EncodeToString(c.Fingerprint[:]))
	}
	if !c.NotAfter.IsZero() {
		claims["nbf"], claims["exp"] = c.NotBefore.Unix(), c.NotAfter.Unix()
	}
	c.Claims = filter.NewClaims(claims)
}

// Name is the subject or, where that is empty, as it is in many SVIDs, the first
// URI or DNS name.
func (c *Certificate) Name() string {
	switch {
	case c.SubjectText != "":
		return c.SubjectText
	case len(c.URIs) > 0:
		return c.URIs[0]
	case len(c.DNS) > 0:
		return c.DNS[0]
	}
	return ""
}

// SPIFFE is the SPIFFE ID, empty if there is none.
func (c *Certificate) SPIFFE() string {
	if c.TrustDomain == "" {
		return ""
	}
	return "spiffe://" + c.TrustDomain + c.Path
}

func (c *Certificate) keys() {
	add := func(kind ir.CertificateKey, values ...string) {
		for _, v := range values {
			c.Keys = append(c.Keys, ir.CertificateDigest(kind, v))
		}
	}
	if c.Hashed {
		add(ir.CertificateFingerprint, hex.EncodeToString(c.Fingerprint[:]))
	}
	add(ir.CertificateURI, c.URIs...)
	add(ir.CertificateDNS, c.DNS...)
	add(ir.CertificateEmail, c.Emails...)
	if c.SubjectText != "" {
		add(ir.CertificateSubject, c.SubjectText)
	}
}

// Timely tells whether the certificate is valid at a time, as far as that is known:
// a connection may live longer than the certificate that it began with.
func (c *Certificate) Timely(at time.Time) bool {
	return (c.NotBefore.IsZero() || !at.Before(c.NotBefore)) && (c.NotAfter.IsZero() || !at.After(c.NotAfter))
}

// parsePEM reads the first certificate of a text.
func parsePEM(text []byte) (*x509.Certificate, error) {
	der, err := decodePEM(text)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("the certificate cannot be read: %w", err)
	}
	return cert, nil
}
