package compile

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
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
func (c *compiler) serviceBackend(b *backend, port int32) {
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
		return p.Port == port && (p.Protocol == "" || p.Protocol == corev1.ProtocolTCP)
	})
	if i < 0 {
		b.unusable(string(gwv1.RouteReasonBackendNotFound), fmt.Sprintf("%s has no TCP port %d", b.object.Key, port),
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
	c.applyBackendTLS(b)
	if why := refusedProtocol(deref(p.AppProtocol, ""), b.base.TLS != nil); why != "" && b.reason == "" {
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
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

// refusedProtocol says why an appProtocol cannot be spoken.
func refusedProtocol(name string, tls bool) string {
	switch strings.ToLower(name) {
	case "", "http", "kubernetes.io/http", "kubernetes.io/ws", "ws":
		return ""
	case "https", "kubernetes.io/https", "kubernetes.io/wss", "wss":
		if tls {
			return ""
		}
		return fmt.Sprintf("%q needs a BackendTLSPolicy for the Service", name)
	case "kubernetes.io/h2c", "h2c", "http2", "grpc", "grpcs", "h2", "kubernetes.io/h2", "grpc-web":
		return fmt.Sprintf("%q (HTTP/2) is not built yet", name)
	}
	return fmt.Sprintf("%q is not HTTP", name)
}

// serviceOfSlice is the Service that an EndpointSlice belongs to.
func serviceOfSlice(o *store.Object) store.Key {
	if o == nil {
		return store.Key{}
	}
	return store.Key{Kind: "Service", Namespace: o.Key.Namespace, Name: meta(o).GetLabels()[discoveryv1.LabelServiceName]}
}

// endpointSlices lists the EndpointSlices of a Service.
func (c *compiler) endpointSlices(svc store.Key) []*store.Object {
	if c.slicesOf == nil {
		c.slicesOf = map[store.Key][]*store.Object{}
		for _, o := range c.set.Kind("discovery.k8s.io", "EndpointSlice") {
			k := serviceOfSlice(o)
			c.slicesOf[k] = append(c.slicesOf[k], o)
		}
	}
	return c.slicesOf[svc]
}

// endpoints finds the addresses behind a port of a Service.
func (c *compiler) endpoints(p *servicePort) (list []ir.Endpoint, problems []store.Problem) {
	found := c.endpointSlices(p.object.Key)
	if len(found) == 0 {
		return c.clusterIPs(p)
	}
	byAddress := map[string]ir.Endpoint{}
	for _, o := range found {
		slice, ok := o.Value.(*discoveryv1.EndpointSlice)
		if !ok {
			continue
		}
		if slice.AddressType == discoveryv1.AddressTypeFQDN {
			problems = append(problems, problemAt(o, "addressType", store.Warning, "UnsupportedAddressType",
				"addresses of type FQDN are left out", "use a Backend with dns"))
			continue
		}
		port := slicePort(slice, p)
		if port == 0 {
			continue
		}
		for _, e := range slice.Endpoints {
			collectEndpoint(byAddress, e, port)
		}
	}
	for _, address := range slices.Sorted(maps.Keys(byAddress)) {
		list = append(list, byAddress[address])
	}
	if len(list) == 0 {
		problems = append(problems, problemAt(p.object, "", store.Warning, "NoReadyEndpoints",
			fmt.Sprintf("no endpoint of port %d is ready; requests are answered 503", p.port.Port),
			"see the EndpointSlices of the Service"))
	}
	return list, problems
}

// collectEndpoint adds the addresses of an endpoint that may be used.
func collectEndpoint(into map[string]ir.Endpoint, e discoveryv1.Endpoint, port int32) {
	terminating, serving := deref(e.Conditions.Terminating, false), deref(e.Conditions.Serving, true)
	draining := terminating && serving
	if !deref(e.Conditions.Ready, true) && !draining {
		return
	}
	for _, a := range e.Addresses {
		address := net.JoinHostPort(a, strconv.Itoa(int(port)))
		if old, ok := into[address]; ok && !old.Draining {
			continue
		}
		into[address] = ir.Endpoint{Address: address, Weight: 1, Zone: deref(e.Zone, ""), Draining: draining}
	}
}

// slicePort finds the slice's port for a port of the Service: they have the
// same name. Slices written by hand may leave names out; then the target port
// decides, and at last there being one port only.
func slicePort(slice *discoveryv1.EndpointSlice, p *servicePort) int32 {
	usable := func(x discoveryv1.EndpointPort) bool {
		return x.Port != nil && deref(x.Protocol, corev1.ProtocolTCP) == corev1.ProtocolTCP
	}
	for _, x := range slice.Ports {
		if usable(x) && deref(x.Name, "") == p.port.Name {
			return *x.Port
		}
	}
	for _, x := range slice.Ports {
		if !usable(x) {
			continue
		}
		if want := p.port.TargetPort; want.IntVal != 0 && *x.Port == want.IntVal || want.StrVal != "" && deref(x.Name, "") == want.StrVal {
			return *x.Port
		}
	}
	if len(slice.Ports) == 1 && len(p.service.Spec.Ports) == 1 && usable(slice.Ports[0]) {
		return *slice.Ports[0].Port
	}
	return 0
}

// clusterIPs uses the Service's own addresses where there are no EndpointSlices.
func (c *compiler) clusterIPs(p *servicePort) (list []ir.Endpoint, problems []store.Problem) {
	ips := p.service.Spec.ClusterIPs
	if len(ips) == 0 && p.service.Spec.ClusterIP != "" {
		ips = []string{p.service.Spec.ClusterIP}
	}
	for _, ip := range ips {
		if isIP(ip) {
			list = append(list, ir.Endpoint{Address: net.JoinHostPort(ip, strconv.Itoa(int(p.port.Port))), Weight: 1})
			break // the others are the same Service in another address family
		}
	}
	if len(list) == 0 {
		problems = append(problems, problemAt(p.object, "", store.Warning, "NoEndpoints",
			"the Service has neither EndpointSlices nor a clusterIP; requests are answered 503",
			"add an EndpointSlice with the label "+discoveryv1.LabelServiceName+": "+p.object.Key.Name+", or use a Backend"))
	}
	return list, problems
}
