package compile

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/issuance"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
)

// letsEncrypt is the directory that is asked by default.
const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// SourceACME is the Source of the Secrets that come from issuers.
const SourceACME = "acme"

// issuer is a CertificateIssuer while it is compiled.
type issuer struct {
	object *store.Object
	used   *store.Object // object, or its last good version
	spec   v1alpha1.CertificateIssuerSpec

	accepted, resolved status.Condition
	// order is what all orders of the issuer have in common.
	order issuance.Order
	// placed are the certificates that listeners want, in their order.
	placed []issuance.Order
	valid  bool
}

// compileIssuers reads the CertificateIssuers; listeners refer to them.
func (c *compiler) compileIssuers() {
	for _, o := range c.set.Kind(ownGroup, v1alpha1.KindCertificateIssuer) {
		v, ok := o.Value.(*v1alpha1.CertificateIssuer)
		if !ok {
			continue
		}
		x := &issuer{object: o, used: o, spec: v.Spec, valid: true}
		generation := meta(o).GetGeneration()
		x.accepted = status.Condition{Type: "Accepted", Status: status.True, Reason: "Accepted", Generation: generation}
		x.resolved = status.Condition{Type: "ResolvedRefs", Status: status.True, Reason: "ResolvedRefs", Generation: generation}
		if faults := judgeIssuer(&v.Spec); len(faults) > 0 {
			c.fallBack(x, faults)
		}
		if x.valid {
			c.resolveIssuer(x)
		}
		c.issuers[o.Key] = x
	}
}

// judgeIssuer finds what the schema does not.
func judgeIssuer(spec *v1alpha1.CertificateIssuerSpec) []fault {
	var faults []fault
	if !spec.ACME.TermsOfServiceAgreed {
		faults = append(faults, fault{
			field: "spec.acme.termsOfServiceAgreed", code: "TermsNotAccepted",
			message: "the authority's terms of service are not accepted",
			remedy:  "read them, and set termsOfServiceAgreed to true",
		})
	}
	if u, err := url.Parse(directoryOf(spec)); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		faults = append(faults, fault{
			field: "spec.acme.directory", code: "InvalidURL", message: "is not the URL of a directory", remedy: "for example: " + letsEncrypt,
		})
	}
	for i, h := range spec.Hostnames {
		if why := checkHostname(string(h), false); why != "" {
			faults = append(faults, fault{
				field: fmt.Sprintf("spec.hostnames[%d]", i), code: "InvalidHostname", message: fmt.Sprintf("hostname %q %s", h, why),
			})
		}
	}
	return faults
}

func directoryOf(spec *v1alpha1.CertificateIssuerSpec) string {
	if spec.ACME.Directory == "" {
		return letsEncrypt
	}
	return spec.ACME.Directory
}

// fallBack reports faults and takes the last good version, if there is one.
func (c *compiler) fallBack(x *issuer, faults []fault) {
	for _, f := range faults {
		c.report(f.problem(x.object))
	}
	x.accepted.Status, x.accepted.Reason, x.accepted.Message = status.False, "Invalid", faults[0].message
	x.valid = false
	old := c.lastGood(x.object)
	if old == nil {
		return
	}
	if good, ok := old.Value.(*v1alpha1.CertificateIssuer); ok && len(judgeIssuer(&good.Spec)) == 0 {
		x.used, x.spec, x.valid = old, good.Spec, true
		c.next.fallback[x.object.Key] = old
		x.accepted.Message = "the last good version is in force, because this one is invalid: " + x.accepted.Message
		c.report(keepsServing(x.object))
	}
}

// resolveIssuer reads what an issuer refers to. Without it nothing can be asked
// for, but a certificate that there is goes on serving.
func (c *compiler) resolveIssuer(x *issuer) {
	acme := &x.spec.ACME
	x.order = issuance.Order{
		Issuer: x.object.Key, Directory: directoryOf(&x.spec), KeyType: string(x.spec.KeyType), Profile: deref(acme.Profile, ""),
	}
	if x.order.KeyType == "" {
		x.order.KeyType = string(v1alpha1.KeyECDSA256)
	}
	for _, a := range acme.Contact {
		x.order.Contact = append(x.order.Contact, string(a))
	}
	unresolved := func(field, reason, message, remedy string) {
		x.resolved.Status, x.resolved.Reason, x.resolved.Message = status.False, reason, message
		x.order.Hold = message
		c.report(problemAt(x.used, field, store.Warning, reason, message, remedy))
	}
	for i, r := range acme.CACertificateRefs {
		key := resolveKey(x.used, &r.Group, "", &r.Kind, "ConfigMap", nil, r.Name)
		pem, reason, message, remedy := c.caRef(x.used, key)
		if message != "" {
			unresolved(fmt.Sprintf("spec.acme.caCertificateRefs[%d]", i), reason, message, remedy)
		}
		x.order.CA = joinPEM(x.order.CA, pem)
	}
	if b := acme.ExternalAccountBinding; b != nil {
		if key, message, remedy := c.bindingKey(x.used, b); message != "" {
			unresolved("spec.acme.externalAccountBinding.keySecretRef", "InvalidReference", message, remedy)
		} else {
			x.order.EAB = &issuance.EAB{KeyID: b.KeyID, Key: key}
		}
	}
}

