package ir

import "strings"

// Authentication is how callers prove who they are.
type Authentication struct {
	// Policy is the AuthenticationPolicy: "namespace/name".
	Policy    string `json:"policy"`
	Namespace string `json:"namespace"`
	// Broken: the policy cannot be used, and nobody gets through.
	Broken bool `json:"broken,omitempty"`
	// Optional lets callers through that give no credential.
	Optional bool `json:"optional,omitempty"`
	// AnyOf are the methods, in the order in which they are tried. Without one,
	// and unless it is Broken, nobody is asked.
	AnyOf []AuthenticationMethod `json:"anyOf,omitempty"`
	// EveryNamespace has the Consumers of all namespaces count, not only those of
	// Namespace.
	EveryNamespace bool   `json:"everyNamespace,omitempty"`
	Realm          string `json:"realm,omitempty"`
	// Headers tell the endpoint who calls.
	Headers []CallerHeader `json:"headers,omitempty"`
}

// MaxMethods is how many methods a policy has at most.
const MaxMethods = 8

// AuthenticationMethod is one way to prove who calls: one of its pointers is set.
type AuthenticationMethod struct {
	Name              string                 `json:"name"`
	APIKey            *APIKeyAuth            `json:"apiKey,omitempty"`
	Basic             *BasicAuth             `json:"basic,omitempty"`
	JWT               *JWTAuth               `json:"jwt,omitempty"`
	ClientCertificate *ClientCertificateAuth `json:"clientCertificate,omitempty"`
	OIDC              *OIDCAuth              `json:"oidc,omitempty"`
	Introspection     *IntrospectionAuth     `json:"introspection,omitempty"`
	HMAC              *HMACAuth              `json:"hmac,omitempty"`
	// External comes last: it has something to say of every request.
	External *ExternalAuth `json:"external,omitempty"`
}

// Kind is what the method is, by the name of its field in the policy.
func (m *AuthenticationMethod) Kind() string {
	switch {
	case m.APIKey != nil:
		return "apiKey"
	case m.Basic != nil:
		return "basic"
	case m.JWT != nil:
		return "jwt"
	case m.ClientCertificate != nil:
		return "clientCertificate"
	case m.OIDC != nil:
		return "oidc"
	case m.Introspection != nil:
		return "oauth2Introspection"
	case m.HMAC != nil:
		return "hmac"
	}
	return "external"
}

// APIKeyAuth accepts the keys of Consumers.
type APIKeyAuth struct {
	From    []CredentialSource `json:"from"`
	Forward bool               `json:"forward,omitempty"`
}

// BasicAuth accepts names and passwords of Consumers.
type BasicAuth struct {
	Forward bool `json:"forward,omitempty"`
}

// CredentialSource is a place in a request: one of Header, Query and Cookie is set.
type CredentialSource struct {
	Header string `json:"header,omitempty"`
	// Prefix stands before the credential in the header, in any case of letters.
	Prefix string `json:"prefix,omitempty"`
	Query  string `json:"query,omitempty"`
	Cookie string `json:"cookie,omitempty"`
}

// String is the place for people: "header X-API-Key".
func (s CredentialSource) String() string {
	switch {
	case s.Query != "":
		return "query " + s.Query
	case s.Cookie != "":
		return "cookie " + s.Cookie
	case s.Prefix != "":
		return "header " + s.Header + " after " + strings.TrimSpace(s.Prefix)
	}
	return "header " + s.Header
}

// CallerFact is what a header says of the caller.
type CallerFact string

const (
	FactConsumer          CallerFact = "Consumer"
	FactConsumerNamespace CallerFact = "ConsumerNamespace"
	FactConsumerGroups    CallerFact = "ConsumerGroups"
	FactPlan              CallerFact = "Plan"
	FactCredential        CallerFact = "Credential"
	FactMethod            CallerFact = "Method"
)

// CallerHeader is a header with a fact about the caller, or with a claim, as
// ParseClaim makes it.
type CallerHeader struct {
	Name  string     `json:"name"`
	Value CallerFact `json:"value,omitempty"`
	Claim []string   `json:"claim,omitempty"`
}

// Knows tells what the method knows of whom it accepts: the Consumer, and claims.
func (m *AuthenticationMethod) Knows() (consumer, claims bool) {
	if e := m.External; e != nil {
		return e.Consumer != nil, e.GRPC
	}
	return true, m.APIKey == nil && m.Basic == nil && m.HMAC == nil
}
