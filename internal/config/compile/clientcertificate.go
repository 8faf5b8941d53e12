package compile

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/x500"
)

// dnsPattern is a DNS name, or every name below one.
var dnsPattern = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$`)

// judgeClientCertificate finds what is wrong with a method of certificates.
func judgeClientCertificate(m *v1alpha1.ClientCertificateAuthentication, field string, add func(field, message, remedy string)) {
	if c := m.Consumer; c != nil && c.Claim != nil {
		if _, err := ir.ParseClaim(*c.Claim); err != nil {
			add(field+".consumer.claim", err.Error(), "for example cn")
		}
	}
	for i := range m.Allow {
		at := fmt.Sprintf("%s.allow[%d]", field, i)
		r := &m.Allow[i]
		if rule := certificateRule(r); isEmptyRule(&rule) {
			add(at, "the rule says nothing, and would hold for every certificate", "leave allow out for that")
		}
		eachText(r.Subjects, at+".subjects", add, func(s string) (string, string) { return judgeSubject(s) })
		eachText(r.DNSNames, at+".dnsNames", add, func(s string) (string, string) {
			if !dnsPattern.MatchString(s) {
				return fmt.Sprintf("%q is not a DNS name", s), "for example app.example.com or *.example.com"
			}
			return "", ""
		})
		eachText(r.URIs, at+".uris", add, func(s string) (string, string) {
			if strings.Contains(strings.TrimSuffix(s, "/*"), "*") {
				return fmt.Sprintf("%q has a * that does not follow the last slash", s), "end it in /*"
			}
			return judgeURI(strings.TrimSuffix(s, "*"))
		})
		eachText(r.Emails, at+".emails", add, func(s string) (string, string) {
			if local, domain, ok := cutAddress(s); !ok || local != "*" && strings.Contains(local, "*") || strings.Contains(domain, "*") {
				return fmt.Sprintf("%q is not an email address", s), "for example ada@example.com or *@example.com"
			}
			return "", ""
		})
		for k, s := range r.IPs {
			if _, err := parseNetwork(string(s)); err != nil {
				add(fmt.Sprintf("%s.ips[%d]", at, k), fmt.Sprintf("%q is neither an address nor a network", s), "for example 192.0.2.7 or 2001:db8::/32")
			}
		}
		eachText(r.Identities, at+".identities", add, func(s string) (string, string) {
			if why := badIdentity(s); why != "" {
				return fmt.Sprintf("%q %s", s, why), "write it like spiffe://example.org/ns/shop/sa/cart, spiffe://example.org/ns/shop/* or *"
			}
			return "", ""
		})
		judgeFingerprints(r.Fingerprints, at+".fingerprints", add)
		judgeFingerprints(r.Issuers, at+".issuers", add)
	}
}

func eachText(list []string, field string, add func(field, message, remedy string), judge func(string) (message, remedy string)) {
	for i, s := range list {
		if message, remedy := judge(s); message != "" {
			add(fmt.Sprintf("%s[%d]", field, i), message, remedy)
		}
	}
}

func judgeSubject(s string) (message, remedy string) {
	n, err := x500.Parse(s)
	switch {
	case err != nil:
		return fmt.Sprintf("%q is not a subject by RFC 4514: %v", s, err), "write it like CN=ada,OU=Payments,O=Shop"
	case len(n) == 0:
		return "the subject is empty", "write it like CN=ada,OU=Payments,O=Shop"
	}
	return "", ""
}

func judgeURI(s string) (message, remedy string) {
	if u, err := url.Parse(s); err != nil || u.Scheme == "" {
		return fmt.Sprintf("%q is not an absolute URI", s), "for example spiffe://example.org/ns/shop/sa/cart"
	}
	return "", ""
}

func cutAddress(s string) (local, domain string, ok bool) {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at == len(s)-1 {
		return "", "", false
	}
	return s[:at], s[at+1:], true
}

func judgeFingerprints(list []v1alpha1.CertificateFingerprint, field string, add func(field, message, remedy string)) {
	for i, s := range list {
		if _, ok := parseKeyHash(string(s)); !ok {
			add(fmt.Sprintf("%s[%d]", field, i), "must be sha256: and 64 hexadecimal digits", "openssl x509 -fingerprint -sha256 prints it, with colons that go")
		}
	}
}

func isEmptyRule(r *ir.CertificateRule) bool {
	return len(r.CommonNames)+len(r.Organizations)+len(r.OrganizationalUnits)+len(r.Subjects)+len(r.DNSNames)+len(r.URIs)+
		len(r.Emails)+len(r.IPs)+len(r.Identities)+len(r.Fingerprints)+len(r.Issuers) == 0
}

func clientCertificate(m *v1alpha1.ClientCertificateAuthentication) *ir.ClientCertificateAuth {
	if m == nil {
		return nil
	}
	out := &ir.ClientCertificateAuth{FromHeader: deref(m.FromHeader, false)}
	for i := range m.Allow {
		out.Allow = append(out.Allow, certificateRule(&m.Allow[i]))
	}
	if c := m.Consumer; c != nil {
		out.ConsumerRequired = deref(c.Required, false)
		if c.Claim != nil {
			out.Consumer, _ = ir.ParseClaim(*c.Claim) // it was judged
		}
	}
	return out
}

func certificateRule(r *v1alpha1.CertificateRule) ir.CertificateRule {
	out := ir.CertificateRule{
		CommonNames: r.CommonNames, Organizations: r.Organizations, OrganizationalUnits: r.OrganizationalUnits,
		URIs: r.URIs, Identities: r.Identities, Fingerprints: fingerprints(r.Fingerprints), Issuers: fingerprints(r.Issuers),
	}
	for _, s := range r.Subjects {
		n, _ := x500.Parse(s) // it was judged
		out.Subjects = append(out.Subjects, n.String())
	}
	for _, s := range r.DNSNames {
		out.DNSNames = append(out.DNSNames, strings.ToLower(s))
	}
	for _, s := range r.Emails {
		out.Emails = append(out.Emails, ir.EmailAddress(s))
	}
	for _, s := range r.IPs {
		n, _ := parseNetwork(string(s))
		out.IPs = append(out.IPs, n)
	}
	return out
}

func fingerprints(list []v1alpha1.CertificateFingerprint) (out []string) {
	for _, s := range list {
		out = append(out, fingerprint(s))
	}
	return out
}

func fingerprint(s v1alpha1.CertificateFingerprint) string {
	return strings.ToLower(strings.TrimPrefix(string(s), "sha256:"))
}

// certificateKey is what of a certificate a credential names; false is that it is
// not one thing.
func certificateKey(c *v1alpha1.CertificateCredential) (kind ir.CertificateKey, value string, ok bool) {
	given := 0
	say := func(k ir.CertificateKey, v string) { kind, value, given = k, v, given+1 }
	if c.Fingerprint != nil {
		say(ir.CertificateFingerprint, fingerprint(*c.Fingerprint))
	}
	if c.Subject != nil {
		n, _ := x500.Parse(*c.Subject)
		say(ir.CertificateSubject, n.String())
	}
	if c.URI != nil {
		say(ir.CertificateURI, *c.URI)
	}
	if c.DNSName != nil {
		say(ir.CertificateDNS, strings.ToLower(*c.DNSName))
	}
	if c.Email != nil {
		say(ir.CertificateEmail, ir.EmailAddress(*c.Email))
	}
	return kind, value, given == 1
}

func judgeCertificateCredential(c *v1alpha1.CertificateCredential, add func(field, message, remedy string)) {
	if _, _, ok := certificateKey(c); !ok {
		add(".certificate", "exactly one of fingerprint, subject, uri, dnsName and email must be given", "")
		return
	}
	field, message, remedy := "", "", ""
	switch {
	case c.Fingerprint != nil:
		judgeFingerprints([]v1alpha1.CertificateFingerprint{*c.Fingerprint}, "", func(_, m, r string) { field, message, remedy = "fingerprint", m, r })
	case c.Subject != nil:
		field = "subject"
		message, remedy = judgeSubject(*c.Subject)
	case c.URI != nil:
		field = "uri"
		message, remedy = judgeURI(*c.URI)
	case c.DNSName != nil && (strings.HasPrefix(*c.DNSName, "*") || !dnsPattern.MatchString(*c.DNSName)):
		field, message, remedy = "dnsName", fmt.Sprintf("%q is not a DNS name", *c.DNSName), "for example app.example.com"
	case c.Email != nil:
		if _, _, ok := cutAddress(*c.Email); !ok {
			field, message, remedy = "email", fmt.Sprintf("%q is not an email address", *c.Email), "for example ada@example.com"
		}
	}
	if message != "" {
		add(".certificate."+field, message, remedy)
	}
}

func forwardedClientCert(v *v1alpha1.XForwardedClientCert) (out ir.ForwardedClientCert) {
	switch deref(v.Mode, v1alpha1.XFCCSanitize) {
	case v1alpha1.XFCCForwardOnly:
		out.Mode = ir.ClientCertForwardOnly
	case v1alpha1.XFCCAppendForward:
		out.Mode = ir.ClientCertAppendForward
	case v1alpha1.XFCCSanitizeSet:
		out.Mode = ir.ClientCertSanitizeSet
	case v1alpha1.XFCCAlwaysForwardOnly:
		out.Mode = ir.ClientCertAlwaysForwardOnly
	}
	for _, d := range v.CertDetailsToAdd {
		switch d {
		case "Subject":
			out.Subject = true
		case "Cert":
			out.Cert = true
		case "Chain":
			out.Chain = true
		case "DNS":
			out.DNS = true
		case "URI":
			out.URI = true
		}
	}
	return out
}
