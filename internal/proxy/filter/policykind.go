package filter

// PolicyKind is what a filter that may refuse a request stands for, in metrics.
type PolicyKind uint8

const (
	// NoPolicy is of filters that decide nothing of the kind.
	NoPolicy PolicyKind = iota
	ShieldPolicy
	RateLimitPolicy
	AuthenticationPolicy
	AuthorizationPolicy
	// ExternalAuth is the filter of routes.
	ExternalAuth
	policyKinds
)

var policyKindNames = [policyKinds]string{"", "ShieldPolicy", "RateLimitPolicy", "AuthenticationPolicy", "AuthorizationPolicy", "ExternalAuth"}

// PolicyKindNames lists the names of kinds by number; NoPolicy has none.
func PolicyKindNames() []string { return policyKindNames[:] }
