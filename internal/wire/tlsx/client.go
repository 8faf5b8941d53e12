package tlsx

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/gridway/gridway/internal/ir"
)

// sessions is how many upstream sessions a cluster remembers for resumption.
const sessions = 128

// ClientConfig makes the configuration for connections to a cluster's
// endpoints. Without ServerName and SANs the caller sets ServerName (to the
// endpoint's hostname) on a Clone, which shares the session cache; if it does
// not, handshakes fail. A nil t is an error.
func ClientConfig(t *ir.UpstreamTLS) (*tls.Config, error) {
	if t == nil {
		return nil, errors.New("tlsx: no upstream TLS settings")
	}
	lo, hi, err := parseVersions(t.MinVersion, t.MaxVersion)
	if err != nil {
		return nil, fmt.Errorf("tlsx: upstream: %w", err)
	}
	roots, err := roots(t)
	if err != nil {
		return nil, fmt.Errorf("tlsx: upstream: %w", err)
	}
	config := &tls.Config{
		ServerName:                  strings.TrimSuffix(t.ServerName, "."),
		RootCAs:                     roots,
		MinVersion:                  lo,
		MaxVersion:                  hi,
		NextProtos:                  alpnHTTP1,
		ClientSessionCache:          tls.NewLRUClientSessionCache(sessions),
		DynamicRecordSizingDisabled: true,
	}
	if t.Certificate != nil {
		pair, err := parsePair(t.Certificate)
		if err != nil {
			return nil, fmt.Errorf("tlsx: upstream: client certificate %s: %w", t.Certificate.Name, err)
		}
		// Presented even if the server's list of CAs does not name its issuer:
		// the list is a hint, and the server's own refusal says more.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
	}
	switch {
	case t.Insecure:
		config.InsecureSkipVerify = true
	case len(t.SANs) > 0:
		for _, s := range t.SANs {
			if (s.DNS == "") == (s.URI == "") {
				return nil, errors.New("tlsx: upstream: a SAN must have either a DNS name or a URI")
			}
		}
		// crypto/tls can verify the server name only; verifySANs does all that
		// it would have done, with the SANs in place of the name.
		config.InsecureSkipVerify = true
		config.VerifyConnection = verifySANs(config, t.SANs)
	}
	return config, nil
}

// roots returns who may sign endpoints' certificates; nil is the system's.
func roots(t *ir.UpstreamTLS) (*x509.CertPool, error) {
	if len(t.CA) == 0 {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if t.System {
		system, err := x509.SystemCertPool()
		if err != nil {
			return nil, fmt.Errorf("system roots: %w", err)
		}
		pool = system
	}
	return pool, parsePool(pool, t.CA)
}

// verifySANs verifies the chain and that the leaf has one of the names. It runs
// for resumed sessions too.
func verifySANs(config *tls.Config, sans []ir.SAN) func(tls.ConnectionState) error {
	rootCAs := config.RootCAs
	return func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("tlsx: the endpoint sent no certificate")
		}
		leaf := state.PeerCertificates[0]
		opts := x509.VerifyOptions{
			Roots:         rootCAs,
			Intermediates: x509.NewCertPool(),
			KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}
		for _, c := range state.PeerCertificates[1:] {
			opts.Intermediates.AddCert(c)
		}
		if _, err := leaf.Verify(opts); err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
		}
		for _, s := range sans {
			if hasSAN(leaf, s) {
				return nil
			}
		}
		return &tls.CertificateVerificationError{
			UnverifiedCertificates: state.PeerCertificates,
			Err:                    fmt.Errorf("the certificate has none of the required subject alternative names, but %s", describeSANs(leaf)),
		}
	}
}

func hasSAN(leaf *x509.Certificate, want ir.SAN) bool {
	if want.URI != "" {
		for _, u := range leaf.URIs {
			if u.String() == want.URI {
				return true
			}
		}
		return false
	}
	if !strings.HasPrefix(want.DNS, "*.") {
		return leaf.VerifyHostname(want.DNS) == nil
	}
	for _, name := range leaf.DNSNames {
		if strings.EqualFold(name, want.DNS) {
			return true
		}
	}
	return false
}

func describeSANs(leaf *x509.Certificate) string {
	names := append([]string(nil), leaf.DNSNames...)
	for _, u := range leaf.URIs {
		names = append(names, u.String())
	}
	if len(names) == 0 {
		return "no names at all"
	}
	return "only " + strings.Join(names[:min(len(names), 8)], ", ")
}
