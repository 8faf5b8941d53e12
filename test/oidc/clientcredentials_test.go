package oidc

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/gridway/gridway/test/harness"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

const (
	client = "default.billing"
	secret = "billing-secret-0123456789abcdef"
)

// issuerYAML wants the port, the issuer's key, the hash of the secret, and the
// application's address.
const issuerYAML = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: gridway
  listeners: [{name: http, port: %[1]d, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: auth}
spec:
  parentRefs: [{name: edge}]
  rules:
  - matches:
    - path: {value: /auth}
    - path: {value: /.well-known/oauth-authorization-server}
    filters: [{type: ExtensionRef, extensionRef: {group: gridway.dev, kind: TokenIssuer, name: auth}}]
---
apiVersion: gridway.dev/v1alpha1
kind: TokenIssuer
metadata: {name: auth}
spec:
  issuer: http://localhost:%[1]d/auth
  audiences: [https://api.example, https://other.example]
  scopes: [orders.read, orders.write]
  signingKeys: {secretRefs: [{name: signing}]}
---
apiVersion: v1
kind: Secret
metadata: {name: signing}
stringData:
  key: |
    %[2]s
---
apiVersion: gridway.dev/v1alpha1
kind: Consumer
metadata: {name: billing}
spec:
  credentials:
  - {name: first, clientSecret: {hash: "sha256:%[3]x", scopes: [orders.read]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app}
spec:
  parentRefs: [{name: edge}]
  rules: [{backendRefs: [{group: gridway.dev, kind: Backend, name: app}]}]
---
apiVersion: gridway.dev/v1alpha1
kind: AuthenticationPolicy
metadata: {name: tokens}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: app}]
  anyOf: [{jwt: {issuers: [{tokenIssuerRef: {name: auth}}]}}]
  requestHeaders: [{name: X-Consumer, value: Consumer}]
---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: app}
spec: {endpoints: [{address: "%[4]s"}]}
`

// TestClientCredentials has the client of golang.org/x/oauth2 get tokens and use them,
// and go-oidc verify them by the keys that are published.
func TestClientCredentials(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("X-Consumer"))
	}))
	t.Cleanup(app.Close)
	port := harness.FreePort(t)
	_, key := certificate(t)
	harness.Start(t, fmt.Sprintf(issuerYAML, port, indent(key), sha256.Sum256([]byte(secret)), app.Listener.Addr()))
	base := fmt.Sprintf("http://localhost:%d", port)

	for name, style := range map[string]oauth2.AuthStyle{"client_secret_basic": oauth2.AuthStyleInHeader, "client_secret_post": oauth2.AuthStyleInParams} {
		t.Run(name, func(t *testing.T) {
			c := &clientcredentials.Config{
				ClientID: client, ClientSecret: secret, TokenURL: base + "/auth/oauth2/token", AuthStyle: style,
				Scopes: []string{"orders.read", "orders.write"}, EndpointParams: map[string][]string{"audience": {"https://api.example"}},
			}
			token, err := c.Token(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if token.Type() != "Bearer" || token.Extra("scope") != "orders.read" || !token.Valid() {
				t.Errorf("%+v", token)
			}
			keys := oidc.NewRemoteKeySet(context.Background(), base+"/auth/oauth2/jwks")
			verified, err := oidc.NewVerifier(base+"/auth", keys, &oidc.Config{ClientID: "https://api.example", SupportedSigningAlgs: []string{oidc.ES256}}).Verify(t.Context(), token.AccessToken)
			if err != nil || verified.Subject != client {
				t.Errorf("%+v, %v", verified, err)
			}
			resp, err := c.Client(t.Context()).Get(base + "/orders")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != 200 {
				t.Error(resp.Status)
			}
			c.ClientSecret = "wrong"
			var refused *oauth2.RetrieveError
			if _, err := c.Token(t.Context()); !errors.As(err, &refused) || refused.ErrorCode != "invalid_client" || refused.Response.StatusCode != 401 {
				t.Errorf("a wrong secret: %v", err)
			}
		})
	}
}
