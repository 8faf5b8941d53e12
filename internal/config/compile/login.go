package compile

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

const (
	minCookieKey    = 32
	maxCookieKey    = 1024
	maxClientSecret = 1024

	noLogin = "nobody can log in without it"
)

// loginName is what a method's login is known by. It says nothing of secrets, so that
// these change without the routes.
func loginName(p *authenticationPolicy, method int) string {
	return fmt.Sprintf("%s/%s/%d", p.object.Key.Namespace, p.object.Key.Name, method)
}

// logins are the clients of OpenID providers that all policies have, by name. One that
// is as it was before is the same pointer.
func (c *compiler) logins() []*ir.Login {
	var out []*ir.Login
	for _, p := range c.authentication.all {
		if p.spec == nil {
			continue
		}
		for i := range p.spec.AnyOf {
			if o := p.spec.AnyOf[i].OIDC; o != nil {
				out = append(out, c.login(p.used, o, loginName(p, i), fmt.Sprintf("spec.anyOf[%d].oidc", i)))
			}
		}
	}
	slices.SortFunc(out, func(a, b *ir.Login) int { return strings.Compare(a.Name, b.Name) })
	if c.prevConfig != nil {
		takeOver(out, c.prevConfig.Logins, func(l *ir.Login) string { return l.Name })
	}
	return out
}

func (c *compiler) login(owner *store.Object, o *v1alpha1.OIDCAuthentication, name, field string) *ir.Login {
	out := &ir.Login{Name: name, Issuer: o.Issuer, ClientID: o.ClientID, Plain: deref(o.AllowHTTP, false)}
	out.URL, _ = discoveryURL(o)
	ca, ok := c.keysCA(owner, o.CACertificateRefs, field)
	out.CA, out.Broken = ca, !ok
	if o.ClientSecretRef != nil {
		if out.ClientSecret = c.secretFor(owner, o.ClientSecretRef, field+".clientSecretRef", noLogin, 1, maxClientSecret); out.ClientSecret == nil {
			out.Broken = true
		}
	}
	var refs []v1alpha1.SecretKeyReference
	if o.Session != nil {
		refs = o.Session.KeyRefs
	}
	for i := range refs {
		if key := c.secretFor(owner, &refs[i], fmt.Sprintf("%s.session.keyRefs[%d]", field, i), [...]string{noLogin, "it decrypts nothing"}[min(i, 1)], minCookieKey, maxCookieKey); key != nil {
			out.CookieKeys = append(out.CookieKeys, key)
		} else if i == 0 { // what another one would encrypt, others could not read
			out.Broken = true
		}
	}
	if len(refs) == 0 && len(c.in.SessionKey) > 0 {
		mac := hmac.New(sha256.New, c.in.SessionKey)
		mac.Write([]byte("login"))
		out.CookieKeys = [][]byte{mac.Sum(nil)}
	}
	return out
}

// loginKeys are the keys that ID tokens are verified with.
func (c *compiler) loginKeys(owner *store.Object, o *v1alpha1.OIDCAuthentication, name, field string) *ir.KeySet {
	out := &ir.KeySet{Name: name, Issuer: o.Issuer, Discovery: true, Plain: deref(o.AllowHTTP, false), Refresh: defaultKeyRefresh}
	out.URL, _ = discoveryURL(o)
	ca, ok := c.keysCA(owner, o.CACertificateRefs, field)
	if out.CA = ca; !ok {
		out.URL = "" // nobody is asked unverified
	}
	return out
}

// secretFor reads an entry of a Secret, or says why it is of no use and what becomes
// of that.
func (c *compiler) secretFor(owner *store.Object, r *v1alpha1.SecretKeyReference, field, without string, least, most int) []byte {
	key := store.Key{Kind: "Secret", Namespace: owner.Key.Namespace, Name: r.Name}
	report := func(message, remedy string) []byte {
		c.reportOnce(problemAt(owner, field, store.Warning, "InvalidReference", message+"; "+without, remedy))
		return nil
	}
	o := c.set.Get(key)
	if o == nil {
		return report(c.notFound(key))
	}
	switch text := bytes.TrimRight(secretEntry(o, entryName(r)), " \t\r\n"); {
	case len(text) == 0:
		return report(fmt.Sprintf("%s has no entry %q", key, entryName(r)), "put it there")
	case len(text) < least || len(text) > most:
		return report(fmt.Sprintf("entry %q of %s has %d bytes, and must have %d to %d", entryName(r), key, len(text), least, most), "\"openssl rand -base64 48\" makes a key")
	default:
		return text
	}
}
