package compile

import (
	"bytes"
	"fmt"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// server is the work on an object that says how a server is reached which Gridway
// itself speaks to: a store of limits, a sink of telemetry.
type server struct {
	*compiler
	object             *store.Object
	accepted, resolved status.Condition
	without            string // what becomes of it while something it names is missing
}

func newServer(c *compiler, o *store.Object, without string) *server {
	generation := meta(o).GetGeneration()
	return &server{
		compiler: c, object: o, without: without,
		accepted: status.Condition{Type: "Accepted", Status: status.True, Reason: "Accepted", Generation: generation},
		resolved: status.Condition{Type: "ResolvedRefs", Status: status.True, Reason: "ResolvedRefs", Generation: generation},
	}
}

// fallBack reports faults, and that the last good version is used, if there is one.
func (x *server) fallBack(faults []fault, good *store.Object) {
	for _, f := range faults {
		x.report(f.problem(x.object))
	}
	x.accepted.Status, x.accepted.Reason, x.accepted.Message = status.False, "Invalid", faults[0].message
	if good != nil {
		x.next.fallback[x.object.Key] = good
		x.accepted.Message = "the last good version is in force, because this one is invalid: " + x.accepted.Message
		x.report(keepsServing(x.object))
	}
}

func (x *server) unresolved(used *store.Object, field, reason, message, remedy string) {
	x.resolved.Status, x.resolved.Reason, x.resolved.Message = status.False, reason, message
	x.report(problemAt(used, field, store.Warning, reason, message+"; "+x.without, remedy))
}

// secret reads an entry of a Secret; without a reference there is none.
func (x *server) secret(used *store.Object, r *v1alpha1.SecretKeyReference, field string, to *string) bool {
	if r == nil {
		return true
	}
	key := store.Key{Kind: "Secret", Namespace: used.Key.Namespace, Name: r.Name}
	o := x.set.Get(key)
	if o == nil {
		message, remedy := x.notFound(key)
		x.unresolved(used, field, "InvalidSecretRef", message, remedy)
		return false
	}
	text := bytes.TrimRight(secretEntry(o, entryName(r)), " \t\r\n")
	if len(text) == 0 {
		x.unresolved(used, field, "InvalidSecretRef", fmt.Sprintf("%s has no entry %q", key, entryName(r)), "put it there")
		return false
	}
	*to = string(text)
	return true
}

// serverTLS is what RedisTLS and SinkTLS have in common, which is all.
type serverTLS v1alpha1.SinkTLS

// tls returns nil if the server cannot be verified, or not told who asks, as it should.
func (x *server) tls(used *store.Object, field string, t serverTLS) *ir.UpstreamTLS {
	out := &ir.UpstreamTLS{System: len(t.CACertificateRefs) == 0, ServerName: string(deref(t.ServerName, ""))}
	for i, r := range t.CACertificateRefs {
		key := resolveKey(used, &r.Group, "", &r.Kind, "ConfigMap", nil, r.Name)
		pem, reason, message, remedy := x.caRef(used, key)
		if message != "" {
			x.unresolved(used, fmt.Sprintf("%s.caCertificateRefs[%d]", field, i), reason, message, remedy)
		}
		out.CA = joinPEM(out.CA, pem)
	}
	if !out.System && len(out.CA) == 0 {
		return nil
	}
	if r := t.ClientCertificateRef; r != nil {
		cert, reason, message, remedy := x.secretRef(used, gwv1.SecretObjectReference{Group: &r.Group, Kind: &r.Kind, Name: r.Name})
		if message != "" {
			x.unresolved(used, field+".clientCertificateRef", reason, message, remedy)
		}
		if cert == nil {
			return nil
		}
		out.Certificate = cert.ir
	}
	return out
}
