package demo

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Partners sell what the shop has. Each has an API key, made at the start.
type Partners struct {
	// Gold may ask for much, Trial for little.
	Gold, Trial string
	// Secret is for access tokens of Gold's programs, whose client ID is GoldClient;
	// signing is the key of the tokens, in PEM.
	Secret  string
	signing []byte
}

// GoldClient is the client ID of a partner's programs.
const GoldClient = "default.hearth-and-oak"

// NewPartners makes keys.
func NewPartners() (Partners, error) {
	key := func(name string) string { return "shop_" + name + "_" + strings.ToLower(rand.Text()) }
	p := Partners{Gold: key("gold"), Trial: key("trial"), Secret: key("client")}
	signing, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return p, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(signing)
	p.signing = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return p, err
}

// Signing is the key of access tokens as a Secret of the configuration.
func (p Partners) Signing() string {
	return fmt.Sprintf("# The key that access tokens of the demo are signed with. It was made when it was started.\napiVersion: v1\nkind: Secret\nmetadata: {name: signing}\nstringData:\n  key: |\n    %s\n",
		strings.ReplaceAll(strings.TrimSpace(string(p.signing)), "\n", "\n    "))
}

// Consumers are the partners as the configuration's objects, with hashes of their keys.
func (p Partners) Consumers() string {
	hash := func(key string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(key))) }
	return fmt.Sprintf(`# The partners of the demo shop. Their keys were made when it was started; these are
# hashes, from which nobody gets a key.
apiVersion: gridway.dev/v1alpha1
kind: Consumer
metadata: {name: hearth-and-oak}
spec:
  groups: [partners, dealers]
  plan: gold
  credentials:
  - {name: first, apiKey: {hash: %q}}
  - {name: programs, clientSecret: {hash: %q, scopes: [products, reviews]}}
---
apiVersion: gridway.dev/v1alpha1
kind: Consumer
metadata: {name: corner-store}
spec:
  groups: [partners]
  plan: trial
  credentials: [{name: first, apiKey: {hash: %q}}]
`, hash(p.Gold), hash(p.Secret), hash(p.Trial))
}

// partner asks for the prices of products, now and then quicker than its plan allows.
func (t *Traffic) partner(ctx context.Context, client *http.Client, base, name, key string, pause time.Duration) {
	for i := 0; ; i++ {
		wait := pause
		if i%20 < 8 {
			wait = pause / 20 // it has many to ask for
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		c := customer{t: t, user: name, client: client, base: base}
		s := step{method: "GET", path: "/api/partner/products/" + products[i%len(products)].ID, header: [2]string{"X-API-Key", key}}
		if i%50 == 49 {
			s.header[1] = "shop_none_" + strings.Repeat("x", 26) // somebody guesses
		}
		t.count(ctx, c.send(ctx, s))
	}
}