// bindingKey reads the key of an external account binding.
func (c *compiler) bindingKey(owner *store.Object, b *v1alpha1.ExternalAccountBinding) (key []byte, message, remedy string) {
	ref := b.KeySecretRef
	if ref.Key == "" {
		ref.Key = "key"
	}
	at := store.Key{Kind: "Secret", Namespace: owner.Key.Namespace, Name: ref.Name}
	o := c.set.Get(at)
	if o == nil {
		return nil, at.String() + " not found", c.missing("", "Secret", at.Namespace, at.Name)
	}
	text := secretEntry(o, ref.Key)
	if len(text) == 0 {
		return nil, fmt.Sprintf("%s has no entry %q", at, ref.Key), "put the key there that the authority gave, as it shows it"
	}
	key, err := issuance.ParseKey(text)
	if err != nil {
		return nil, fmt.Sprintf("entry %q of %s %v", ref.Key, at, err), "put the key there that the authority gave, as it shows it"
	}
	return key, "", ""
}

// issuedCertificate resolves a certificateRef that names a CertificateIssuer:
// the certificate if there is one already, and the Secret that it comes as.
func (c *compiler) issuedCertificate(s *section, field string, key store.Key) (cert *certificate, secret store.Key) {
	invalid := string(gwv1.ListenerReasonInvalidCertificateRef)
	x := c.issuers[key]
	switch {
	case !c.grants.permits(s.owner.Key, key):
		c.unresolved(s, field, string(gwv1.ListenerReasonRefNotPermitted),
			key.String()+" is in another namespace, and no ReferenceGrant allows it", grantRemedy(s.owner.Key, key))
		return nil, store.Key{}
	case x == nil:
		c.unresolved(s, field, invalid, key.String()+" not found", c.missing(key.Group, key.Kind, key.Namespace, key.Name))
		return nil, store.Key{}
	case !x.valid:
		c.unresolved(s, field, invalid, key.String()+" is invalid", "see its errors")
		return nil, store.Key{}
	}
	names, message, remedy := x.namesFor(s.hostname)
	if message != "" {
		c.unresolved(s, field, invalid, message, remedy)
		return nil, store.Key{}
	}
	secret = issuance.SecretKey(x.object.Key, names)
	if !slices.ContainsFunc(x.placed, func(o issuance.Order) bool { return o.Secret == secret }) {
		order := x.order
		order.Secret, order.Names = secret, names
		x.placed = append(x.placed, order)
	}
	if o := c.set.Get(secret); o != nil {
		cert, _ = c.certificateOf(o)
	}
	return cert, secret
}

// namesFor lists the names in the certificate of a listener.
func (x *issuer) namesFor(hostname string) (names []string, message, remedy string) {
	switch {
	case hostname != "" && !strings.HasPrefix(hostname, "*"):
		return []string{hostname}, "", ""
	case len(x.spec.Hostnames) == 0 && hostname == "":
		return nil, "the listener has no hostname, so that there is no name to ask a certificate for",
			fmt.Sprintf("give the listener a hostname, or list names under hostnames of %s", x.object.Key)
	}
	for _, h := range x.spec.Hostnames {
		if hostname == "" || covers(hostname, string(h)) {
			names = append(names, string(h))
		}
	}
	if len(names) == 0 {
		return nil, fmt.Sprintf("a certificate for the wildcard name %q needs the DNS-01 challenge, which Gridway does not do", hostname),
			fmt.Sprintf("list the names that are in use under hostnames of %s, or refer to a Secret", x.object.Key)
	}
	slices.Sort(names)
	return slices.Compact(names), "", ""
}

// finishIssuers completes the orders, once it is known which listeners there
// are, and writes the statuses.
func (c *compiler) finishIssuers() []issuance.Order {
	var orders []issuance.Order
	reach := c.challengeReach()
	for _, o := range c.set.Kind(ownGroup, v1alpha1.KindCertificateIssuer) {
		x := c.issuers[o.Key]
		if x == nil {
			continue
		}
		if len(x.placed) > 0 {
			challenges := c.judgeChallenges(x, reach)
			for i := range x.placed {
				x.placed[i].Challenges = challenges
			}
			c.judgeNames(x)
		} else if x.valid {
			c.report(problemAt(x.used, "", store.Warning, "IssuerUnused", "no listener refers to it: no certificate is asked for",
				fmt.Sprintf("add to a listener: tls: {certificateRefs: [{group: %s, kind: %s, name: %s}]}", ownGroup, v1alpha1.KindCertificateIssuer, o.Key.Name)))
		}
		orders = append(orders, x.placed...)
		c.say(status.Object{
			Key: o.Key, Generation: meta(o).GetGeneration(), Position: o.Locate(""),
			Conditions: []status.Condition{x.accepted, x.resolved},
		})
	}
	return orders
}
