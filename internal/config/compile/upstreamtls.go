package compile

import (
	"fmt"
	"net/url"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// backendKindTLS compiles spec.tls of a Backend with protocol https.
func (c *compiler) backendKindTLS(b *backend, t *v1alpha1.BackendTLS, used *store.Object) {
	out := &ir.UpstreamTLS{System: true}
	b.base.TLS = out
	if t == nil {
		return
	}
	out.ServerName = string(deref(t.ServerName, ""))
	out.MinVersion, out.MaxVersion = string(deref(t.MinVersion, "")), string(deref(t.MaxVersion, ""))
	out.SANs, out.ALPN = sans(t.SubjectAltNames), protocols(t.ALPN)
	if deref(t.InsecureSkipVerify, false) {
		out.Insecure, out.System = true, false
		b.problems = append(b.problems, problemAt(used, "spec.tls.insecureSkipVerify", store.Warning, "InsecureUpstream",
			"certificates of endpoints are not verified: whoever is on the path can read and change the traffic",
			"name the CA by caCertificateRefs instead"))
	}
	if len(t.CACertificateRefs) > 0 {
		out.System = false
		out.CA = c.upstreamCA(b, used, "spec.tls.caCertificateRefs", t.CACertificateRefs)
		if len(out.CA) == 0 {
			b.unusable("InvalidCACertificateRef", "none of the caCertificateRefs of "+b.object.Key.String()+" is valid", "see that Backend")
		}
	}
	if r := t.ClientCertificateRef; r != nil {
		b.ownCertificate = true
		key := resolveKey(used, r.Group, "", r.Kind, "Secret", r.Namespace, r.Name)
		c.depend(b, key)
		cert, reason, message, remedy := c.secretRef(used, *r)
		if message != "" {
			b.problems = append(b.problems, problemAt(used, "spec.tls.clientCertificateRef", store.Warning, reason, message, remedy))
		}
		if cert == nil {
			b.unusable("InvalidClientCertificateRef", message, remedy)
			return
		}
		out.Certificate = cert.ir
	}
}

// depend records that a backend was compiled from an object, or without it.
func (c *compiler) depend(b *backend, key store.Key) {
	if o := c.set.Get(key); o != nil {
		b.deps = append(b.deps, o)
	} else {
		b.missing = true
	}
}

// upstreamCA joins the CA certificates of several references; what is invalid
// is reported and left out.
func (c *compiler) upstreamCA(b *backend, owner *store.Object, field string, refs []gwv1.LocalObjectReference) []byte {
	var all []byte
	for i, r := range refs {
		key := resolveKey(owner, &r.Group, "", &r.Kind, "ConfigMap", nil, r.Name)
		c.depend(b, key)
		pem, reason, message, remedy := c.caRef(owner, key)
		if message != "" {
			b.problems = append(b.problems, problemAt(owner, fmt.Sprintf("%s[%d]", field, i), store.Warning, reason, message, remedy))
		}
		all = joinPEM(all, pem)
	}
	return all
}

func sans(list []gwv1.SubjectAltName) []ir.SAN {
	var out []ir.SAN
	for _, s := range list {
		if s.Type == gwv1.URISubjectAltNameType {
			out = append(out, ir.SAN{URI: string(s.URI)})
		} else {
			out = append(out, ir.SAN{DNS: strings.ToLower(string(s.Hostname))})
		}
	}
	return out
}

func judgeSAN(s gwv1.SubjectAltName) string {
	switch s.Type {
	case gwv1.HostnameSubjectAltNameType:
		if why := checkHostname(string(s.Hostname), true); why != "" {
			return fmt.Sprintf("hostname %q %s", s.Hostname, why)
		}
	case gwv1.URISubjectAltNameType:
		if u, err := url.Parse(string(s.URI)); err != nil || u.Scheme == "" {
			return fmt.Sprintf("uri %q is not an absolute URI", s.URI)
		}
	default:
		return fmt.Sprintf("type %q is not Hostname or URI", s.Type)
	}
	return ""
}
