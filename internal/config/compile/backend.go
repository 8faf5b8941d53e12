package compile

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// backendKey names a backend: a Service with a port, or a Backend with port 0.
type backendKey struct {
	key    store.Key
	port   int32
	stream streamUse
	// grpc: the endpoints serve gRPC, and so speak HTTP/2.
	grpc bool
}

// backend is what a backendRef resolves to, before policies are applied.
type backend struct {
	object  *store.Object
	deps    []*store.Object
	missing bool // something that it refers to does not exist
	// reason and message say why it cannot be used; an empty reason: it can.
	reason, message, remedy string

	base     ir.Cluster
	policies []bound
	problems []store.Problem
	// ownCertificate: the object says itself which client certificate is shown.
	ownCertificate bool
	// unusedTLS: it says how to speak TLS, and this use of it does not.
	unusedTLS bool
	service   *servicePort
}

// backendOf finds what a reference names. The result is shared within a run.
func (c *compiler) backendOf(k backendKey) *backend {
	if b := c.backends[k]; b != nil {
		return b
	}
	b := &backend{object: c.set.Get(k.key)}
	c.backends[k] = b
	if b.object == nil {
		b.missing = true
		b.reason = string(gwv1.RouteReasonBackendNotFound)
		b.message, b.remedy = c.notFound(k.key)
		return b
	}
	b.deps = append(b.deps, b.object)
	if k.key.Kind == v1alpha1.KindBackend {
		c.ownBackend(b)
	} else {
		c.serviceBackend(b, k)
	}
	b.unusedTLS = k.stream.opaque() && b.base.TLS != nil
	k.stream.apply(&b.base)
	if k.grpc && !b.base.HTTP2 && !b.base.HTTP3 {
		b.base.HTTP2 = true
		b.base.Name += "~h2" // beside the cluster that HTTPRoutes use
	}
	return b
}

// speaksHTTP1 tells whether requests to the backend go by HTTP/1.1.
func (b *backend) speaksHTTP1() bool {
	return !b.missing && b.reason == "" && (b.base.Protocol == ir.HTTP || b.base.Protocol == ir.HTTPS) && !b.base.HTTP2 && !b.base.HTTP3
}

// unusable says why a backend cannot be used.
func (b *backend) unusable(reason, message, remedy string) {
	b.reason, b.message, b.remedy = reason, message, remedy
}

// ownBackend reads a Backend, or its last good version.
func (c *compiler) ownBackend(b *backend) {
	v, used := c.goodBackend(b.object)
	if v == nil {
		b.unusable("InvalidBackend", b.object.Key.String()+" is invalid", "see the errors of that Backend")
		return
	}
	b.policies = c.traffic.at(target{key: b.object.Key})
	b.base = ir.Cluster{Name: b.object.Key.String(), Ref: ref(used, ""), Protocol: ir.HTTP, Host: deref(v.Spec.Host, "")}
	c.backendEndpoints(b, &v.Spec, used)
	b.base.HTTP2, b.base.HTTP3 = v.Spec.Protocol.HTTP2(), v.Spec.Protocol.HTTP3()
	if v.Spec.Protocol.TLS() {
		b.base.Protocol = ir.HTTPS
		c.backendKindTLS(b, v.Spec.TLS, used)
	}
}

// goodBackend returns a Backend's valid form and the object it is from.
func (c *compiler) goodBackend(o *store.Object) (*v1alpha1.Backend, *store.Object) {
	v, ok := o.Value.(*v1alpha1.Backend)
	if !ok {
		return nil, nil
	}
	if len(judgeBackend(&v.Spec)) == 0 {
		return v, o
	}
	if old := c.lastGood(o); old != nil {
		if good, ok := old.Value.(*v1alpha1.Backend); ok && len(judgeBackend(&good.Spec)) == 0 {
			c.next.fallback[o.Key] = old
			return good, old
		}
	}
	return nil, nil
}

