package compile

import (
	"crypto/tls"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// expiresSoon is how long before its end a certificate is warned about.
const expiresSoon = 21 * 24 * time.Hour

// certificate is what was read from a Secret of type kubernetes.io/tls.
type certificate struct {
	ir        *ir.Certificate
	digest    uint64
	notBefore time.Time
	notAfter  time.Time
	names     []string
	// unstapled is why no OCSP response can be fetched although one is demanded
	unstapled string
	// broken says where the chain is not one
	broken string
	// why the Secret is of no use, in which entry of it; empty if it is good
	why, entry, remedy string
}

// readCertificate reads a Secret and remembers the result for later runs.
func (c *compiler) readCertificate(o *store.Object) *certificate {
	if got := c.next.certs[o]; got != nil {
		return got
	}
	var got *certificate
	if c.prev != nil {
		got = c.prev.certs[o]
	}
	if got == nil {
		got = parseCertificate(o)
	}
	c.next.certs[o] = got
	return got
}

func parseCertificate(o *store.Object) *certificate {
	secret, ok := o.Value.(*corev1.Secret)
	if !ok {
		return &certificate{why: "is not a Secret"}
	}
	text, key := secretValue(secret, corev1.TLSCertKey), secretValue(secret, corev1.TLSPrivateKeyKey)
	bad := func(entry, why, remedy string) *certificate {
		return &certificate{entry: entry, why: why, remedy: remedy}
	}
	for _, need := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
		if len(secretValue(secret, need)) == 0 {
			remedy := "put a PEM chain under tls.crt and its private key under tls.key"
			if near := nearest(need, slices.Sorted(maps.Keys(secret.Data))); near != "" && near != corev1.TLSCertKey && near != corev1.TLSPrivateKeyKey {
				remedy = fmt.Sprintf("there is %q: rename it", near)
			}
			return bad("", "has no "+need, remedy)
		}
	}
	chain, clean, rest, err := certificatesOf(text)
	if err != nil {
		return bad(corev1.TLSCertKey, "holds a certificate that cannot be read, "+err.Error(), "put a PEM chain there")
	}
	if len(chain) == 0 {
		why, remedy := whyNoCertificate(text)
		return bad(corev1.TLSCertKey, why, remedy)
	}
	pair, err := tls.X509KeyPair(clean, key)
	if err != nil {
		why, remedy := whyNoKey(key, chain, err)
		return bad(corev1.TLSPrivateKeyKey, why, remedy)
	}
	leaf := chain[0]
	cert := &ir.Certificate{Name: o.Key.String(), Chain: clean, Key: key, Staple: secretValue(secret, "tls.ocsp-staple")}
	out := &certificate{
		ir: cert, digest: hashOf(cert),
		notBefore: leaf.NotBefore, notAfter: leaf.NotAfter, names: leaf.DNSNames,
		unstapled: whyUnstapled(&pair, leaf), broken: brokenChain(chain),
	}
	out.remedy = "put the certificate of the server first, then the one that signed it, and so on"
	if out.broken == "" && rest {
		out.broken = fmt.Sprintf("what follows certificate %d of tls.crt is not whole, and left out", len(chain))
		out.remedy = "without it clients may be unable to verify the first: take it from where it is whole"
	}
	return out
}

// secretValue returns an entry; stringData wins, as in a cluster.
func secretValue(s *corev1.Secret, name string) []byte {
	if v, ok := s.StringData[name]; ok {
		return []byte(v)
	}
	return s.Data[name]
}

// dataField is the path of an entry of a Secret, which may be written in two places.
func dataField(o *store.Object, entry string) string {
	if entry == "" {
		if o.Locate("stringData") != o.Locate("") && o.Locate("data") == o.Locate("") {
			return "stringData"
		}
		return "data"
	}
	if at := "stringData[" + entry + "]"; o.Locate(at) != o.Locate("stringData") {
		return at
	}
	return "data[" + entry + "]"
}

// secretEntry returns an entry of a Secret that is an object; nil for others.
func secretEntry(o *store.Object, name string) []byte {
	if s, ok := o.Value.(*corev1.Secret); ok {
		return secretValue(s, name)
	}
	return nil
}

