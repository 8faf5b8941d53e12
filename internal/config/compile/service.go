package compile

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// servicePort is one port of a Service.
type servicePort struct {
	object  *store.Object
	service *corev1.Service
	port    corev1.ServicePort
}

func serviceOf(o *store.Object) (*corev1.Service, bool) {
	v, ok := o.Value.(*corev1.Service)
	return v, ok
}

// serviceBackend reads the port of a Service that a reference names.
func (c *compiler) serviceBackend(b *backend, k backendKey) {
	port, protocol := k.port, k.stream.transport()
	svc, ok := serviceOf(b.object)
	if !ok {
		b.unusable(string(gwv1.RouteReasonInvalidKind), b.object.Key.String()+" is not a Service", "")
		return
	}
	if svc.Spec.Type == corev1.ServiceTypeExternalName {
		b.unusable(string(gwv1.RouteReasonInvalidKind), b.object.Key.String()+" is of type ExternalName, which is not served (the name could point anywhere)",
			"use a Backend with that name under dns")
		return
	}
	i := slices.IndexFunc(svc.Spec.Ports, func(p corev1.ServicePort) bool {
		return p.Port == port && cmp.Or(p.Protocol, corev1.ProtocolTCP) == protocol
	})
	if i < 0 {
		b.unusable(string(gwv1.RouteReasonBackendNotFound), fmt.Sprintf("%s has no %s port %d", b.object.Key, protocol, port),
			"its ports are "+portList(svc))
		return
	}
	p := svc.Spec.Ports[i]
	b.service = &servicePort{object: b.object, service: svc, port: p}
	b.base = ir.Cluster{
		Name: b.object.Key.String() + ":" + strconv.Itoa(int(port)), Protocol: ir.HTTP,
		Ref: ref(b.object, fmt.Sprintf("spec.ports[%d]", i)),
	}
	if p.Name != "" {
		b.policies = append(b.policies, c.traffic.at(target{b.object.Key, p.Name})...)
	}
	b.policies = append(b.policies, c.traffic.at(target{key: b.object.Key})...)
	if !k.stream.opaque() {
		c.applyBackendTLS(b)
	}
	if k.stream != "" {
		return // any protocol will do
	}
	b.base.HTTP2 = overHTTP2(deref(p.AppProtocol, ""))
	if c.in.Mesh && p.AppProtocol == nil {
		_, b.base.HTTP2 = portProtocol(&p)
	}
	if why := refusedProtocol(deref(p.AppProtocol, ""), b.base.TLS != nil, k.grpc); why != "" && b.reason == "" {
		b.unusable(string(gwv1.RouteReasonUnsupportedProtocol), fmt.Sprintf("%s: appProtocol %s", b.object.Key, why),
			"remove appProtocol if the endpoints speak HTTP/1.1 too")
	}
}

func portList(svc *corev1.Service) string {
	var out []string
	for _, p := range svc.Spec.Ports {
		s := strconv.Itoa(int(p.Port))
		if p.Name != "" {
			s += " (" + p.Name + ")"
		}
		if p.Protocol != "" && p.Protocol != corev1.ProtocolTCP {
			s += " " + string(p.Protocol)
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

// overHTTP2 tells whether an appProtocol is HTTP/2, or rides on it.
func overHTTP2(name string) bool {
	switch strings.ToLower(name) {
	case "kubernetes.io/h2c", "h2c", "http2", "h2", "kubernetes.io/h2", "grpc", "grpcs":
		return true
	}
	return false
}

// refusedProtocol says why an appProtocol cannot be spoken.
func refusedProtocol(name string, tls, grpc bool) string {
	switch strings.ToLower(name) {
	case "kubernetes.io/ws", "ws", "kubernetes.io/wss", "wss":
		if grpc {
			return fmt.Sprintf("%q is not gRPC", name)
		}
	}
	switch strings.ToLower(name) {
	case "", "http", "kubernetes.io/http", "kubernetes.io/ws", "ws", "kubernetes.io/h2c", "h2c", "http2", "grpc":
		return ""
	case "https", "kubernetes.io/https", "kubernetes.io/wss", "wss", "grpcs", "h2", "kubernetes.io/h2":
		if tls {
			return ""
		}
		return fmt.Sprintf("%q needs a BackendTLSPolicy for the Service", name)
	}
	return fmt.Sprintf("%q is not HTTP", name)
}
