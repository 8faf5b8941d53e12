package v1alpha1

import gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

// FailsClosed tells whether policies of a kind that cannot be used let nothing
// through: a mistake in one must not leave open what it protects.
func FailsClosed(group, kind string) bool {
	return group == GroupName && (kind == KindAuthenticationPolicy || kind == KindAuthorizationPolicy || kind == KindShieldPolicy || kind == KindMeshPolicy)
}

// RequestTargets are the kinds that policies about requests attach to: those of the
// Gateway API, and Service.
func RequestTargets() []string {
	return []string{"Gateway", "ListenerSet", "HTTPRoute", "GRPCRoute", "Service"}
}

// MeshTargets are those of policies of the mesh.
func MeshTargets() []string { return []string{"Service"} }

// TargetGroup is the group of a kind among RequestTargets, AuthorizationTargets and ShieldTargets.
func TargetGroup(kind string) string {
	if kind == "Service" {
		return ""
	}
	return gatewayv1.GroupName
}

// AuthorizationTargets are those, and the kinds of routes whose connections a policy
// may be about.
func AuthorizationTargets() []string { return append(RequestTargets(), "TCPRoute", "TLSRoute") }

// ShieldTargets are those, and the kinds of routes that have connections alone.
func ShieldTargets() []string { return append(RequestTargets(), "TCPRoute", "TLSRoute", "UDPRoute") }

// TelemetryTargets are those of TelemetryPolicies.
func TelemetryTargets() []string { return ShieldTargets() }
