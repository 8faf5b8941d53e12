package join_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/admit"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/identity/identitytest"
	"github.com/gridway/gridway/internal/mesh/join"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

// Machines join by SVIDs that they have: as themselves, and as what grants say.
func TestJoinBySVID(t *testing.T) {
	p := begin(t, statetest.SQLite(t), func(o *admit.Options) {
		o.SVIDs = admit.FixedGrants(
			admit.SVIDGrant{ID: "spiffe://west.example/host/*", Role: identity.RoleWorkload, Namespaces: []string{"shop"}, Services: []string{"cart*"}},
			admit.SVIDGrant{ID: "spiffe://prod.example.com/ns/shop/sa/reviews", Role: identity.RoleNode, Nodes: []string{"rack1-*"}, Namespaces: []string{"shop"}, Services: []string{"*"}},
		)
	})
	west, stranger := identitytest.New(t, "west.example"), identitytest.New(t, "stranger.example")
	p.ca.Keyring().Apply(identity.Change{Bundles: []*identity.Bundle{p.ca.Bundle(), west.Bundle()}})
	own := &join.Held{SVID: p.first("reviews"), Bundles: []*identity.Bundle{p.ca.Bundle()}}
	of := func(a *identitytest.Authority, path string, life time.Duration) *join.Held {
		id, err := identity.Parse("spiffe://" + a.TrustDomain().Name() + path)
		if err != nil {
			t.Fatal(err)
		}
		return &join.Held{SVID: a.SVID(id, life), Bundles: []*identity.Bundle{a.Bundle()}}
	}
	// federated has the mesh's bundle beside its own, and says whose it is to be.
	federated := func(mesh identity.TrustDomain, bundles ...*identity.Bundle) *join.Held {
		h := of(west, "/host/a", time.Hour)
		h.Bundles, h.Mesh = append(h.Bundles, bundles...), mesh
		return h
	}
	workload := func(name string) identity.Name {
		return identity.Name{Role: identity.RoleWorkload, Namespace: "shop", Service: name}
	}
	node := identity.Name{Role: identity.RoleNode, Node: "rack1-a"}
	try := func(h *join.Held, as identity.Name, bundle *identity.Bundle) (*join.Client, *identity.Keyring, error) {
		k := identity.NewKeyring(identity.Options{})
		o := join.ClientOptions{Addresses: []string{p.address}, Keyring: k, As: as, SVID: func(context.Context) (*join.Held, error) { return h, nil }}
		if bundle != nil {
			o.Bundle = func() (*identity.Bundle, error) { return bundle, nil }
		}
		c, err := join.NewClient(o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		return c, k, c.Join(ctx)
	}

	if _, k, err := try(own, workload("reviews"), nil); err != nil || k.SVID(k.Own()).Serial() == own.SVID.Serial() || p.notes("SVID of spiffe://prod.example.com/ns/shop/sa/reviews") != 1 {
		t.Fatalf("as itself: %v", err)
	}
	if c, k, err := try(of(west, "/host/a", time.Hour), workload("cart-1"), p.ca.Bundle()); err != nil || k.Own().String() != "spiffe://prod.example.com/ns/shop/sa/cart-1" {
		t.Fatalf("of a trust domain that is trusted: %v", err)
	} else if _, err := c.Renew(t.Context()); err != nil {
		t.Errorf("it renews by what it was given: %v", err)
	}
	if _, k, err := try(federated(td, p.ca.Bundle()), workload("cart-2"), nil); err != nil || k.Own().String() != "spiffe://prod.example.com/ns/shop/sa/cart-2" {
		t.Fatalf("by the mesh's bundle that came with the SVID: %v", err)
	}
	c, k, err := try(own, node, nil)
	if err != nil || k.Own().String() != "spiffe://prod.example.com/gridway/node/rack1-a" {
		t.Fatalf("as a node: %v", err)
	}
	if _, err := c.Delegate(t.Context(), identity.Workload(td, "shop", "search")); err != nil {
		t.Errorf("what the grant says of workloads: %v", err)
	}
	if _, err := c.Delegate(t.Context(), identity.Workload(td, "bank", "search")); err == nil {
		t.Error("a workload that no grant has")
	}

	for _, c := range []struct {
		name   string
		held   *join.Held
		as     identity.Name
		bundle *identity.Bundle
		want   string
	}{
		{"as another", own, workload("cart"), nil, "may not join as spiffe://prod.example.com/ns/shop/sa/cart"},
		{"as a node that no grant has", own, identity.Name{Role: identity.RoleNode, Node: "rack2-a"}, nil, "may not join as"},
		{"as what another grant has", of(west, "/host/a", time.Hour), workload("reviews"), p.ca.Bundle(), "may not join as"},
		{"of an ID beside the grant", of(west, "/hostess", time.Hour), workload("cart"), p.ca.Bundle(), "may not join as"},
		{"the same path elsewhere", of(west, "/ns/shop/sa/reviews", time.Hour), workload("reviews"), p.ca.Bundle(), "may not join as"},
		{"a control plane", of(west, "/gridway/control", time.Hour), workload("cart"), p.ca.Bundle(), "is a control plane"},
		{"without a bundle of the mesh", of(west, "/host/a", time.Hour), workload("cart"), nil, "not trusted"},
		{"of a mesh that is not said", federated(identity.TrustDomain{}, p.ca.Bundle()), workload("cart"), nil, "not trusted"},
		{"of a mesh whose bundle did not come", federated(td), workload("cart"), nil, "with the SVID of spiffe://west.example/host/a come bundles of west.example, and none of prod.example.com"},
		{"of a trust domain that is not trusted", of(stranger, "/host/a", time.Hour), workload("cart"), p.ca.Bundle(), "is spiffe://stranger.example/host/a of a trust domain that it trusts"},
		{"forged", of(identitytest.New(t, "west.example"), "/host/a", time.Hour), workload("cart"), p.ca.Bundle(), "of a trust domain that it trusts, and not denied?"},
		{"ended", of(west, "/host/a", time.Nanosecond), workload("cart"), p.ca.Bundle(), "has ended at"},
	} {
		if _, k, err := try(c.held, c.as, c.bundle); err == nil || !strings.Contains(err.Error(), c.want) || !k.Own().IsZero() {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	p.ca.Keyring().Apply(identity.Change{Denied: []identity.Denial{{ID: "spiffe://west.example/host/a"}}})
	if _, _, err := try(of(west, "/host/a", time.Hour), workload("cart"), p.ca.Bundle()); err == nil || !strings.Contains(err.Error(), "not denied?") {
		t.Errorf("denied: %v", err)
	}
	if _, _, err := try(of(west, "/host/b", time.Hour), workload("cart"), p.ca.Bundle()); err != nil {
		t.Errorf("another than the denied one: %v", err)
	}
}

// first is the SVID of a service that joins by a token.
func (p *plane) first(service string) *identity.SVID {
	p.t.Helper()
	c, k := proxy(p.t, p.address, p.token(1).Text(), service)
	if err := c.Join(context.Background()); err != nil {
		p.t.Fatal(err)
	}
	return k.SVID(k.Own())
}

func TestReadHeld(t *testing.T) {
	a := identitytest.New(t, "west.example")
	good := a.Workload("shop", "reviews")
	key, err := x509.MarshalPKCS8PrivateKey(good.Key())
	if err != nil {
		t.Fatal(err)
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: good.Chain()})
	keys := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Root.Raw})
	other, err := x509.MarshalPKCS8PrivateKey(identitytest.Key(t))
	if err != nil {
		t.Fatal(err)
	}
	write := func(svid, key, bundle []byte) string {
		dir := t.TempDir()
		for name, text := range map[string][]byte{"svid.pem": svid, "svid_key.pem": key, "bundle.pem": bundle} {
			if text != nil {
				if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		return dir
	}
	h, err := join.ReadHeld(write(chain, keys, root))
	if err != nil || h.SVID.ID() != good.ID() || len(h.Bundles) != 1 || h.Bundles[0].TrustDomain() != a.TrustDomain() {
		t.Fatalf("%+v, %v", h, err)
	}
	for want, dir := range map[string]string{
		"svid_key.pem":     write(chain, nil, root),
		"bundle.pem":       write(chain, keys, []byte("x")),
		"no such file":     write(nil, keys, root),
		"private key":      write(chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: other}), root),
		"more than":        write(chain, make([]byte, 1<<20+1), root),
		"is no authority":  write(chain, keys, chain),
		"certificate":      write(root, keys, root),
		"no such file or ": filepath.Join(t.TempDir(), "none"),
	} {
		if _, err := join.ReadHeld(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := join.AskHeld(t.Context(), filepath.Join(t.TempDir(), "none.sock")); err == nil || !strings.Contains(err.Error(), "the Workload API at ") {
		t.Errorf("%v", err)
	}
}
