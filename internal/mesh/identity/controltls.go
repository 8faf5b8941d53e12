package identity

import (
	"crypto/tls"
	"fmt"
)

// ControlTLS is a client's TLS 1.3 with who proves to be the control plane of a trust
// domain. The client shows its own SVID.
func (k *Keyring) ControlTLS(td TrustDomain) *tls.Config {
	want := Control(td).String()
	return &tls.Config{
		// The server is proved by its SPIFFE ID, which no host name is a part of.
		MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, NextProtos: []string{"h2"},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return k.Certificate("") },
		VerifyConnection: func(s tls.ConnectionState) error {
			id, err := k.VerifyPeer(s.PeerCertificates)
			if err == nil && id != want {
				err = fmt.Errorf("who answers is %s, and not %s", id, want)
			}
			return err
		},
	}
}
