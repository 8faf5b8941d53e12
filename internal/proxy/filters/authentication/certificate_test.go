package authentication_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/clientcert"
	"github.com/gridway/gridway/internal/proxy/consumer"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/authentication"
)

func clientCertificate(t *testing.T) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ada", Organization: []string{"Shop"}, OrganizationalUnit: []string{"Pay"}},
		NotBefore: start.Add(-time.Hour), NotAfter: start.Add(time.Hour), DNSNames: []string{"ada.shop.example"}, EmailAddresses: []string{"ada@shop.example"},
		URIs: []*url.URL{{Scheme: "spiffe", Host: "shop.example", Path: "/ns/pay/sa/ada"}}, IPAddresses: []net.IP{net.ParseIP("192.0.2.7")},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// by is a request over a connection with a certificate.
func by(cert *x509.Certificate, chain ...*x509.Certificate) *filter.Exchange {
	x := request("")
	x.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
	if len(chain) > 0 {
		x.TLS.VerifiedChains = [][]*x509.Certificate{chain}
	}
	return x
}

func certificatePolicy(m *ir.ClientCertificateAuth) *ir.Authentication {
	p := policy()
	p.AnyOf = []ir.AuthenticationMethod{{Name: "mtls", ClientCertificate: m}}
	return p
}

