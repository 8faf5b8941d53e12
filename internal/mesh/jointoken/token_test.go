package jointoken_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/jointoken"
)

func TestText(t *testing.T) {
	token := jointoken.New()
	again, err := jointoken.Parse(" " + token.Text() + "\n")
	if err != nil || again != token {
		t.Errorf("%v", err)
	}
	if kept, err := jointoken.FromParts(token.ID(), token.Secret()); err != nil || kept != token {
		t.Errorf("%v", err)
	}
	for _, text := range []string{fmt.Sprint(token), fmt.Sprintf("%v %+v %#v %s", token, token, token, token)} {
		if strings.Contains(text, token.Secret()) {
			t.Errorf("formatted as %s", text)
		}
	}
	for _, text := range []string{"", "gwj_", token.Text()[1:], token.Text() + "a", strings.ToUpper(token.Text()), strings.Replace(token.Text(), "_", "-", 2), token.Text()[:20]} {
		_, err := jointoken.Parse(text)
		if err == nil || strings.Contains(err.Error(), token.Secret()) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Each part of what was seen is proven, and neither side's proof is the other's.
func TestProofs(t *testing.T) {
	token := jointoken.New()
	base := jointoken.Transcript{TokenID: "a", ClientNonce: []byte("b"), ServerNonce: []byte("c"), TrustDomain: "d", Bundle: []byte("e"), Exporter: []byte("f")}
	proofs := [][]byte{token.AuthorityProof(&base), token.ProxyProof(&base, nil), token.ProxyProof(&base, []byte("x")), jointoken.New().AuthorityProof(&base)}
	for _, change := range []func(*jointoken.Transcript){
		func(x *jointoken.Transcript) { x.TokenID = "z" }, func(x *jointoken.Transcript) { x.ClientNonce = []byte("z") },
		func(x *jointoken.Transcript) { x.ServerNonce = []byte("z") }, func(x *jointoken.Transcript) { x.TrustDomain = "z" },
		func(x *jointoken.Transcript) { x.Bundle = []byte("z") }, func(x *jointoken.Transcript) { x.Exporter = []byte("z") },
		func(x *jointoken.Transcript) { x.ClientNonce, x.ServerNonce = []byte("bc"), nil },
	} {
		other := base
		change(&other)
		proofs = append(proofs, token.AuthorityProof(&other))
	}
	for i, a := range proofs {
		for j, b := range proofs {
			if jointoken.Equal(a, b) != (i == j) || bytes.Equal(a, b) != (i == j) {
				t.Errorf("proofs %d and %d", i, j)
			}
		}
	}
	if jointoken.Equal(nil, nil) || jointoken.Equal(proofs[0][:5], proofs[0][:5]) {
		t.Error("proofs that are none are equal")
	}
}

func TestGrants(t *testing.T) {
	g := jointoken.Grants{Role: identity.RoleWorkload, Namespaces: []string{"shop", "team-*"}, Services: []string{"reviews", "cart-*"}}
	if err := g.Check(); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]bool{
		"shop/reviews": true, "shop/cart-v2": true, "team-a/reviews": true, "shop/cart": false, "shop/reviewsx": false, "shopx/reviews": false, "other/reviews": false,
	} {
		namespace, service, _ := strings.Cut(name, "/")
		if got := g.Allow(identity.Name{Role: identity.RoleWorkload, Namespace: namespace, Service: service}); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	any := jointoken.Grants{Role: identity.RoleWorkload, Namespaces: []string{"*"}, Services: []string{"*"}}
	if any.Allow(identity.Name{Role: identity.RoleControl}) || any.Allow(identity.Name{Role: identity.RoleNode, Node: "a"}) || any.Allow(identity.Name{Role: identity.RoleOther}) {
		t.Error("workloads are granted, and others get in")
	}
	node := jointoken.Grants{Role: identity.RoleNode, Nodes: []string{"rack1.*"}}
	if node.Check() != nil || !node.Allow(identity.Name{Role: identity.RoleNode, Node: "rack1.a"}) || node.Allow(identity.Name{Role: identity.RoleNode, Node: "rack2.a"}) {
		t.Error("nodes")
	}
	cart := identity.Name{Role: identity.RoleWorkload, Namespace: "shop", Service: "cart"}
	if node.AllowWorkload(cart) {
		t.Error("a node has workloads that nobody granted")
	}
	node.Namespaces, node.Services = []string{"shop"}, []string{"ca*"}
	if node.Check() != nil || !node.AllowWorkload(cart) || node.Allow(cart) || node.AllowWorkload(identity.Name{Role: identity.RoleWorkload, Namespace: "shop", Service: "reviews"}) ||
		node.AllowWorkload(identity.Name{Role: identity.RoleNode, Node: "rack1.a"}) {
		t.Error("workloads of nodes")
	}
	for want, g := range map[string]jointoken.Grants{
		"must be workload or node": {Role: identity.RoleControl}, "needs 1 to 64 namespace": {Role: identity.RoleWorkload, Services: []string{"a"}},
		"needs 1 to 64 node": {Role: identity.RoleNode}, "1 to 64 namespace names": {Role: identity.RoleNode, Nodes: []string{"a"}, Services: []string{"a"}},
		"is no name": {Role: identity.RoleWorkload, Namespaces: []string{"a*b"}, Services: []string{"a"}},
	} {
		if err := g.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(jointoken.New().Text())
	f.Add("gwj_abcdefghij_" + strings.Repeat("a", 32))
	f.Fuzz(func(t *testing.T, text string) {
		token, err := jointoken.Parse(text)
		if err == nil && token.Text() != strings.TrimSpace(text) {
			t.Errorf("%q became %q", text, token.Text())
		}
	})
}