// certificateOf returns the certificate to use for a Secret: its own or, if it
// is invalid now, the last good one. why says what is wrong with the Secret.
func (c *compiler) certificateOf(o *store.Object) (cert *certificate, why string) {
	cert = c.readCertificate(o)
	if cert.why == "" {
		c.judgeDates(o, cert)
		c.judgeStaple(o, cert)
		if cert.broken != "" {
			c.reportOnce(problemAt(o, dataField(o, corev1.TLSCertKey), store.Warning, "BrokenChain", cert.broken, cert.remedy))
		}
		return cert, ""
	}
	message := cert.why
	why = fmt.Sprintf("%s %s", o.Key, cert.why)
	if cert.entry != "" {
		message = cert.entry + " " + cert.why
		why = fmt.Sprintf("%s of %s %s", cert.entry, o.Key, cert.why)
	}
	c.reportOnce(problemAt(o, dataField(o, cert.entry), store.Error, "InvalidCertificate", message, cert.remedy))
	if old := c.lastGood(o); old != nil {
		if good := c.readCertificate(old); good.why == "" {
			c.next.fallback[o.Key] = old
			c.reportOnce(keepsServing(o))
			return good, why
		}
	}
	return nil, why
}

// judgeDates warns of certificates that are not valid now, or not for long.
func (c *compiler) judgeDates(o *store.Object, cert *certificate) {
	now := c.in.Now
	remedy, soon := "renew it", expiresSoon
	if o.Source == SourceACME { // whoever issued it knows when to renew it
		remedy, soon = `"gridway status" says why it was not renewed`, 0
	}
	warn := func(code, message string) {
		c.reportOnce(problemAt(o, "", store.Warning, code, message, remedy))
	}
	switch left := cert.notAfter.Sub(now); {
	case now.IsZero():
	case left <= 0:
		warn("CertificateExpired", "the certificate expired at "+cert.notAfter.UTC().Format(time.RFC3339))
	case now.Before(cert.notBefore):
		warn("CertificateNotYetValid", "the certificate is not valid before "+cert.notBefore.UTC().Format(time.RFC3339))
	case left < soon:
		warn("CertificateExpiresSoon", fmt.Sprintf("the certificate expires at %s, in %d days",
			cert.notAfter.UTC().Format(time.RFC3339), int(left.Hours()/24)))
	}
}

// bundle is what was read from a ConfigMap or Secret with CA certificates.
type bundle struct {
	pem []byte
	why string
}

// readBundle reads CA certificates and remembers the result for later runs.
func (c *compiler) readBundle(o *store.Object) *bundle {
	if got := c.next.bundles[o]; got != nil {
		return got
	}
	var got *bundle
	if c.prev != nil {
		got = c.prev.bundles[o]
	}
	if got == nil {
		got = parseBundle(o)
	}
	c.next.bundles[o] = got
	return got
}

func parseBundle(o *store.Object) *bundle {
	var data []byte
	switch v := o.Value.(type) {
	case *corev1.ConfigMap:
		data = []byte(v.Data["ca.crt"])
		if len(data) == 0 {
			data = v.BinaryData["ca.crt"]
		}
	case *corev1.Secret:
		data = secretValue(v, "ca.crt")
	}
	if len(data) == 0 {
		return &bundle{why: "has no ca.crt"}
	}
	list, clean, rest, err := certificatesOf(data)
	switch {
	case err != nil:
		return &bundle{why: "has a certificate in ca.crt that cannot be read, " + err.Error()}
	case len(list) == 0 && encodedTwice(data):
		return &bundle{why: "has base64 in ca.crt instead of PEM certificates"}
	case len(list) == 0:
		return &bundle{why: "has no PEM certificate in ca.crt"}
	case rest:
		return &bundle{why: fmt.Sprintf("has in ca.crt something behind certificate %d that is not whole", len(list))}
	}
	return &bundle{pem: clean}
}

// bundleOf returns the CA certificates of an object, or the last good ones.
func (c *compiler) bundleOf(o *store.Object) (pem []byte, why string) {
	b := c.readBundle(o)
	if b.why == "" {
		return b.pem, ""
	}
	why = fmt.Sprintf("%s %s", o.Key, b.why)
	c.reportOnce(problemAt(o, "data", store.Error, "InvalidCACertificate", b.why, "put PEM certificates under ca.crt"))
	if old := c.lastGood(o); old != nil {
		if good := c.readBundle(old); good.why == "" {
			c.next.fallback[o.Key] = old
			c.reportOnce(keepsServing(o))
			return good.pem, why
		}
	}
	return nil, why
}
