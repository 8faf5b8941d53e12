package compile

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/x500"
)

const (
	// maxCRL bounds a list in bytes, which is some 400,000 certificates.
	maxCRL = 16 << 20
	// maxCRLs bounds how many lists a ConfigMap may have.
	maxCRLs = 64
	// maxSerialBits is RFC 5280 §4.1.2.2.
	maxSerialBits = 160
)

func revocationName(p *authenticationPolicy, method int) string {
	return policyName(p.object) + "/" + methodName(&p.spec.AnyOf[method])
}

func revocationOf(r *v1alpha1.CertificateRevocation, name string) *ir.Revocation {
	if r == nil {
		return nil
	}
	return &ir.Revocation{
		List: name, LeafOnly: deref(r.Scope, v1alpha1.RevocationChain) == v1alpha1.RevocationLeaf,
		PassStale:   deref(r.OnStale, v1alpha1.RevocationRefuse) == v1alpha1.RevocationWarn,
		PassMissing: deref(r.OnMissing, v1alpha1.RevocationRefuse) == v1alpha1.RevocationWarn,
	}
}

// compileRevocations reads the lists of all methods, or takes them over.
func (c *compiler) compileRevocations() (out []*ir.RevocationLists) {
	for _, p := range c.authentication.all {
		if p.spec == nil {
			continue
		}
		for i := range p.spec.AnyOf {
			if m := p.spec.AnyOf[i].ClientCertificate; m != nil && m.Revocation != nil {
				out = append(out, c.revocationLists(p, i, m))
			}
		}
	}
	slices.SortFunc(out, func(a, b *ir.RevocationLists) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (c *compiler) revocationLists(p *authenticationPolicy, method int, m *v1alpha1.ClientCertificateAuthentication) *ir.RevocationLists {
	field := fmt.Sprintf("spec.anyOf[%d].clientCertificate.revocation", method)
	if deref(m.FromHeader, false) {
		c.report(problemAt(p.source(), field, store.Note, "NotChecked",
			"certificates that a proxy in front tells of are not looked up in the lists: the header does not say who has issued them", "have that proxy do it"))
	}
	parts := make([]*text, len(m.Revocation.CRLs))
	for i := range m.Revocation.CRLs {
		parts[i] = c.crls(p, fmt.Sprintf("%s.crls[%d].configMapRef", field, i), &m.Revocation.CRLs[i].ConfigMapRef)
	}
	name := revocationName(p, method)
	l := c.remembered(name, p.used, parts)
	if l == nil {
		l = &list{policy: p.used, parts: parts, revocations: &ir.RevocationLists{Name: name, Policy: policyName(p.object)}}
		for _, part := range parts {
			if part == nil || part.why != "" {
				l.revocations.Broken = true
				continue
			}
			l.revocations.CRLs = append(l.revocations.CRLs, part.crls...)
		}
	}
	c.next.lists[name] = l
	c.warnStale(p, field, m.Revocation, l.revocations)
	return l.revocations
}

// warnStale tells of lists that should have been replaced.
func (c *compiler) warnStale(p *authenticationPolicy, field string, r *v1alpha1.CertificateRevocation, l *ir.RevocationLists) {
	for _, crl := range l.CRLs {
		if crl.NextUpdate.IsZero() || !c.in.Now.After(crl.NextUpdate) {
			continue
		}
		effect := "requests with certificates of that authority are refused with 503"
		if deref(r.OnStale, v1alpha1.RevocationRefuse) == v1alpha1.RevocationWarn {
			effect = "certificates revoked since then are accepted"
		}
		c.report(problemAt(p.source(), field, store.Warning, "StaleCRL",
			fmt.Sprintf("the list of %s in %s is old, the next one was to come by %s: %s", crl.Issuer, crl.From, crl.NextUpdate.UTC().Format(time.RFC3339), effect),
			"have the authority's current list fetched into it"))
	}
}

// crls finds the lists that a policy names and says what is wrong with them. It
// returns the last good ones where there are any, and nil where there is nothing.
func (c *compiler) crls(p *authenticationPolicy, field string, r *v1alpha1.CRLReference) *text {
	key := store.Key{Kind: "ConfigMap", Namespace: p.used.Key.Namespace, Name: string(r.Name)}
	o := c.set.Get(key)
	if o == nil {
		message, remedy := c.notFound(key)
		c.report(problemAt(p.used, field+".name", store.Warning, "InvalidCRL", message+": requests with certificates are refused with 503 until it is there", remedy))
		return nil
	}
	got := c.readCRLs(o, r)
	if got.why == "" {
		return got
	}
	problem := problemAt(o, "data", store.Error, "InvalidCRL", got.why, "see docs/guides/client-certificates.md for what a list may have")
	if file := o.Files[got.entry]; file != "" {
		problem.Position = store.Position{File: file, Line: 1}
	}
	c.reportOnce(problem)
	if old := c.lastGood(o); old != nil {
		if good := c.readCRLs(old, r); good.why == "" {
			c.next.fallback[o.Key] = old
			c.reportOnce(keepsServing(o))
			return good
		}
	}
	c.report(problemAt(p.used, field, store.Warning, "InvalidCRL",
		fmt.Sprintf("%s cannot be used, so that requests with certificates are refused with 503", key), "see the errors of that ConfigMap"))
	return got
}

func (c *compiler) readCRLs(o *store.Object, r *v1alpha1.CRLReference) *text {
	return c.readOnce(textKey{o, deref(r.Key, ""), "crls"}, func(string) *text {
		m, ok := o.Value.(*corev1.ConfigMap)
		if !ok {
			return &text{why: "it is not a ConfigMap"}
		}
		entries := map[string][]byte{}
		maps.Copy(entries, m.BinaryData)
		for name, content := range m.Data {
			entries[name] = []byte(content)
		}
		names := slices.Sorted(maps.Keys(entries))
		if r.Key != nil {
			if names = []string{*r.Key}; entries[*r.Key] == nil {
				return &text{why: "it has no entry " + *r.Key}
			}
		}
		got := &text{}
		for _, name := range names {
			list, err := parseCRLs(entries[name])
			if err != nil {
				return &text{why: fmt.Sprintf("entry %s: %v", name, err), entry: name}
			}
			for _, crl := range list {
				crl.From = fmt.Sprintf("%s[%s]", o.Key, name)
			}
			got.crls = append(got.crls, list...)
		}
		if n := len(got.crls); n == 0 || n > maxCRLs {
			return &text{why: fmt.Sprintf("it has %d lists of revoked certificates, and must have 1 to %d", n, maxCRLs)}
		}
		return got
	}, "")
}

// parseCRLs reads lists in PEM, or one in DER.
func parseCRLs(content []byte) (list []*ir.CRL, err error) {
	if len(content) > maxCRL {
		return nil, fmt.Errorf("has more than %d bytes", maxCRL)
	}
	if !bytes.Contains(content, []byte("-----BEGIN ")) {
		crl, err := parseCRL(content)
		return []*ir.CRL{crl}, err
	}
	for rest := content; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return list, nil
		}
		if block.Type != "X509 CRL" {
			return nil, fmt.Errorf("has %q in PEM, and must have X509 CRL", block.Type)
		}
		crl, err := parseCRL(block.Bytes)
		if err != nil {
			return nil, err
		}
		if list = append(list, crl); len(list) > maxCRLs {
			return nil, fmt.Errorf("has more than %d lists", maxCRLs)
		}
	}
}