func (c *compiler) backendEndpoints(b *backend, spec *v1alpha1.BackendSpec, used *store.Object) {
	var dns []ir.DNSName
	for _, e := range spec.Endpoints {
		x := ir.Endpoint{
			Address: e.Address, Weight: uint32(deref(e.Weight, 1)),
			Zone: deref(e.Zone, ""), Priority: int(deref(e.Priority, 0)),
		}
		host, port, _ := splitEndpoint(e.Address)
		if port == 0 || isIP(host) {
			if isIP(host) {
				x.Address = net.JoinHostPort(host, strconv.Itoa(port))
			}
			b.base.Endpoints = append(b.base.Endpoints, x)
			continue
		}
		dns = append(dns, ir.DNSName{
			Name: host, Port: uint16(port), Weight: x.Weight, Zone: x.Zone, Priority: x.Priority,
			MinTTL: defaultMinTTL, MaxTTL: defaultMaxTTL,
		})
	}
	for _, d := range spec.DNS {
		x := ir.DNSName{
			Name: d.Name, SRV: d.Type == v1alpha1.BackendDNSService,
			Zone: deref(d.Zone, ""), Resolver: deref(d.Resolver, ""),
			MinTTL: duration(d.MinTTL, defaultMinTTL), MaxTTL: duration(d.MaxTTL, defaultMaxTTL),
		}
		if !x.SRV {
			x.Port, x.Weight, x.Priority = uint16(deref(d.Port, 0)), uint32(deref(d.Weight, 1)), int(deref(d.Priority, 0))
		}
		dns = append(dns, x)
	}
	if len(dns) > 0 {
		b.base.Discovery = &ir.Discovery{DNS: dns}
	}
	if services := c.consulServices(b, spec.Consul, used); len(services) > 0 {
		b.base.Discovery = &ir.Discovery{DNS: dns, Consul: services}
	}
}

// splitEndpoint splits "HOST:PORT"; a Unix socket has port 0.
func splitEndpoint(address string) (host string, port int, err error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if path == "" {
			return "", 0, fmt.Errorf("the path of the Unix socket is missing")
		}
		return address, 0, nil
	}
	host, p, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not IP:PORT, [IPv6]:PORT, NAME:PORT or unix:PATH", address)
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("port %q is not between 1 and 65535", p)
	}
	if host == "" {
		return "", 0, fmt.Errorf("%q has no host", address)
	}
	return host, int(n), nil
}

