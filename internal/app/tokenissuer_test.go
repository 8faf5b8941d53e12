package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/app"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/statedb/statetest"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
	"github.com/gridway/gridway/internal/testport"
)

const tokensOfOurs = `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: auth}
spec:
  parentRefs: [{name: edge}]
  rules:
  - matches: [{path: {value: /auth}}]
    filters: [{type: ExtensionRef, extensionRef: {group: gridway.dev, kind: TokenIssuer, name: auth}}]
---
apiVersion: gridway.dev/v1alpha1
kind: TokenIssuer
metadata: {name: auth}
spec:
  issuer: http://localhost/auth
  audiences: [api]
  scopes: [read]
  signingKeys: {secretRefs: [{name: signing}]}
---
apiVersion: gridway.dev/v1alpha1
kind: AuthenticationPolicy
metadata: {name: open}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: auth}]
  mode: Anonymous
---
apiVersion: gridway.dev/v1alpha1
kind: AuthenticationPolicy
metadata: {name: tokens}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  anyOf: [{jwt: {issuers: [{tokenIssuerRef: {name: auth}}]}}]
---
apiVersion: v1
kind: Secret
metadata: {name: signing}
stringData:
  key: |
    %s
`

// tokenOf asks a gateway for a token; it is empty if there is none.
func tokenOf(port int, id, secret string) string {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}
	resp, err := http.PostForm(fmt.Sprintf("http://127.0.0.1:%d/auth/oauth2/token", port), form)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	var a struct {
		Token string `json:"access_token"`
	}
	_ = json.NewDecoder(resp.Body).Decode(&a) // nothing is no token
	return a.Token
}

func takes(port int, token string) bool {
	u := &url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", port), Path: "/"}
	resp, err := http.DefaultClient.Do(&http.Request{Method: "GET", URL: u, Header: http.Header{"Authorization": {"Bearer " + token}}})
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == 200
}

// Clients are made, rotated and revoked in the state store while gateways that share
// it give tokens, and take each other's.
func TestClientsOfAStateStore(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key := strings.ReplaceAll(strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))), "\n", "\n    ")
	statetest.Each(t, func(t *testing.T, place string) {
		up := named(t, "up")
		operator := ""
		begin := func() (*running, int) {
			port := testport.Free(t)
			at, err := statedb.ParseLocation(place, "")
			if err != nil {
				t.Fatal(err)
			}
			r := start(t, config(up.URL, port)+fmt.Sprintf(tokensOfOurs, key), func(o *app.Options) {
				o.State = &at
				o.ShowTokens = func(list []access.CreatedToken) error {
					for _, c := range list {
						if c.Role == access.Operator {
							operator = c.Text
						}
					}
					return nil
				}
			})
			if r.api, err = client.New(client.Options{Address: r.AdminAddr().String(), Token: operator}); err != nil {
				t.Fatal(err)
			}
			return r, port
		}
		one, portOne := begin()
		two, portTwo := begin()
		ctx := t.Context()
		if _, err := one.api.CreateConsumer(ctx, []byte("{apiVersion: gridway.dev/v1alpha1, kind: Consumer, metadata: {name: acme}, spec: {}}")); err != nil {
			t.Fatal(err)
		}
		first, err := one.api.CreateKey(ctx, "default", "acme", access.NewKey{Client: &access.NewClient{Scopes: []string{"read"}}})
		if err != nil {
			t.Fatal(err)
		}
		// Wrong secrets are counted, so nobody guesses when they are known.
		known := func(n int) func() bool {
			return func() bool {
				for _, r := range []*running{one, two} {
					if list, err := r.api.Consumers(ctx, "default", "acme"); err != nil || len(list) != 1 || len(list[0].Credentials) != n {
						return false
					}
				}
				return true
			}
		}
		eventually(t, "the secret is known", known(1))
		token := tokenOf(portTwo, first.ClientID, first.Key)
		if token == "" || !takes(portOne, token) || !takes(portTwo, token) {
			t.Fatalf("the token %q is not accepted", token)
		}
		second, err := one.api.RotateKey(ctx, "default", "acme", first.Name, access.NewKey{})
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the new secret is known", known(2))
		if tokenOf(portTwo, second.ClientID, second.Key) == "" {
			t.Error("there is no token for the new secret")
		}
		if tokenOf(portTwo, first.ClientID, first.Key) == "" {
			t.Error("the old secret is not accepted any more")
		}
		for _, name := range []string{first.Name, second.Name} {
			if err := one.api.RevokeKey(ctx, "default", "acme", name); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "tokens of the client are refused", func() bool { return !takes(portOne, token) && !takes(portTwo, token) })
		if tokenOf(portOne, second.ClientID, second.Key) != "" {
			t.Error("a secret that is revoked gets tokens")
		}
	})
}

const storedKeys = `---
apiVersion: v1
kind: Secret
metadata: {name: sealing}
stringData: {key: 0123456789abcdef0123456789abcdef}
---
apiVersion: gridway.dev/v1alpha1
kind: Consumer
metadata: {name: acme}
spec:
  credentials:
  - name: first
    clientSecret: {hash: "sha256:8402c6ea6d547148772310d78e7dcba128425189ade1478711cc58e92811e852"}
`

// Gateways that share a state store have the same keys, which they make themselves and
// find again when they start.
func TestKeysOfAStateStore(t *testing.T) {
	stored := strings.Replace(tokensOfOurs, "secretRefs: [{name: signing}]", "stateStore: {keyRefs: [{name: sealing}]}", 1)
	stored = stored[:strings.LastIndex(stored, "---")] + storedKeys
	statetest.Each(t, func(t *testing.T, place string) {
		up := named(t, "up")
		begin := func() (*running, int) {
			port := testport.Free(t)
			at, err := statedb.ParseLocation(place, "")
			if err != nil {
				t.Fatal(err)
			}
			return start(t, config(up.URL, port)+stored, func(o *app.Options) { o.State = &at }), port
		}
		one, portOne := begin()
		_, portTwo := begin()
		token := tokenOf(portOne, "default.acme", "a secret of the client acme")
		if token == "" {
			t.Fatal("no token")
		}
		if !takes(portOne, token) || !takes(portTwo, token) || takes(portTwo, token[:len(token)-4]+"AAAA") {
			t.Error("a token of one gateway is not taken by both, or a forged one is")
		}
		one.stop()
		if err := one.ended(t); err != nil {
			t.Error(err)
		}
		_, portThree := begin()
		if again := tokenOf(portThree, "default.acme", "a secret of the client acme"); !takes(portThree, token) || !takes(portTwo, again) {
			t.Error("a gateway that starts has other keys")
		}
	})
}
