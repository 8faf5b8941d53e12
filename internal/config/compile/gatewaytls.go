package compile

import (
	"fmt"
	"maps"
	"slices"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// compileTLS gives the listeners that terminate TLS of a Gateway their certificates and
// their way to verify clients, and the Gateway its own certificate for backends.
func (c *compiler) compileTLS(gw *gateway) {
	c.compileBackendCertificate(gw)
	for _, s := range gw.everySection() {
		if s.passesThrough() && len(s.spec.TLS.CertificateRefs) > 0 {
			c.report(problemAt(s.owner, s.field+".tls.certificateRefs", store.Warning, "NoEffect",
				"with mode Passthrough the certificate is the backend's, and this one is not shown", "leave it out, or set mode to Terminate"))
		}
		if s.refused || !s.terminates() || s.spec.TLS == nil {
			continue
		}
		s.tls = &ir.ServerTLS{}
		for i, r := range s.spec.TLS.CertificateRefs {
			key := resolveKey(s.owner, r.Group, "", r.Kind, "Secret", r.Namespace, r.Name)
			if key.Group == ownGroup && key.Kind == v1alpha1.KindCertificateIssuer {
				cert, secret := c.issuedCertificate(s, fmt.Sprintf(".tls.certificateRefs[%d]", i), key)
				if cert != nil {
					s.tls.Certificates = append(s.tls.Certificates, cert.ir)
				} else if secret != (store.Key{}) {
					s.tls.Awaited = append(s.tls.Awaited, secret.String())
				}
				continue
			}
			if cert := c.listenerCertificate(s, i, r); cert != nil {
				s.tls.Certificates = append(s.tls.Certificates, cert.ir)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(s.spec.TLS.Options)) {
			c.report(problemAt(s.owner, s.field+".tls.options", store.Warning, "UnknownOption",
				fmt.Sprintf("TLS option %q is not known and has no effect", name),
				"set TLS versions and cipher suites by a TrafficPolicy on the Gateway (client.tls)"))
		}
		if len(s.tls.Certificates)+len(s.tls.Awaited) == 0 {
			s.refused = true
		}
		c.compileClientAuth(gw, s)
	}
}

// listenerCertificate resolves one certificateRef of a listener.
func (c *compiler) listenerCertificate(s *section, i int, r gwv1.SecretObjectReference) *certificate {
	field := fmt.Sprintf(".tls.certificateRefs[%d]", i)
	cert, reason, message, remedy := c.secretRef(s.owner, r)
	if message != "" {
		c.unresolved(s, field, reason, message, remedy)
	}
	if cert != nil && s.hostname != "" && !certifies(cert.names, s.hostname) {
		c.report(problemAt(s.owner, s.field+field, store.Warning, "CertificateNameMismatch",
			fmt.Sprintf("the certificate in Secret/%s is for %v, not for hostname %q", r.Name, cert.names, s.hostname),
			"clients that verify it will refuse the connection, unless another certificate fits"))
	}
	return cert
}

func certifies(names []string, hostname string) bool {
	for _, n := range names {
		if n == hostname || covers(n, hostname) || covers(hostname, n) {
			return true
		}
	}
	return len(names) == 0
}

// secretRef resolves a reference to a TLS Secret. A certificate may come with
// a message: it is then the last good one.
func (c *compiler) secretRef(owner *store.Object, r gwv1.SecretObjectReference) (cert *certificate, reason, message, remedy string) {
	key := resolveKey(owner, r.Group, "", r.Kind, "Secret", r.Namespace, r.Name)
	invalid := string(gwv1.ListenerReasonInvalidCertificateRef)
	switch {
	case key.Group != "" || key.Kind != "Secret":
		return nil, invalid, fmt.Sprintf("certificates cannot come from kind %s of group %q", key.Kind, key.Group),
			"name a Secret of type kubernetes.io/tls, or a CertificateIssuer of group gridway.dev"
	case !c.grants.permits(owner.Key, key):
		return nil, string(gwv1.ListenerReasonRefNotPermitted), key.String() + " is in another namespace, and no ReferenceGrant allows it",
			grantRemedy(owner.Key, key)
	}
	o := c.set.Get(key)
	if o == nil {
		message, remedy = c.notFound(key)
		return nil, invalid, message, remedy
	}
	cert, why := c.certificateOf(o)
	if why != "" {
		return cert, invalid, why, "see the Secret"
	}
	return cert, "", "", ""
}

// compileClientAuth applies spec.tls.frontend: the entry for the port, or the default.
func (c *compiler) compileClientAuth(gw *gateway, s *section) {
	if gw.spec.TLS == nil || gw.spec.TLS.Frontend == nil {
		return
	}
	v, field := gw.spec.TLS.Frontend.Default.Validation, "spec.tls.frontend.default.validation"
	for i, p := range gw.spec.TLS.Frontend.PerPort {
		if p.Port == s.spec.Port {
			v, field = p.TLS.Validation, fmt.Sprintf("spec.tls.frontend.perPort[%d].tls.validation", i)
		}
	}
	if v == nil {
		return
	}
	auth := &ir.ClientAuth{Mode: ir.ClientAuthRequire}
	if v.Mode == gwv1.AllowInsecureFallback {
		auth.Mode = ir.ClientAuthRequestInsecure
		gw.insecureFrontend = true
	}
	for i, r := range v.CACertificateRefs {
		key := resolveKey(gw.used, &r.Group, "", &r.Kind, "ConfigMap", r.Namespace, r.Name)
		pem, reason, message, remedy := c.caRef(gw.used, key)
		if message != "" {
			if s.resolved.Status == status.True {
				s.resolved.Status, s.resolved.Reason, s.resolved.Message = status.False, reason, message
			}
			c.reportOnce(problemAt(gw.used, fmt.Sprintf("%s.caCertificateRefs[%d]", field, i), store.Warning, reason, message, remedy))
		}
		auth.CA = joinPEM(auth.CA, pem)
	}
	if len(auth.CA) == 0 {
		// Without a CA nobody could be verified: the listener stays closed.
		s.refused = true
		s.accepted.Status, s.accepted.Reason = status.False, string(gwv1.ListenerReasonNoValidCACertificate)
		s.accepted.Message = "none of the caCertificateRefs is valid"
		c.reportOnce(problemAt(gw.used, field, store.Warning, s.accepted.Reason, s.accepted.Message, "clients could not be verified, so the listener is closed"))
		return
	}
	s.tls.ClientAuth = auth
}

// caRef resolves a reference to CA certificates in a ConfigMap or a Secret.
func (c *compiler) caRef(owner *store.Object, key store.Key) (pem []byte, reason, message, remedy string) {
	switch {
	case key.Group != "" || key.Kind != "ConfigMap" && key.Kind != "Secret":
		return nil, string(gwv1.ListenerReasonInvalidCACertificateKind),
			fmt.Sprintf("CA certificates cannot come from kind %s of group %q", key.Kind, key.Group), "name a ConfigMap with key ca.crt"
	case !c.grants.permits(owner.Key, key):
		return nil, string(gwv1.ListenerReasonRefNotPermitted),
			key.String() + " is in another namespace, and no ReferenceGrant allows it", grantRemedy(owner.Key, key)
	}
	invalid := string(gwv1.ListenerReasonInvalidCACertificateRef)
	o := c.set.Get(key)
	if o == nil {
		message, remedy = c.notFound(key)
		return nil, invalid, message, remedy
	}
	pem, why := c.bundleOf(o)
	if why != "" {
		return pem, invalid, why, "see the " + key.Kind
	}
	return pem, "", "", ""
}

func joinPEM(a, b []byte) []byte {
	if len(a) == 0 || len(b) == 0 {
		return append(a[:len(a):len(a)], b...)
	}
	if a[len(a)-1] != '\n' {
		a = append(a[:len(a):len(a)], '\n')
	}
	return append(a[:len(a):len(a)], b...)
}

// compileBackendCertificate resolves spec.tls.backend.clientCertificateRef.
func (c *compiler) compileBackendCertificate(gw *gateway) {
	if gw.spec.TLS == nil || gw.spec.TLS.Backend == nil || gw.spec.TLS.Backend.ClientCertificateRef == nil {
		return
	}
	cert, reason, message, remedy := c.secretRef(gw.used, *gw.spec.TLS.Backend.ClientCertificateRef)
	if message != "" {
		if reason == string(gwv1.ListenerReasonInvalidCertificateRef) {
			reason = string(gwv1.GatewayReasonInvalidClientCertificateRef)
		}
		gw.resolved.Status, gw.resolved.Reason, gw.resolved.Message = status.False, reason, message
		c.report(problemAt(gw.used, "spec.tls.backend.clientCertificateRef", store.Warning, reason, message, remedy))
	}
	if cert != nil {
		gw.backend = cert.ir
	}
}
