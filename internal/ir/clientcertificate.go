package ir

import (
	"crypto/sha256"
	"net/netip"
	"strings"
)

// ClientCertificateAuth accepts certificates that TLS has verified or, FromHeader,
// that a trusted proxy has.
type ClientCertificateAuth struct {
	// Allow are rules of which one must hold; none is any certificate.
	Allow      []CertificateRule `json:"allow,omitempty"`
	FromHeader bool              `json:"fromHeader,omitempty"`
	// Revocation is nil where nobody looks for revoked ones.
	Revocation *Revocation `json:"revocation,omitempty"`
	// ConsumerRequired refuses a certificate that no Consumer has.
	ConsumerRequired bool `json:"consumerRequired,omitempty"`
	// Consumer is the claim, as ParseClaim makes it, that names the Consumer where no
	// credential does; nil is none.
	Consumer []string `json:"consumer,omitempty"`
}

// CertificateRule holds if each of its lists that is not empty has something that
// the certificate has.
type CertificateRule struct {
	CommonNames         []string `json:"commonNames,omitempty"`
	Organizations       []string `json:"organizations,omitempty"`
	OrganizationalUnits []string `json:"organizationalUnits,omitempty"`
	// Subjects are as RFC 4514 writes them, in the form of package x500.
	Subjects []string `json:"subjects,omitempty"`
	// DNSNames are in lower case, also "*.example.com".
	DNSNames []string `json:"dnsNames,omitempty"`
	// URIs are whole, or end in "/*".
	URIs []string `json:"uris,omitempty"`
	// Emails are as EmailAddress makes them, also "*@example.com".
	Emails []string       `json:"emails,omitempty"`
	IPs    []netip.Prefix `json:"ips,omitempty"`
	// Identities are SPIFFE IDs, whole or ending in "/*", or "*".
	Identities []string `json:"identities,omitempty"`
	// Fingerprints are of the certificate, Issuers of one that it was verified by:
	// SHA-256, in hexadecimal and lower case.
	Fingerprints []string `json:"fingerprints,omitempty"`
	Issuers      []string `json:"issuers,omitempty"`
}

// CertificateKey is what of a certificate a credential names.
type CertificateKey string

// What credentials of certificates may name.
const (
	CertificateFingerprint CertificateKey = "fingerprint"
	CertificateURI         CertificateKey = "uri"
	CertificateDNS         CertificateKey = "dns"
	CertificateEmail       CertificateKey = "email"
	CertificateSubject     CertificateKey = "subject"
)

// CertificateDigest is what a certificate's credential is found by. No key has it,
// since none begins with a NUL, and no user, whose name would have a colon.
func CertificateDigest(kind CertificateKey, value string) [sha256.Size]byte {
	return sha256.Sum256([]byte("\x00certificate:" + string(kind) + ":" + value))
}

// EmailAddress is an address with its domain in lower case, in which the case of
// letters does not count (RFC 5280 §7.5).
func EmailAddress(s string) string {
	at := strings.LastIndexByte(s, '@')
	return s[:at+1] + strings.ToLower(s[at+1:])
}

// ForwardedClientCert is what becomes of X-Forwarded-Client-Cert.
type ForwardedClientCert struct {
	Mode ClientCertMode `json:"mode,omitempty"`
	// What is told of the client's certificate beside its hash.
	Subject bool `json:"subject,omitempty"`
	Cert    bool `json:"cert,omitempty"`
	Chain   bool `json:"chain,omitempty"`
	DNS     bool `json:"dns,omitempty"`
	URI     bool `json:"uri,omitempty"`
}

// ClientCertMode says what becomes of X-Forwarded-Client-Cert.
type ClientCertMode string

const (
	// ClientCertSanitize removes it.
	ClientCertSanitize ClientCertMode = ""
	// ClientCertForwardOnly leaves that of clients with a verified certificate.
	ClientCertForwardOnly ClientCertMode = "forward-only"
	// ClientCertAppendForward adds to that of clients with a verified certificate.
	ClientCertAppendForward ClientCertMode = "append-forward"
	// ClientCertSanitizeSet writes it for clients with a verified certificate.
	ClientCertSanitizeSet ClientCertMode = "sanitize-set"
	// ClientCertAlwaysForwardOnly leaves that of every client.
	ClientCertAlwaysForwardOnly ClientCertMode = "always-forward-only"
)
