package e2e

import (
	"crypto/tls"
	"errors"
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

// In whatever order and way the files change, each handshake gets a whole pair:
// the key first, through a link that changes its target, over the old bytes.
func TestCertificateFilesInAnyOrder(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "ca")
	live := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(live, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, name string) {
		next := filepath.Join(live, name+".next")
		if err := errors.Join(os.Symlink(to, next), os.Rename(next, filepath.Join(live, name))); err != nil {
			t.Fatal(err)
		}
	}
	folders := 0
	folder := func(cert, key string) { // as Kubernetes mounts Secrets
		folders++
		name := fmt.Sprint("..", folders)
		if err := os.Mkdir(filepath.Join(live, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(name+"/cert.pem", cert)
		write(name+"/key.pem", key)
		link(name, "..data")
	}
	folder(ca.issue("files.test"))
	link("..data/cert.pem", "cert.pem")
	link("..data/key.pem", "key.pem")
	port := ownPort(t)
	p := start(t, documents(gatewayOn("", fmt.Sprintf("{name: https, port: %d, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}", port)),
		fmt.Sprintf(`apiVersion: v1
kind: Secret
metadata: {name: cert, annotations: {gridway.dev/files: "tls.crt=%s/cert.pem, tls.key=%s/key.pem"}}
type: kubernetes.io/tls
`, live, live)))
	serial := func() string {
		conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{RootCAs: ca.pool, ServerName: "files.test"})
		if err != nil {
			t.Fatal(err, p.log.String())
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	for what, change := range map[string]func(cert, key string){
		"another folder": folder,
		"the key first": func(cert, key string) {
			before := serial()
			write("key2.pem", key)
			link("key2.pem", "key.pem")
			for range 20 { // the certificate is late
				if serial() != before {
					t.Error("another certificate before it was there")
				}
			}
			write("cert2.pem", cert)
			link("cert2.pem", "cert.pem")
		},
		"in place": func(cert, key string) {
			write("cert.pem", cert[:len(cert)/2])
			serial()
			write("cert.pem", cert)
			serial()
			write("key.pem", key)
		},
	} {
		before := serial()
		change(ca.issue("files.test"))
		eventually(t, "the certificate of "+what, func() bool { return serial() != before })
		link("..data/cert.pem", "cert.pem")
		link("..data/key.pem", "key.pem")
		folder(ca.issue("files.test"))
		after := serial()
		folder(ca.issue("files.test"))
		eventually(t, "the next certificate", func() bool { return serial() != after })
	}
}
