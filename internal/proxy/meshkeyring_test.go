package proxy_test

import (
	"crypto"
	"crypto/x509"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/wire/tlsx"
	"github.com/gridway/gridway/internal/wire/tlsx/meshtest"
)

// keyring is the real thing, with an SVID of the authority.
func keyring(t *testing.T, a *meshtest.Authority, service string) (*identity.Keyring, identity.ID) {
	t.Helper()
	td, err := identity.ParseTrustDomain("example.org")
	if err != nil {
		t.Fatal(err)
	}
	id := identity.Workload(td, "default", service)
	cert := a.Issue(id.String(), time.Hour)
	svid, err := identity.NewSVID([]*x509.Certificate{cert.Leaf}, cert.PrivateKey.(crypto.Signer))
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := identity.NewBundle(identity.BundleParts{TrustDomain: td, Roots: []*x509.Certificate{a.Root()}})
	if err != nil {
		t.Fatal(err)
	}
	k := identity.NewKeyring(identity.Options{})
	k.Apply(identity.Change{Own: id, Put: []*identity.SVID{svid}, Bundles: []*identity.Bundle{bundle}})
	return k, id
}

// Proxies with keyrings speak to each other until one is denied, by the serial number of
// its certificate.
func TestMeshKeyring(t *testing.T) {
	a := meshtest.NewAuthority(t)
	ours, _ := keyring(t, a, "shop")
	theirs, reviews := keyring(t, a, "reviews")
	cfg := config(serve(t, sayHello))
	l := cfg.Listeners[0]
	l.Protocol, l.Mesh = ir.HTTPS, true
	l.Sections[0].Protocol, l.Sections[0].ServerNames = ir.HTTP, []string{reviewsAt}
	server := startWith(t, proxy.Options{Identities: theirs}, cfg)
	cfg = config("")
	cfg.Clusters[0].Endpoints[0] = ir.Endpoint{Address: server.addr, Weight: 1, Identity: reviews.String(), ServerName: reviewsAt}
	client := startWith(t, proxy.Options{Identities: ours}, cfg)
	for range 3 {
		if resp, body := client.get("/"); resp.StatusCode != 200 || body != "hello" {
			t.Fatal(resp.Status, body)
		}
	}
	cert, err := ours.Certificate("")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	theirs.Apply(identity.Change{Denied: []identity.Denial{{Serial: tlsx.Serial(leaf)}}})
	waitFor(t, "the cut", func() bool { return server.proxy.Left() == 0 })
	if resp, _ := client.get("/"); resp.Header.Get("X-Gridway-Reason") != "MeshTLSFailure" {
		t.Error(resp.Status, resp.Header.Get("X-Gridway-Reason"))
	}
}
