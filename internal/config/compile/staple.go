package compile

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"

	"github.com/gridway/gridway/internal/config/store"
)

// oidTLSFeature is id-pe-tlsfeature of RFC 7633; feature 5 is status_request.
var oidTLSFeature = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}

// whyUnstapled says why no OCSP response can be fetched for a certificate that
// asks clients to insist on one; it is empty if one can, or none is needed.
func whyUnstapled(pair *tls.Certificate, leaf *x509.Certificate) string {
	switch {
	case !insistsOnStaple(leaf):
		return ""
	case len(leaf.OCSPServer) == 0:
		return "it names no OCSP responder"
	case len(pair.Certificate) < 2:
		return "the certificate of its issuer is not in tls.crt"
	}
	return ""
}

func insistsOnStaple(leaf *x509.Certificate) bool {
	i := slices.IndexFunc(leaf.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidTLSFeature) })
	if i < 0 {
		return false
	}
	var features []int
	_, err := asn1.Unmarshal(leaf.Extensions[i].Value, &features)
	return err == nil && slices.Contains(features, 5)
}

// judgeStaple warns of a certificate that clients will refuse for want of an
// OCSP response.
func (c *compiler) judgeStaple(o *store.Object, cert *certificate) {
	if cert.unstapled != "" && len(cert.ir.Staple) == 0 {
		c.reportOnce(problemAt(o, "data", store.Warning, "NoStaple",
			"the certificate demands OCSP stapling (must-staple), but no response can be fetched: "+cert.unstapled,
			"put the issuer's certificate behind the leaf in tls.crt, or an OCSP response under tls.ocsp-staple"))
	}
}
