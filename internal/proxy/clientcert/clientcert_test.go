package clientcert_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/clientcert"
)

// issue makes a certificate that has signed itself.
func issue(t testing.TB, shape func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(0xabc), NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(4e9, 0)}
	shape(template)
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

func ada(t testing.TB) *x509.Certificate {
	return issue(t, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: `ada "the, first"`, Organization: []string{"Shop; Inc."}, OrganizationalUnit: []string{"Payments"}, ExtraNames: []pkix.AttributeTypeAndValue{
			{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte("ada@shop.example")}},
		}}
		c.DNSNames, c.EmailAddresses = []string{"Ada.Shop.example"}, []string{"Ada@Shop.Example"}
		c.URIs = []*url.URL{{Scheme: "spiffe", Host: "shop.example", Path: "/ns/pay/sa/ada"}}
		c.IPAddresses = []net.IP{net.ParseIP("192.0.2.7")}
	})
}

func TestClaims(t *testing.T) {
	cert := ada(t)
	c, err := clientcert.Of(cert)
	if err != nil {
		t.Fatal(err)
	}
	const subject = `emailAddress=ada@shop.example,CN=ada \"the\, first\",OU=Payments,O=Shop\; Inc.`
	for name, want := range map[string]string{
		"sub": subject, "iss": subject, "cn": `ada "the, first"`, "o": "Shop; Inc.", "ou": "Payments", "dns": "ada.shop.example",
		"email": "Ada@shop.example", "uri": "spiffe://shop.example/ns/pay/sa/ada", "spiffe": "spiffe://shop.example/ns/pay/sa/ada", "ip": "192.0.2.7",
		"fingerprint": fmt.Sprintf("%x", sha256.Sum256(cert.Raw)), "serial": "0abc", "nbf": "1000000000", "exp": "4000000000",
	} {
		if got, _ := c.Claims.AppendText(nil, []string{name}); string(got) != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if len(c.Keys) != 5 {
		t.Errorf("%d keys", len(c.Keys))
	}
	if c.Timely(time.Unix(5e9, 0)) || c.Timely(time.Unix(1, 0)) || !c.Timely(time.Unix(2e9, 0)) {
		t.Error("times")
	}
	bare, err := clientcert.Of(issue(t, func(c *x509.Certificate) {
		c.URIs = []*url.URL{{Scheme: "spiffe", Host: "a.example", Path: "/x/../y"}}
	}))
	if err != nil || bare.Claims.Subject != "spiffe://a.example/x/../y" || bare.SPIFFE() != "" {
		t.Errorf("%+v, %v", bare, err)
	}
}

// What is written is read again as the same certificate, with and without its text.
func TestRoundTrip(t *testing.T) {
	cert := ada(t)
	c, err := clientcert.Of(cert)
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []ir.ForwardedClientCert{
		{Subject: true, URI: true, DNS: true}, {Cert: true}, {Subject: true, Cert: true, Chain: true, URI: true, DNS: true},
	} {
		text := c.Append([]byte(`Hash=00;Subject="x",`)[:0], []string{"spiffe://edge,1"}, []*x509.Certificate{cert}, &what)
		for _, before := range []string{"", `By=a;Hash=` + strings.Repeat("ab", 32) + `;Subject="CN=x\"",`, "uri=spiffe://other/a , "} {
			got, err := clientcert.Parse(append([]byte(before), text...))
			if err != nil {
				t.Fatalf("%s%s: %v", before, text, err)
			}
			if got.Fingerprint != c.Fingerprint || got.SubjectText != c.SubjectText || got.SPIFFE() != c.SPIFFE() || got.Claims.Subject != c.Claims.Subject {
				t.Errorf("%s\nis %+v,\nnot %+v", text, got, c)
			}
		}
		if !strings.HasPrefix(string(text), `By="spiffe://edge,1";Hash=`) {
			t.Errorf("%s", text)
		}
	}
}

// The examples of Envoy's documentation.
func TestEnvoysHeader(t *testing.T) {
	const hash = "468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688"
	c, err := clientcert.Parse([]byte(`By=http://frontend.lyft.com;Hash=` + hash +
		`;Subject="/C=US/ST=CA/L=San Francisco/OU=Lyft/CN=Test Client";URI=http://testclient.lyft.com`))
	if err == nil {
		t.Errorf("a subject that is not by RFC 4514 is taken for %q", c.SubjectText)
	}
	c, err = clientcert.Parse([]byte(`By=http://frontend.lyft.com;Hash=` + hash + `;URI=http://testclient.lyft.com,` +
		`By=http://backend.lyft.com;Hash=9ba61d6425303443c0748a02dd8de688468ed33be74eee6556d90c0149c1309e;` +
		`Subject="emailAddress=f@lyft.com,CN=Test Frontend,O=Lyft";URI=http://frontend.lyft.com;DNS=lyft.com;DNS=www.lyft.com`))
	if err != nil || c.SubjectText != "emailAddress=f@lyft.com,CN=Test Frontend,O=Lyft" || len(c.DNS) != 2 || c.URIs[0] != "http://frontend.lyft.com" || hex.EncodeToString(c.Fingerprint[:4]) != "9ba61d64" {
		t.Errorf("%+v, %v", c, err)
	}
	c, err = clientcert.Parse([]byte(`Hash=` + hash + `;Subject="";URI=`))
	if err != nil || !c.Hashed || c.Claims.Subject != "" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestMalformed(t *testing.T) {
	hash := "Hash=" + strings.Repeat("0a", 32)
	cert := url.PathEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ada(t).Raw})))
	for name, text := range map[string]string{
		"empty": "", "no name": "=x", "no value": "Hash", "short hash": "Hash=0a0a", "no hexadecimal": "Hash=" + strings.Repeat("zz", 32),
		"nothing": `Subject="";URI=;DNS=`, "unknown": hash + ";Role=admin", "twice": hash + ";" + hash, "open quote": hash + `;Subject="CN=a`,
		"after a quote": hash + `;Subject="CN=a"b`, "quote inside": hash + `;URI=a"b`, "space inside": hash + ";URI=a b", "empty element": hash + ",",
		"empty pair": hash + ";", "bad subject": hash + `;Subject="ada"`, "no PEM": hash + `;Cert="abc"`, "bad escape": `Cert="%zz"`,
		"another certificate's hash": hash + ";Cert=" + `"` + cert + `"`, "an earlier open quote": `URI=",` + hash + `;Subject="CN=ada"`,
		"long": strings.Repeat("a", 65<<10), "many": strings.Repeat("DNS=a;", 300) + hash, "bytes": "DNS=\xff",
		"key": `Cert="` + url.PathEscape("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n") + `"`,
	} {
		if c, err := clientcert.Parse([]byte(text)); err == nil {
			t.Errorf("%s: is %+v", name, c)
		}
	}
}

