package v1alpha1

import (
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// OIDCAuthentication has people log in with their browsers at an OpenID provider
// (OpenID Connect Core 1.0, authorization code flow with PKCE), and knows them by an
// encrypted cookie afterwards. A browser without a session that wants a page is sent
// to the provider, and comes back to that page; every other request is answered 401.
//
// +kubebuilder:validation:XValidation:message="callbackPath, loginPath and logoutPath must differ",rule="(has(self.callbackPath) ? self.callbackPath : '/oauth2/callback') != (has(self.loginPath) ? self.loginPath : '/oauth2/login') && (has(self.callbackPath) ? self.callbackPath : '/oauth2/callback') != (has(self.logoutPath) ? self.logoutPath : '/oauth2/logout') && (has(self.loginPath) ? self.loginPath : '/oauth2/login') != (has(self.logoutPath) ? self.logoutPath : '/oauth2/logout')"
type OIDCAuthentication struct {
	// Issuer is the provider's URL, to the letter of its claim `iss`. Its endpoints and
	// keys are found by its document at `/.well-known/openid-configuration` (OpenID
	// Connect Discovery 1.0).
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Issuer string `json:"issuer"`

	// Discovery says where the document is, if not below the issuer.
	// +optional
	Discovery *JWTDiscovery `json:"discovery,omitempty"`

	// ClientID is the gateway's name at the provider.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	ClientID string `json:"clientID"`

	// ClientSecretRef names an entry of a Secret in the policy's namespace with the
	// client's secret, without white space at its end. Default: none, for a public
	// client, which PKCE alone protects.
	// +optional
	ClientSecretRef *SecretKeyReference `json:"clientSecretRef,omitempty"`

	// Scopes that are asked for; `openid` is added if it is not among them.
	// `offline_access` has many providers give a refresh token. Default: openid,
	// profile, email.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:items:Pattern=`^[!#-\[\]-~]+$`
	Scopes []string `json:"scopes,omitempty"`

	// Parameters are added to the request for authorization, for example `prompt`,
	// `audience` or `acr_values`. Those of the protocol itself cannot be given.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Parameters []OIDCParameter `json:"parameters,omitempty"`

	// CallbackPath is where the provider sends browsers back: it must know
	// `https://HOST` with this path as a redirect URI, for each host that people use.
	// The request must reach a rule that the policy holds for. Default:
	// /oauth2/callback.
	// +optional
	CallbackPath *OIDCPath `json:"callbackPath,omitempty"`

	// LoginPath begins a login, and leads to the path of this host that its parameter
	// `return_to` names afterwards. Default: /oauth2/login.
	// +optional
	LoginPath *OIDCPath `json:"loginPath,omitempty"`

	// LogoutPath ends the session, by GET or POST, and the one at the provider too, if
	// that has an `end_session_endpoint` (OpenID Connect RP-Initiated Logout 1.0).
	// Default: /oauth2/logout.
	// +optional
	LogoutPath *OIDCPath `json:"logoutPath,omitempty"`

	// AfterLogout is where a logout leads. The provider must know `https://HOST` with
	// this path as a post-logout redirect URI. Default: /.
	// +optional
	AfterLogout *OIDCPath `json:"afterLogout,omitempty"`

	// Session says how long sessions last and what keeps them.
	// +optional
	Session *OIDCSession `json:"session,omitempty"`

	// UserInfo asks the provider's userinfo endpoint for more claims, at a login and
	// when tokens are refreshed. Claims of the ID token hold against these. Default:
	// false.
	// +optional
	UserInfo *bool `json:"userInfo,omitempty"`

	// Forward gives endpoints tokens of the session.
	// +optional
	Forward *OIDCForward `json:"forward,omitempty"`

	// Consumer finds the Consumer that calls.
	// +optional
	Consumer *JWTConsumer `json:"consumer,omitempty"`

	// CACertificateRefs name ConfigMaps or Secrets in the policy's namespace with CA
	// certificates under `ca.crt`, which verify the provider in the place of the
	// system's.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	CACertificateRefs []gatewayv1.LocalObjectReference `json:"caCertificateRefs,omitempty"`

	// AllowHTTP lets the provider be asked by http on another machine, where anybody
	// on the way can log in as anybody. Default: false.
	// +optional
	AllowHTTP *bool `json:"allowHTTP,omitempty"`
}

// OIDCPath is a path of the gateway's, without a query.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=1024
// +kubebuilder:validation:Pattern=`^/([A-Za-z0-9._~!$&'()*+,;=:@-][A-Za-z0-9._~!$&'()*+,;=:@/-]*)?$`
type OIDCPath string

// OIDCParameter is one of the request for authorization.
type OIDCParameter struct {
	// Name of the parameter.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name"`

	// Value of the parameter.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Value string `json:"value"`
}

// OIDCSession says how long sessions last and what keeps them.
type OIDCSession struct {
	// MaxAge is when a session ends, however it is used, 1m to 720h. Default: 12h.
	// +optional
	MaxAge *gatewayv1.Duration `json:"maxAge,omitempty"`

	// IdleTimeout is when a session ends that is not used, 1m to 720h; 0s is never.
	// Default: 1h.
	// +optional
	IdleTimeout *gatewayv1.Duration `json:"idleTimeout,omitempty"`

	// CookieName is the name of the session's cookies, before which `__Host-` is put
	// where they travel by https. Policies whose issuer, clientID, keys and cookieName are
	// the same share sessions. Default: `gridway-` and a digest of namespace, issuer and clientID.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9._]([A-Za-z0-9._-]*[A-Za-z0-9._])?$`
	CookieName *string `json:"cookieName,omitempty"`

	// KeyRefs name entries of Secrets in the policy's namespace, each of 32 to 1024
	// bytes, that cookies are encrypted with: the first encrypts, all decrypt, so that a
	// key is replaced by putting another one before it. Default: a key that is derived
	// from the process's own (`--session-key-file`).
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	KeyRefs []SecretKeyReference `json:"keyRefs,omitempty"`
}

// OIDCForward gives endpoints tokens of the session.
type OIDCForward struct {
	// AccessToken is the header for the access token.
	// +optional
	AccessToken *OIDCTokenHeader `json:"accessToken,omitempty"`

	// IDToken is the header for the ID token.
	// +optional
	IDToken *OIDCTokenHeader `json:"idToken,omitempty"`
}

// OIDCTokenHeader is a header with a token. What the client has sent under its name
// is removed; of `Authorization`, only where there is a session.
type OIDCTokenHeader struct {
	// Header is the name.
	// +required
	Header gatewayv1.HTTPHeaderName `json:"header"`

	// Prefix stands before the token, for example `Bearer `. Default: `Bearer ` in
	// `Authorization`, none in others.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[!-~][ -~]*$`
	Prefix *string `json:"prefix,omitempty"`
}
