package snapshot

import (
	"crypto/x509"
	"encoding/pem"

	"github.com/gridway/gridway/internal/ir"
)

// certificateURIs are what this proxy calls itself in X-Forwarded-Client-Cert. Which
// of several certificates a client was shown is not known later on.
func certificateURIs(l *ir.Listener) (out []string) {
	switch l.Client.ClientCert.Mode {
	case ir.ClientCertAppendForward, ir.ClientCertSanitizeSet:
	default:
		return nil
	}
	var only *ir.Certificate
	for _, s := range l.Sections {
		if s.TLS == nil {
			continue
		}
		for _, c := range s.TLS.Certificates {
			if only != nil && only != c {
				return nil
			}
			only = c
		}
	}
	if only == nil {
		return nil
	}
	block, _ := pem.Decode(only.Chain)
	if block == nil {
		return nil
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil // who terminates TLS says so
	}
	for _, u := range leaf.URIs {
		out = append(out, u.String())
	}
	return out
}