func TestCache(t *testing.T) {
	var none *clientcert.Cache
	cache := &clientcert.Cache{}
	cert := ada(t)
	first, err := cache.Of(cert)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := cache.Of(cert); again != first {
		t.Error("it is read again")
	}
	if c, err := none.Of(cert); err != nil || c.Fingerprint != first.Fingerprint {
		t.Error(c, err)
	}
	for i := range 3000 { // others push it out, in the end
		if _, err := cache.Parse(fmt.Appendf(nil, "URI=spiffe://a/%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if again, err := cache.Of(cert); err != nil || again == first {
		t.Error("it is remembered for ever", err)
	}
	if _, err := cache.Parse([]byte("x")); err == nil {
		t.Error("what is malformed is taken")
	}
}

// FuzzHeader: what is accepted means the same once it was written again, and nothing
// that stands before the last element changes that.
func FuzzHeader(f *testing.F) {
	for _, s := range []string{
		"Hash=" + strings.Repeat("0a", 32) + `;Subject="CN=ada,O=x";URI=spiffe://a/b;DNS=c`, `By=x;URI="a,\"b\\",DNS=d`, `Subject="CN=a\\"`, "uri=a, dns=b ; uri=c",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := clientcert.Parse(text)
		if err != nil {
			return
		}
		said := c.Append(nil, nil, nil, &ir.ForwardedClientCert{Subject: c.SubjectText != "", URI: true, DNS: true})
		again, err := clientcert.Parse(append([]byte(`Subject="CN=a\\",`), said...))
		if err != nil {
			if len(said) > 60<<10 || len(c.URIs)+len(c.DNS) > 100 {
				return
			}
			t.Fatalf("%q was written as %q: %v", text, said, err)
		}
		if again.SubjectText != c.SubjectText || again.SPIFFE() != c.SPIFFE() {
			t.Fatalf("%q was written as %q", text, said)
		}
	})
}
