package ir

import "time"

// Login is a client of an OpenID provider: who the gateway is there, and the keys of
// the cookies that it keeps sessions in. It is no part of routes, so that secrets
// change without them: methods have its name.
type Login struct {
	// Name is what methods name it by: "namespace/policy/method".
	Name string `json:"name"`
	// Issuer is the provider, to the letter, URL its discovery document.
	Issuer   string `json:"issuer"`
	URL      string `json:"url"`
	ClientID string `json:"clientID"`
	// ClientSecret is empty for a public client.
	ClientSecret []byte `json:"clientSecret,omitempty"`
	// CookieKeys: the first encrypts, all decrypt. Without any there are no sessions
	// that a restart survives.
	CookieKeys [][]byte `json:"cookieKeys,omitempty"`
	// Broken: something that it needs is not there, and nobody can log in.
	Broken bool `json:"broken,omitempty"`
	// CA verifies the provider; empty is the system's roots.
	CA []byte `json:"ca,omitempty"`
	// Plain lets the provider be asked by http on others than this machine.
	Plain bool `json:"plain,omitempty"`
}

// OIDCAuth has people log in at an OpenID provider with their browsers.
type OIDCAuth struct {
	Login    string   `json:"login"`
	KeySet   string   `json:"keySet"`
	Issuer   string   `json:"issuer"`
	ClientID string   `json:"clientID"`
	Scopes   []string `json:"scopes"`
	// Parameters are added to the request for authorization.
	Parameters []Parameter `json:"parameters,omitempty"`
	// CallbackPath, LoginPath and LogoutPath are answered by the proxy; AfterLogout
	// is where a logout leads.
	CallbackPath string `json:"callbackPath"`
	LoginPath    string `json:"loginPath"`
	LogoutPath   string `json:"logoutPath"`
	AfterLogout  string `json:"afterLogout"`
	// Cookie is the name of the session's cookie, without a prefix.
	Cookie string `json:"cookie"`
	// MaxAge is how long a session lasts, IdleTimeout how long without a request; zero
	// is no such bound.
	MaxAge      time.Duration `json:"maxAge"`
	IdleTimeout time.Duration `json:"idleTimeout,omitempty"`
	// UserInfo has the provider asked for more claims.
	UserInfo bool `json:"userInfo,omitempty"`
	// AccessToken and IDToken are headers in which endpoints get the tokens.
	AccessToken *TokenHeader `json:"accessToken,omitempty"`
	IDToken     *TokenHeader `json:"idToken,omitempty"`
	// Consumer is as in JWTIssuer.
	Consumer         []string `json:"consumer,omitempty"`
	ConsumerRequired bool     `json:"consumerRequired,omitempty"`
}

// Parameter is one of a query.
type Parameter struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// TokenHeader is a header with a token after a prefix.
type TokenHeader struct {
	Name   string `json:"name"`
	Prefix string `json:"prefix,omitempty"`
}
