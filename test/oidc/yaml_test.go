package oidc

// gridwayYAML wants the port, the application's address, the issuer, a certificate
// and its key.
const gridwayYAML = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: gridway
  listeners: [{name: https, port: %d, protocol: HTTPS, tls: {certificateRefs: [{name: tls}]}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app}
spec:
  parentRefs: [{name: edge}]
  rules:
  - {name: public, matches: [{path: {value: /bye}}], backendRefs: [{group: gridway.dev, kind: Backend, name: app}]}
  - {name: app, backendRefs: [{group: gridway.dev, kind: Backend, name: app}]}
---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: app}
spec: {endpoints: [{address: "%s"}]}
---
apiVersion: gridway.dev/v1alpha1
kind: AuthenticationPolicy
metadata: {name: login}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: app, sectionName: app}]
  anyOf:
  - oidc:
      issuer: %s
      clientID: shop
      clientSecretRef: {name: oidc, key: client-secret}
      scopes: [openid, profile, email, offline_access]
      afterLogout: /bye
      session: {cookieName: app, keyRefs: [{name: oidc, key: cookies}]}
      forward: {accessToken: {header: Authorization}}
  requestHeaders: [{name: X-Email, claim: email}]
---
apiVersion: v1
kind: Secret
metadata: {name: oidc}
stringData: {client-secret: the-secret, cookies: 0123456789abcdef0123456789abcdef}
---
apiVersion: v1
kind: Secret
metadata: {name: tls}
type: kubernetes.io/tls
stringData:
  tls.crt: |
    %s
  tls.key: |
    %s
`
