package e2e

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Certificates in PEM files that another program renews, with new connections
// all the time: each handshake gets a whole pair, first the old and then the new.
func TestCertificateFilesRenewed(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "ca")
	live := t.TempDir()
	put := func(name, text string) {
		path := filepath.Join(live, name)
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	renew := func() {
		cert, key := ca.issue("files.test")
		put("cert.pem", cert)
		put("key.pem", key)
	}
	renew()
	port := ownPort(t)
	p := start(t, fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: gridway
  listeners: [{name: https, port: %d, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}]
---
apiVersion: v1
kind: Secret
metadata: {name: cert, annotations: {gridway.dev/files: "tls.crt=%s/cert.pem, tls.key=%s/key.pem"}}
type: kubernetes.io/tls
`, port, live, live))
	serial := func() string {
		conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{RootCAs: ca.pool, ServerName: "files.test"})
		if err != nil {
			t.Fatal(err, p.log.String())
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	for range 5 {
		before := serial()
		renew()
		eventually(t, "the renewed certificate", func() bool { return serial() != before })
	}
	// One without its key is told, and does not serve.
	before := serial()
	cert, _ := ca.issue("files.test")
	put("cert.pem", cert)
	eventually(t, "the complaint", func() bool {
		return strings.Contains(p.log.String(), "is not the certificate of the private key beside it")
	})
	if serial() != before || strings.Contains(p.log.String(), "BEGIN") {
		t.Errorf("a certificate without its key was taken, or shown: %s", p.log.String())
	}
}
