package e2e

import (
	"fmt"
	"strings"
)

// edge is a Gateway with one HTTP listener, and a route that sends everything
// to the Backend "app" with these endpoints. policy is the body of a
// TrafficPolicy's spec (without targetRefs) for the route; empty is none.
func edge(policy string, endpoints ...string) string {
	docs := []string{gatewayDoc, routeDoc("app", ""), backendDoc("app", endpoints...)}
	if policy != "" {
		docs = append(docs, policyDoc("app", "HTTPRoute", "app", policy))
	}
	return strings.Join(docs, "---\n")
}

// edgeWith is edge with a policy on the Gateway, a policy on the route, and
// more documents.
func edgeWith(gatewayPolicy, routePolicy string, endpoints []string, more ...string) string {
	docs := []string{edge(routePolicy, endpoints...)}
	if gatewayPolicy != "" {
		docs = append(docs, policyDoc("edge", "Gateway", "edge", gatewayPolicy))
	}
	return strings.Join(append(docs, more...), "---\n")
}

// documents joins documents to one file.
func documents(docs ...string) string { return strings.Join(docs, "---\n") }

const gatewayDoc = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: gridway
  listeners: [{name: http, port: 8080, protocol: HTTP}]
`

// routeDoc sends all paths to a Backend. more is YAML of the rule.
func routeDoc(backend, more string) string {
	return fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app}
spec:
  parentRefs: [{name: edge}]
  rules:
  - backendRefs: [{group: gridway.dev, kind: Backend, name: %s}]
%s`, backend, indent(4, more))
}

// ruleDoc is a route with one rule, given whole.
func ruleDoc(rule string) string {
	return `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app}
spec:
  parentRefs: [{name: edge}]
  rules:
` + indent(2, rule)
}

// backendDoc has endpoints that are an address, or YAML of an endpoint.
func backendDoc(name string, endpoints ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: %s}
spec:
  endpoints:
`, name)
	for _, e := range endpoints {
		if !strings.HasPrefix(e, "{") {
			e = fmt.Sprintf("{address: %q}", e)
		}
		fmt.Fprintf(&b, "  - %s\n", e)
	}
	return b.String()
}

// policyDoc is a TrafficPolicy.
func policyDoc(name, kind, target, spec string) string {
	group := "gateway.networking.k8s.io"
	if kind == "Backend" {
		group = "gridway.dev"
	}
	return fmt.Sprintf(`apiVersion: gridway.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: %s}
spec:
  targetRefs: [{group: %s, kind: %s, name: %s}]
%s`, name, group, kind, target, indent(2, spec))
}

// indent moves lines to the right, and ends them with a newline.
func indent(n int, s string) string {
	s = strings.Trim(s, "\n")
	if s == "" {
		return ""
	}
	pad := strings.Repeat(" ", n)
	return pad + strings.ReplaceAll(s, "\n", "\n"+pad) + "\n"
}