func isIP(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// judgeBackend finds the semantic errors of a Backend.
func judgeBackend(spec *v1alpha1.BackendSpec) []fault {
	var faults []fault
	add := func(field, message, remedy string) {
		faults = append(faults, fault{field: "spec." + field, code: "InvalidValue", message: message, remedy: remedy})
	}
	if len(spec.Endpoints) == 0 && len(spec.DNS) == 0 && len(spec.Consul) == 0 {
		add("endpoints", "at least one of endpoints, dns and consul must be given", `for example: [{address: "127.0.0.1:8080"}]`)
	}
	for i, e := range spec.Endpoints {
		field := fmt.Sprintf("endpoints[%d].address", i)
		host, port, err := splitEndpoint(e.Address)
		switch {
		case err != nil:
			add(field, err.Error(), "")
		case port != 0 && !isIP(host):
			if why := checkHostname(strings.ToLower(strings.TrimSuffix(host, ".")), false); why != "" {
				add(field, fmt.Sprintf("host %q %s", host, why), "")
			}
		}
		if deref(e.Weight, 1) < 0 {
			add(fmt.Sprintf("endpoints[%d].weight", i), "a weight cannot be negative", "")
		}
	}
	for i, d := range spec.DNS {
		if d.Type != v1alpha1.BackendDNSService && (d.Port == nil || *d.Port < 1 || *d.Port > 65535) {
			add(fmt.Sprintf("dns[%d].port", i), "a port from 1 to 65535 is needed for records of type A", "")
		}
		if low, high := duration(d.MinTTL, defaultMinTTL), duration(d.MaxTTL, defaultMaxTTL); low > high {
			add(fmt.Sprintf("dns[%d].minTTL", i), fmt.Sprintf("%s is above maxTTL, %s", low, high), "")
		}
	}
	if spec.Protocol.HTTP3() {
		for i, e := range spec.Endpoints {
			if strings.HasPrefix(e.Address, "unix:") {
				add(fmt.Sprintf("endpoints[%d].address", i), "protocol h3 is over UDP, which Unix sockets have not", "give IP:PORT or NAME:PORT")
			}
		}
		if t := spec.TLS; t != nil && deref(t.MaxVersion, v1alpha1.TLS13) != v1alpha1.TLS13 {
			add("tls.maxVersion", "protocol h3 needs TLS 1.3", "remove maxVersion")
		}
	}
	faults = append(faults, judgeConsul(spec.Consul)...)
	return append(faults, judgeBackendTLS(spec)...)
}

// refersTo tells whether a Backend names other objects.
func refersTo(spec *v1alpha1.BackendSpec) bool { return spec.TLS != nil || len(spec.Consul) > 0 }

func judgeBackendTLS(spec *v1alpha1.BackendSpec) []fault {
	t := spec.TLS
	if t == nil {
		return nil
	}
	var faults []fault
	add := func(field, message, remedy string) {
		faults = append(faults, fault{field: "spec.tls" + field, code: "InvalidValue", message: message, remedy: remedy})
	}
	if !spec.Protocol.TLS() {
		add("", "tls needs protocol https, h2 or h3", "set protocol: https, or remove tls")
	}
	if len(t.CACertificateRefs) > 0 && t.WellKnownCACertificates != nil {
		add(".wellKnownCACertificates", "caCertificateRefs and wellKnownCACertificates exclude each other", "remove one of them")
	}
	if deref(t.InsecureSkipVerify, false) && (len(t.CACertificateRefs) > 0 || t.WellKnownCACertificates != nil || len(t.SubjectAltNames) > 0) {
		add(".insecureSkipVerify", "nothing is verified, so CA certificates and subjectAltNames have no meaning", "remove it, or them")
	}
	if deref(t.MinVersion, v1alpha1.TLS12) > deref(t.MaxVersion, v1alpha1.TLS13) {
		add(".minVersion", "minVersion is above maxVersion", "")
	}
	for i, s := range t.SubjectAltNames {
		if why := judgeSAN(s); why != "" {
			add(fmt.Sprintf(".subjectAltNames[%d]", i), why, "")
		}
	}
	for i, p := range t.ALPN {
		if why, remedy := judgeALPN(p); why != "" {
			add(fmt.Sprintf(".alpn[%d]", i), why, remedy)
		}
	}
	return faults
}

// backendState is what became of a Backend.
type backendState struct {
	object *store.Object
	faults []fault
	status status.Object
}

// finishBackends writes the statuses of Backends, and reports what is wrong
// with each whether or not a route uses it.
func (c *compiler) finishBackends() {
	var old []*backendState
	if c.prev != nil {
		old = c.prev.backends
	}
	objects := c.set.Kind(ownGroup, v1alpha1.KindBackend)
	c.next.backends = make([]*backendState, 0, len(objects))
	for _, o := range objects {
		v, ok := o.Value.(*v1alpha1.Backend)
		if !ok {
			continue
		}
		for len(old) > 0 && old[0].object != o && compareKeys(old[0].object.Key, o.Key) < 0 {
			old = old[1:]
		}
		var x *backendState
		if len(old) > 0 && old[0].object == o && !refersTo(&v.Spec) && len(old[0].faults) == 0 {
			x, old = old[0], old[1:] // a valid Backend without references is what it was
		} else {
			x = c.judgeBackendObject(o, v)
		}
		c.next.backends = append(c.next.backends, x)
	}
}

func (c *compiler) judgeBackendObject(o *store.Object, v *v1alpha1.Backend) *backendState {
	x := &backendState{object: o, faults: judgeBackend(&v.Spec)}
	generation := meta(o).GetGeneration()
	accepted := status.Condition{Type: "Accepted", Status: status.True, Reason: "Accepted", Generation: generation}
	resolved := status.Condition{Type: "ResolvedRefs", Status: status.True, Reason: "ResolvedRefs", Generation: generation}
	for _, f := range x.faults {
		c.report(f.problem(o))
	}
	if len(x.faults) > 0 {
		accepted.Status, accepted.Reason, accepted.Message = status.False, "Invalid", x.faults[0].message
		if good, _ := c.goodBackend(o); good != nil {
			accepted.Message = "the last good version serves, because this one is invalid: " + accepted.Message
			c.report(keepsServing(o))
		}
	} else if refersTo(&v.Spec) {
		b := c.backendOf(backendKey{key: o.Key})
		if b.message != "" {
			resolved.Status, resolved.Reason, resolved.Message = status.False, cmp.Or(b.reason, "InvalidReference"), b.message
		}
		for _, p := range b.problems {
			c.reportOnce(p)
		}
	}
	x.status = status.Object{
		Key: o.Key, Generation: generation, Position: o.Locate(""),
		Conditions: []status.Condition{accepted, resolved},
	}
	return x
}
