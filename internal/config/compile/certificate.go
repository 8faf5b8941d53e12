package compile

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
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
	// why the Secret is of no use; empty if it is good
	why string
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
	chain, key := secretValue(secret, corev1.TLSCertKey), secretValue(secret, corev1.TLSPrivateKeyKey)
	switch {
	case len(chain) == 0:
		return &certificate{why: "has no tls.crt"}
	case len(key) == 0:
		return &certificate{why: "has no tls.key"}
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return &certificate{why: "does not hold a certificate with its key: " + err.Error()}
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return &certificate{why: "holds a certificate that cannot be read: " + err.Error()}
	}
	cert := &ir.Certificate{Name: o.Key.String(), Chain: chain, Key: key, Staple: secretValue(secret, "tls.ocsp-staple")}
	return &certificate{
		ir: cert, digest: hashOf(cert),
		notBefore: leaf.NotBefore, notAfter: leaf.NotAfter, names: leaf.DNSNames,
		unstapled: whyUnstapled(&pair, leaf),
	}
}

// secretValue returns an entry; stringData wins, as in a cluster.
func secretValue(s *corev1.Secret, name string) []byte {
	if v, ok := s.StringData[name]; ok {
		return []byte(v)
	}
	return s.Data[name]
}

// certificateOf returns the certificate to use for a Secret: its own or, if it
// is invalid now, the last good one. why says what is wrong with the Secret.
func (c *compiler) certificateOf(o *store.Object) (cert *certificate, why string) {
	cert = c.readCertificate(o)
	if cert.why == "" {
		c.judgeDates(o, cert)
		c.judgeStaple(o, cert)
		return cert, ""
	}
	why = fmt.Sprintf("%s %s", o.Key, cert.why)
	c.reportOnce(problemAt(o, "data", store.Error, "InvalidCertificate", cert.why,
		"put a PEM chain under tls.crt and its private key under tls.key"))
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
	warn := func(code, message string) {
		c.reportOnce(problemAt(o, "", store.Warning, code, message, "renew it"))
	}
	switch left := cert.notAfter.Sub(now); {
	case now.IsZero():
	case left <= 0:
		warn("CertificateExpired", "the certificate expired at "+cert.notAfter.UTC().Format(time.RFC3339))
	case now.Before(cert.notBefore):
		warn("CertificateNotYetValid", "the certificate is not valid before "+cert.notBefore.UTC().Format(time.RFC3339))
	case left < expiresSoon:
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
	found := 0
	for rest := data; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return &bundle{why: "has a certificate in ca.crt that cannot be read: " + err.Error()}
		}
		found++
	}
	if found == 0 {
		return &bundle{why: "has no PEM certificate in ca.crt"}
	}
	return &bundle{pem: data}
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