func TestCertificateRules(t *testing.T) {
	cert, ca := clientCertificate(t), clientCertificate(t)
	print := func(c *x509.Certificate) string {
		sum := sha256.Sum256(c.Raw)
		return hex.EncodeToString(sum[:])
	}
	one := func(s ...string) []string { return s }
	for name, c := range map[string]struct {
		rule ir.CertificateRule
		want bool
	}{
		"common name":                  {ir.CertificateRule{CommonNames: one("bob", "ada")}, true},
		"common name in another case":  {ir.CertificateRule{CommonNames: one("Ada")}, false},
		"organization":                 {ir.CertificateRule{Organizations: one("Shop"), OrganizationalUnits: one("Pay")}, true},
		"all lists count":              {ir.CertificateRule{Organizations: one("Shop"), OrganizationalUnits: one("Sales")}, false},
		"subject":                      {ir.CertificateRule{Subjects: one("CN=ada,OU=Pay,O=Shop")}, true},
		"part of the subject":          {ir.CertificateRule{Subjects: one("CN=ada")}, false},
		"DNS name":                     {ir.CertificateRule{DNSNames: one("ada.shop.example")}, true},
		"DNS names below":              {ir.CertificateRule{DNSNames: one("*.shop.example")}, true},
		"DNS names below another":      {ir.CertificateRule{DNSNames: one("*.op.example")}, false},
		"URI":                          {ir.CertificateRule{URIs: one("spiffe://shop.example/ns/*")}, true},
		"part of a segment":            {ir.CertificateRule{URIs: one("spiffe://shop.example/ns/p")}, false},
		"email":                        {ir.CertificateRule{Emails: one("*@shop.example")}, true},
		"email elsewhere":              {ir.CertificateRule{Emails: one("*@op.example")}, false},
		"address":                      {ir.CertificateRule{IPs: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, true},
		"address elsewhere":            {ir.CertificateRule{IPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, false},
		"identity":                     {ir.CertificateRule{Identities: one("spiffe://shop.example/ns/pay/sa/ada")}, true},
		"identity below":               {ir.CertificateRule{Identities: one("spiffe://shop.example/ns/pay/*")}, true},
		"trust domain":                 {ir.CertificateRule{Identities: one("spiffe://shop.example/*")}, true},
		"other trust domain":           {ir.CertificateRule{Identities: one("spiffe://shop.example.org/*")}, false},
		"any identity":                 {ir.CertificateRule{Identities: one("*")}, true},
		"fingerprint":                  {ir.CertificateRule{Fingerprints: one(print(cert))}, true},
		"another's":                    {ir.CertificateRule{Fingerprints: one(print(ca))}, false},
		"issuer":                       {ir.CertificateRule{Issuers: one(print(ca))}, true},
		"the certificate is no issuer": {ir.CertificateRule{Issuers: one(print(cert))}, false},
		"an issuer that is no SHA-256": {ir.CertificateRule{Issuers: one("ab")}, false},
		"one of the issuers":           {ir.CertificateRule{Issuers: one(print(cert), print(ca))}, true},
	} {
		a := authentication.New(certificatePolicy(&ir.ClientCertificateAuth{Allow: []ir.CertificateRule{{CommonNames: one("nobody")}, c.rule}}), authentication.Deps{
			Consumers: directory(), Decisions: counts{}, Certificates: &clientcert.Cache{},
		})
		x := by(cert, cert, ca)
		if got := result(a.OnRequest(x), x); strings.HasPrefix(got, "pass mtls") != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestCertificates(t *testing.T) {
	cert := clientCertificate(t)
	d := consumer.New()
	held := func(name string, key ir.CertificateKey, value string, notAfter time.Time) *ir.Consumer {
		return &ir.Consumer{Namespace: "default", Name: name, Credentials: []ir.ConsumerCredential{{Name: "c", CertificateKey: key, CertificateValue: value, NotAfter: notAfter}}}
	}
	sum := sha256.Sum256(cert.Raw)
	forwarded := []byte("Hash=" + hex.EncodeToString(sum[:]) + `;Subject="CN=bob"`)
	late := *cert
	late.NotAfter = start.Add(-time.Second)
	late.Raw = append([]byte{}, cert.Raw...)
	late.Raw[len(late.Raw)-1]++
	for _, c := range []struct {
		name      string
		method    ir.ClientCertificateAuth
		consumers []*ir.Consumer
		x         func() *filter.Exchange
		want      string
	}{
		{"nothing", ir.ClientCertificateAuth{}, nil, func() *filter.Exchange { return request("") }, `401 Unauthenticated ClientCertificate realm="shop"`},
		{"TLS alone", ir.ClientCertificateAuth{}, nil, func() *filter.Exchange { x := by(cert); x.TLS.PeerCertificates = nil; return x }, "401 Unauthenticated"},
		{"not verified", ir.ClientCertificateAuth{}, nil, func() *filter.Exchange { return by(cert) }, "401 InvalidCredential"},
		{"verified", ir.ClientCertificateAuth{}, nil, func() *filter.Exchange { return by(cert, cert) }, "pass mtls   |"},
		{"over since", ir.ClientCertificateAuth{}, nil, func() *filter.Exchange { return by(&late, &late) }, "401 InvalidCredential"},
		{"of nobody", ir.ClientCertificateAuth{ConsumerRequired: true}, nil, func() *filter.Exchange { return by(cert, cert) }, "401 InvalidCredential"},
		{"by subject", ir.ClientCertificateAuth{ConsumerRequired: true}, []*ir.Consumer{held("a", ir.CertificateSubject, "CN=ada,OU=Pay,O=Shop", time.Time{})}, func() *filter.Exchange { return by(cert, cert) }, "pass mtls default/a c"},
		{"by URI before subject", ir.ClientCertificateAuth{}, []*ir.Consumer{held("a", ir.CertificateSubject, "CN=ada,OU=Pay,O=Shop", time.Time{}), held("b", ir.CertificateURI, "spiffe://shop.example/ns/pay/sa/ada", time.Time{})}, func() *filter.Exchange { return by(cert, cert) }, "pass mtls default/b c"},
		{"the credential is over", ir.ClientCertificateAuth{ConsumerRequired: true}, []*ir.Consumer{held("a", ir.CertificateDNS, "ada.shop.example", start.Add(-time.Second))}, func() *filter.Exchange { return by(cert, cert) }, "401 InvalidCredential"},
		{"by claim", ir.ClientCertificateAuth{Consumer: []string{"cn"}}, []*ir.Consumer{held("ada", ir.CertificateDNS, "x", time.Time{})}, func() *filter.Exchange { return by(cert, cert) }, "pass mtls default/ada"},
		{"a header that is not asked for", ir.ClientCertificateAuth{}, nil, func() *filter.Exchange { x := request(""); x.ForwardedCert = forwarded; return x }, "401 Unauthenticated"},
		{"a header", ir.ClientCertificateAuth{FromHeader: true, Allow: []ir.CertificateRule{{CommonNames: []string{"bob"}}}}, nil, func() *filter.Exchange { x := by(cert, cert); x.ForwardedCert = forwarded; return x }, "pass mtls"},
		{"a header has no issuer", ir.ClientCertificateAuth{FromHeader: true, Allow: []ir.CertificateRule{{Issuers: []string{hex.EncodeToString(sum[:])}}}}, nil, func() *filter.Exchange { x := by(cert, cert, cert); x.ForwardedCert = forwarded; return x }, "401 InvalidCredential"},
		{"a malformed header goes before the proxy's certificate", ir.ClientCertificateAuth{FromHeader: true}, nil, func() *filter.Exchange { x := by(cert, cert); x.ForwardedCert = []byte("Hash=0"); return x }, "401 InvalidCredential"},
	} {
		d.Apply(c.consumers)
		a := authentication.New(certificatePolicy(&c.method), authentication.Deps{Consumers: d, Decisions: counts{}, Certificates: &clientcert.Cache{}})
		x := c.x()
		if got := result(a.OnRequest(x), x); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		} else if strings.HasPrefix(got, "pass") && x.Caller.Claims == nil {
			t.Errorf("%s: no claims", c.name)
		}
	}
}