// Extensions of RFC 5280 §5.2 that make a list something else than all that an
// authority has revoked.
var partial = map[string]string{
	"2.5.29.27": "is a delta of another list; give the complete one",
	"2.5.29.28": "is for a part of the authority's certificates, or for those of others (issuing distribution point); give a complete one",
}

func parseCRL(der []byte) (*ir.CRL, error) {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, errors.New("is not a list of revoked certificates (X.509 CRL) in PEM or DER")
	}
	for _, e := range list.Extensions {
		id := e.Id.String()
		if why := partial[id]; why != "" {
			return nil, errors.New(why)
		}
		if e.Critical {
			return nil, fmt.Errorf("has the critical extension %s, which is not known here", id)
		}
	}
	for i := range list.RevokedCertificateEntries {
		e := &list.RevokedCertificateEntries[i]
		if e.SerialNumber.Sign() < 0 || e.SerialNumber.BitLen() > maxSerialBits {
			return nil, fmt.Errorf("entry %d has a serial number that is negative or longer than 20 bytes", i+1)
		}
		for _, x := range e.Extensions {
			if x.Critical {
				return nil, fmt.Errorf("entry %d has the critical extension %s, which is not known here", i+1, x.Id)
			}
		}
	}
	name, err := x500.FromDER(list.RawIssuer)
	if err != nil {
		return nil, fmt.Errorf("has an issuer that cannot be read: %w", err)
	}
	out := &ir.CRL{Issuer: name.String(), ThisUpdate: list.ThisUpdate, NextUpdate: list.NextUpdate, Revoked: len(list.RevokedCertificateEntries), DER: der}
	if list.Number != nil {
		out.Number = list.Number.String()
	}
	return out, nil
}
