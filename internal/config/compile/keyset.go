package compile

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/jwt"
)

// defaultKeysEntry is the entry of a ConfigMap or Secret with a JWK Set.
const defaultKeysEntry = "jwks.json"

// keySetName is what a method's keys are known by. It says nothing of the keys, so
// that these change without the routes.
func keySetName(p *authenticationPolicy, method, issuer int) string {
	return fmt.Sprintf("%s/%s/%d/%d", p.object.Key.Namespace, p.object.Key.Name, method, issuer)
}

// keySets are the keys of all policies that can be used, by name. One that is as it
// was before is the same pointer.
func (c *compiler) keySets() []*ir.KeySet {
	var out []*ir.KeySet
	for _, p := range c.authentication.all {
		if p.spec == nil {
			continue
		}
		for i := range p.spec.AnyOf {
			if o := p.spec.AnyOf[i].OIDC; o != nil {
				out = append(out, c.loginKeys(p.used, o, keySetName(p, i, 0), fmt.Sprintf("spec.anyOf[%d].oidc", i)))
			}
			m := p.spec.AnyOf[i].JWT
			if m == nil {
				continue
			}
			for k := range m.Issuers {
				field := fmt.Sprintf("spec.anyOf[%d].jwt.issuers[%d]", i, k)
				out = append(out, c.keySet(p.used, &m.Issuers[k], keySetName(p, i, k), field))
			}
		}
	}
	slices.SortFunc(out, func(a, b *ir.KeySet) int { return strings.Compare(a.Name, b.Name) })
	if c.prevConfig != nil {
		takeOver(out, c.prevConfig.KeySets, func(k *ir.KeySet) string { return k.Name })
	}
	return out
}

// takeOver puts what was there before in the place of what is equal. Both are
// ordered by name.
func takeOver[T any](now, before []*T, name func(*T) string) {
	for i, k := range now {
		at, found := slices.BinarySearchFunc(before, name(k), func(b *T, n string) int { return strings.Compare(name(b), n) })
		if found && reflect.DeepEqual(before[at], k) {
			now[i] = before[at]
		}
	}
}

func (c *compiler) keySet(o *store.Object, is *v1alpha1.JWTIssuer, name, field string) *ir.KeySet {
	out := &ir.KeySet{Name: name, Issuer: is.Issuer}
	switch k := is.Keys; {
	case is.TokenIssuerRef != nil:
		c.localKeys(out, o, is.TokenIssuerRef, field)
		return out
	case k.Inline != nil:
		out.Inline = []byte(*k.Inline)
	case k.Ref != nil:
		out.Inline, out.Source = c.keysRef(o, k.Ref, field+".keys.ref")
	default:
		out.URL, _ = keyURL(is)
		out.Discovery, out.Plain = k.Discovery != nil, deref(k.AllowHTTP, false)
		out.Refresh = duration(k.Refresh, defaultKeyRefresh)
		if ca, ok := c.keysCA(o, k.CACertificateRefs, field+".keys"); ok {
			out.CA = ca
		} else {
			out.URL = "" // nobody is asked unverified
		}
	}
	if len(is.Audiences) == 0 {
		c.reportOnce(problemAt(o, field, store.Warning, "AudienceUnchecked",
			fmt.Sprintf("tokens that %s has made for anybody else are accepted too", is.Issuer), "name what the tokens are for: audiences: [NAME]"))
	}
	if out.Plain && strings.HasPrefix(out.URL, "http:") {
		if u, err := ir.ParseFetchURL(out.URL, true); err == nil && !ir.Loopback(u.Hostname()) {
			c.reportOnce(problemAt(o, field+".keys.allowHTTP", store.Warning, "KeysUnprotected",
				fmt.Sprintf("keys come from %s by http: whoever is on the path can make tokens", u.Host), "use https"))
		}
	}
	return out
}

// localKeys are the public side of those that a TokenIssuer signs with.
func (c *compiler) localKeys(out *ir.KeySet, o *store.Object, r *v1alpha1.TokenIssuerReference, field string) {
	key := store.Key{Group: ownGroup, Kind: v1alpha1.KindTokenIssuer, Namespace: o.Key.Namespace, Name: string(r.Name)}
	out.Source = key.String()
	x := c.tokenIssuers[key]
	if x != nil {
		out.Issuer, out.Inline = x.ir.Issuer, x.keys
		return
	}
	message, remedy := fmt.Sprintf("%s is invalid", key), "see the errors of that TokenIssuer"
	if c.set.Get(key) == nil {
		message, remedy = c.notFound(key)
	}
	c.reportOnce(problemAt(o, field+".tokenIssuerRef", store.Warning, "InvalidReference", message+"; none of its tokens is accepted", remedy))
}

// keysCA finds what verifies the server of keys; false is that it cannot be.
func (c *compiler) keysCA(o *store.Object, refs []gwv1.LocalObjectReference, field string) (ca []byte, ok bool) {
	for i, r := range refs {
		key := resolveKey(o, &r.Group, "", &r.Kind, "ConfigMap", nil, r.Name)
		pem, reason, message, remedy := c.caRef(o, key)
		if message != "" {
			c.reportOnce(problemAt(o, fmt.Sprintf("%s.caCertificateRefs[%d]", field, i), store.Warning, reason, message, remedy))
		}
		ca = joinPEM(ca, pem)
	}
	if len(refs) == 0 || len(ca) > 0 {
		return ca, true
	}
	c.reportOnce(problemAt(o, field+".caCertificateRefs", store.Warning, "InvalidCACertificateRef",
		"none of the caCertificateRefs is valid, so that keys are not fetched", ""))
	return nil, false
}

// keysRef reads an entry of an object, or that of its last good version.
func (c *compiler) keysRef(owner *store.Object, r *v1alpha1.JWTKeysRef, field string) (text []byte, source string) {
	key := store.Key{Kind: deref(r.Kind, "ConfigMap"), Namespace: owner.Key.Namespace, Name: string(r.Name)}
	entry := deref(r.Key, defaultKeysEntry)
	source = fmt.Sprintf("%s of %s", entry, key)
	report := func(message, remedy string) {
		c.reportOnce(problemAt(owner, field, store.Warning, "InvalidKeySet", message+"; without keys its tokens are answered 503", remedy))
	}
	o := c.set.Get(key)
	if o == nil {
		report(c.notFound(key))
		return nil, source
	}
	text, why := keysEntry(o, entry)
	if why == "" {
		return text, source
	}
	c.reportOnce(problemAt(o, dataField(o, ""), store.Error, "InvalidKeySet", fmt.Sprintf("%s: %s", entry, why), "put a JWK Set of public keys there"))
	if old := c.lastGood(o); old != nil {
		if text, why := keysEntry(old, entry); why == "" {
			c.next.fallback[o.Key] = old
			c.reportOnce(keepsServing(o))
			return text, source
		}
	}
	report(fmt.Sprintf("%s cannot be used", key), "see the errors of that "+key.Kind)
	return nil, source
}

// keysEntry reads a JWK Set, or says why it is none.
func keysEntry(o *store.Object, entry string) (text []byte, why string) {
	switch v := o.Value.(type) {
	case *corev1.ConfigMap:
		if text = []byte(v.Data[entry]); len(text) == 0 {
			text = v.BinaryData[entry]
		}
	case *corev1.Secret:
		text = secretValue(v, entry)
	}
	if len(text) == 0 {
		return nil, "there is no such entry"
	}
	_, skipped, err := jwt.ParseSet(text)
	if err != nil {
		return nil, err.Error()
	}
	for _, s := range skipped {
		if s.Private {
			return nil, s.String()
		}
	}
	return text, ""
}
