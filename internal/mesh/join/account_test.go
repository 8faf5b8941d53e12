package join_test

import (
	"crypto/ecdsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gridway/gridway/internal/mesh/admit"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/identity/identitytest"
	"github.com/gridway/gridway/internal/mesh/join"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

const issuer = "https://kubernetes.default.svc"

func account(namespace, name string, change ...func(map[string]any)) map[string]any {
	claims := map[string]any{
		"iss": issuer, "aud": []string{"gridway"}, "sub": "system:serviceaccount:" + namespace + ":" + name,
		"iat": time.Now().Unix(), "nbf": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		"kubernetes.io": map[string]any{"namespace": namespace, "serviceaccount": map[string]any{"name": name, "uid": "1"}, "pod": map[string]any{"name": name + "-1", "uid": "2"}},
	}
	for _, f := range change {
		f(claims)
	}
	return claims
}

func signed(t *testing.T, key *ecdsa.PrivateKey, kid string, claims map[string]any) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	j, err := s.Sign(text)
	if err != nil {
		t.Fatal(err)
	}
	out, err := j.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func keySet(t *testing.T, key *ecdsa.PrivateKey, kid string) []byte {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: kid, Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Pods join as their service accounts, and verify the control plane before they send the
// token.
func TestServiceAccounts(t *testing.T) {
	key := identitytest.Key(t)
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, keySet(t, key, "1"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := begin(t, statetest.SQLite(t), func(o *admit.Options) {
		o.Accounts = &admit.ServiceAccounts{Issuer: issuer, Audience: "gridway", KeysFile: file}
	})
	try := func(token string, bundles ...*identity.Bundle) error {
		k := identity.NewKeyring(identity.Options{})
		k.Apply(identity.Change{Bundles: bundles})
		c, err := join.NewClient(join.ClientOptions{
			Addresses: []string{p.address}, Keyring: k, As: identity.Name{Role: identity.RoleWorkload, Namespace: "shop", Service: "reviews"},
			Account: func() (string, error) { return token, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		return c.Join(t.Context())
	}
	good, own := signed(t, key, "1", account("shop", "reviews")), p.ca.Bundle()
	if err := try(good, own); err != nil {
		t.Fatal(err)
	}
	if err := try(good, identitytest.New(t, "prod.example.com").Bundle()); err == nil || !strings.Contains(err.Error(), "not trusted") {
		t.Errorf("the token is sent to anybody: %v", err)
	}
	if err := try(good); err == nil {
		t.Error("the token is sent without a bundle")
	}
	set := func(name string, value any) func(map[string]any) {
		return func(c map[string]any) { c[name] = value }
	}
	for want, token := range map[string]string{
		"another issuer":      signed(t, key, "1", account("shop", "reviews", set("iss", "https://other"))),
		"another audience":    signed(t, key, "1", account("shop", "reviews", set("aud", []string{"https://kubernetes.default.svc"}))),
		"has ended":           signed(t, key, "1", account("shop", "reviews", set("exp", time.Now().Add(-2*time.Minute).Unix()))),
		"never ends":          signed(t, key, "1", account("shop", "reviews", func(c map[string]any) { delete(c, "exp") })),
		"does not hold yet":   signed(t, key, "1", account("shop", "reviews", set("nbf", time.Now().Add(5*time.Minute).Unix()))),
		"as itself alone":     signed(t, key, "1", account("shop", "cart")),
		"service account":     signed(t, key, "1", account("shop", "reviews", set("sub", "system:serviceaccount:shop:cart"))),
		"signature":           signed(t, identitytest.Key(t), "1", account("shop", "reviews")),
		"no key for it":       signed(t, identitytest.Key(t), "2", account("shop", "reviews")),
		"three parts":         "x",
		"not that of a servi": signed(t, key, "1", account("shop", "reviews", func(c map[string]any) { delete(c, "kubernetes.io") })),
	} {
		if err := try(token, own); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "eyJ") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// The issuer's keys are fetched again for a key that is new, and the last good ones go on.
func TestKeysOfTheIssuer(t *testing.T) {
	key := identitytest.Key(t)
	var broken atomic.Bool
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(keySet(t, key, "1"))
	}))
	defer s.Close()
	accounts := &admit.ServiceAccounts{Issuer: issuer, Audience: "gridway", KeysURL: s.URL}
	for range 3 {
		a, err := accounts.Verify(t.Context(), signed(t, key, "1", account("shop", "reviews")))
		if err != nil || a.Namespace != "shop" || a.Name != "reviews" || a.Pod != "reviews-1" {
			t.Errorf("%+v, %v", a, err)
		}
		broken.Store(true)
		if _, err := accounts.Verify(t.Context(), signed(t, key, "2", account("shop", "reviews"))); err == nil {
			t.Error("a key that is not known")
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times in a moment", n)
	}
	for want, a := range map[string]*admit.ServiceAccounts{
		"issuer": {Audience: "a", KeysFile: "x"}, "keys": {Issuer: "a", Audience: "a"}, "a file, or a URL": {Issuer: "a", Audience: "a", KeysFile: "x", KeysURL: "y"},
	} {
		if err := a.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
	}
}
