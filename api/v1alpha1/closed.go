package v1alpha1

// FailsClosed tells whether policies of a kind that cannot be used let nothing
// through: a mistake in one must not leave open what it protects.
func FailsClosed(group, kind string) bool {
	return group == GroupName && (kind == KindAuthenticationPolicy || kind == KindAuthorizationPolicy || kind == KindShieldPolicy)
}

// RequestTargets are the kinds of the Gateway API that policies about requests
// attach to.
func RequestTargets() []string { return []string{"Gateway", "ListenerSet", "HTTPRoute", "GRPCRoute"} }

// ShieldTargets are those, and the kinds of routes that have connections alone.
func ShieldTargets() []string { return append(RequestTargets(), "TCPRoute", "TLSRoute", "UDPRoute") }
