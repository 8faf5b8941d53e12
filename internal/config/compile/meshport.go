package compile

import (
	"cmp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/gridway/gridway/internal/ir"
)

// portProtocol is what the workloads behind a port speak, as users of Kubernetes
// and of other meshes write it: by appProtocol or, without one, by the port's name,
// which is a protocol or begins with one and a dash. Detect is for what is not said.
func portProtocol(p *corev1.ServicePort) (protocol ir.Protocol, http2 bool) {
	if name := strings.ToLower(deref(p.AppProtocol, "")); name != "" {
		if protocol, http2 = namedProtocol(name); protocol == "" {
			return ir.TCP, false // a protocol that is known, and not to us
		}
		return protocol, http2
	}
	prefix, _, _ := strings.Cut(strings.ToLower(p.Name), "-")
	if protocol, http2 = namedProtocol(prefix); protocol == "" {
		return ir.Detect, false
	}
	return protocol, http2
}

func namedProtocol(name string) (protocol ir.Protocol, http2 bool) {
	switch name {
	case "http", "http1", "http11", "kubernetes.io/http", "ws", "kubernetes.io/ws":
		return ir.HTTP, false
	case "http2", "h2c", "kubernetes.io/h2c", "grpc":
		return ir.HTTP, true
	case "tls", "https", "h2", "grpcs", "wss", "kubernetes.io/https", "kubernetes.io/h2", "kubernetes.io/wss":
		return ir.TLS, false
	case "tcp", "mysql", "mongo", "redis", "postgres", "postgresql", "amqp", "smtp", "imap":
		return ir.TCP, false
	}
	return "", false
}

// overTCP tells whether the port is one that the mesh carries.
func overTCP(p *corev1.ServicePort) bool {
	return cmp.Or(p.Protocol, corev1.ProtocolTCP) == corev1.ProtocolTCP && p.Port > 0 && p.Port <= 65535
}

// headless tells whether a Service has no address of its own.
func headless(svc *corev1.Service) bool { return svc.Spec.ClusterIP == corev1.ClusterIPNone }

// meshKinds are the kinds of routes that Services can have, in the order in which
// they win where several are attached to the same port (GEP-1426).
var meshKinds = []string{"GRPCRoute", "HTTPRoute", "TLSRoute", "TCPRoute"}

// speaks is what a port speaks that a route of the kind is attached to.
func speaks(kind string) ir.Protocol {
	switch kind {
	case "TLSRoute":
		return ir.TLS
	case "TCPRoute":
		return ir.TCP
	}
	return ir.HTTP
}

// suits tells whether a route of the kind can serve a port of that protocol. Bytes
// can be routed whatever they are, except where the workload's proxy wants requests.
func suits(kind string, p ir.Protocol) bool {
	switch speaks(kind) {
	case ir.TLS:
		return p != ir.HTTP
	case ir.TCP:
		return p != ir.HTTP
	}
	return p == ir.HTTP || p == ir.Detect
}
