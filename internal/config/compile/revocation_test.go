package compile

import (
	"crypto/x509"
	"os"
	"testing"
)

// FuzzCRLs: lists that are read are complete ones, which proxies read, too.
func FuzzCRLs(f *testing.F) {
	f.Add([]byte("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"))
	if text, err := os.ReadFile("testdata/revocation.in.yaml"); err == nil {
		f.Add(text) // with lists in it
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		list, err := parseCRLs(content)
		if err != nil {
			return
		}
		if len(list) > maxCRLs {
			t.Fatalf("%d lists", len(list))
		}
		for _, c := range list {
			again, err := x509.ParseRevocationList(c.DER)
			if err != nil || len(again.RevokedCertificateEntries) != c.Revoked {
				t.Fatalf("%+v: %v", c, err)
			}
		}
	})
}
