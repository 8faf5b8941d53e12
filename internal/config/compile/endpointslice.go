package compile

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

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
		for i, e := range slice.Endpoints {
			if p := collectEndpoint(byAddress, slice.AddressType, e, port); p.Message != "" {
				at := problemAt(o, fmt.Sprintf("endpoints[%d].addresses", i), store.Warning, p.Code, p.Message, p.Remedy)
				problems = append(problems, at)
			}
		}
	}
	for _, address := range slices.Sorted(maps.Keys(byAddress)) {
		list = append(list, byAddress[address])
	}
	if !slices.ContainsFunc(list, func(e ir.Endpoint) bool { return !e.Draining }) {
		// What ends serves on as long as there is nothing else (KEP-1669).
		for i := range list {
			list[i].Draining = false
		}
	}
	if len(list) == 0 && !c.in.Mesh {
		problems = append(problems, problemAt(p.object, "", store.Warning, "NoReadyEndpoints",
			fmt.Sprintf("no endpoint of port %d is ready; requests are answered 503", p.port.Port),
			"see the EndpointSlices of the Service"))
	}
	return list, problems
}

// collectEndpoint adds the address of an endpoint that may be used, and says
// what is wrong with its addresses. Only the first counts: the API gives others
// no meaning.
func collectEndpoint(into map[string]ir.Endpoint, family discoveryv1.AddressType, e discoveryv1.Endpoint, port int32) (p store.Problem) {
	if len(e.Addresses) == 0 {
		return p
	}
	ip, err := netip.ParseAddr(e.Addresses[0])
	if err != nil || ip.Zone() != "" || ip.Is4() != (family == discoveryv1.AddressTypeIPv4) {
		p.Code, p.Message = "InvalidAddress", fmt.Sprintf("%q is not an address of type %s; the endpoint is left out", e.Addresses[0], family)
		return p
	}
	if len(e.Addresses) > 1 {
		p.Code, p.Message = "UnusedAddress", "only the first of several addresses of one endpoint is used"
		p.Remedy = "write an endpoint for each"
	}
	terminating, serving := deref(e.Conditions.Terminating, false), deref(e.Conditions.Serving, true)
	draining := terminating && serving
	if !deref(e.Conditions.Ready, true) && !draining {
		return p
	}
	address := net.JoinHostPort(e.Addresses[0], strconv.Itoa(int(port)))
	if old, ok := into[address]; !ok || old.Draining {
		into[address] = ir.Endpoint{Address: address, Weight: 1, Zone: deref(e.Zone, ""), Draining: draining}
	}
	return p
}

// slicePort finds the slice's port for a port of the Service: they have the
// same name. Slices written by hand may leave names out; then the target port
// decides, and at last there being one port only.
func slicePort(slice *discoveryv1.EndpointSlice, p *servicePort) int32 {
	usable := func(x discoveryv1.EndpointPort) bool {
		return x.Port != nil && deref(x.Protocol, corev1.ProtocolTCP) == cmp.Or(p.port.Protocol, corev1.ProtocolTCP)
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

// clusterIPs uses the Service's own addresses where there are no EndpointSlices. In
// a mesh they are what clients call, and workloads are what is behind them.
func (c *compiler) clusterIPs(p *servicePort) (list []ir.Endpoint, problems []store.Problem) {
	if c.in.Mesh {
		return nil, nil
	}
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
