package clientcert

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/ir"
)

// Append appends an element of X-Forwarded-Client-Cert about a client, of whose
// chain the first certificate is its own. By are the URIs of this proxy's own
// certificate.
func (c *Certificate) Append(dst []byte, by []string, chain []*x509.Certificate, what *ir.ForwardedClientCert) []byte {
	begin := len(dst)
	pair := func(name string) {
		if len(dst) > begin {
			dst = append(dst, ';')
		}
		dst = append(append(dst, name...), '=')
	}
	for _, u := range by {
		if unwritable(u) {
			continue
		}
		pair("By")
		dst = appendValue(dst, u)
	}
	pair("Hash")
	dst = hex.AppendEncode(dst, c.Fingerprint[:])
	if what.Cert && len(chain) > 0 {
		pair("Cert")
		dst = append(appendPEM(append(dst, '"'), chain[0].Raw), '"')
	}
	if what.Chain && len(chain) > 0 {
		pair("Chain")
		dst = append(dst, '"')
		for _, cert := range chain {
			dst = appendPEM(dst, cert.Raw)
		}
		dst = append(dst, '"')
	}
	if what.Subject {
		pair("Subject") // in which RFC 4514 has escaped quotes
		dst = append(append(append(dst, '"'), c.SubjectText...), '"')
	}
	if what.URI {
		uris := c.URIs
		if slices.ContainsFunc(uris, unwritable) {
			uris = nil // one of two would look like the identity of who has just that
		}
		if len(uris) == 0 {
			pair("URI") // there, and empty, as Envoy writes it
		}
		for _, u := range uris {
			pair("URI")
			dst = appendValue(dst, u)
		}
	}
	if what.DNS {
		for _, name := range c.DNS {
			if unwritable(name) {
				continue
			}
			pair("DNS")
			dst = appendValue(dst, name)
		}
	}
	return dst
}

// unwritable names have bytes that no header has: certificates hold what their makers
// please. Without these bytes they would be other names, perhaps somebody's.
func unwritable(name string) bool {
	return strings.IndexFunc(name, func(r rune) bool { return r < ' ' || r >= 0x7f }) >= 0
}

// appendValue appends a name, in quotes if it needs them.
func appendValue(dst []byte, value string) []byte {
	quote := strings.ContainsAny(value, `,;="\ `)
	if quote {
		dst = append(dst, '"')
	}
	for i := range len(value) {
		c := value[i]
		if c == '"' || c == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	if quote {
		dst = append(dst, '"')
	}
	return dst
}

// appendPEM appends a certificate in PEM, percent-encoded as Envoy does.
func appendPEM(dst, der []byte) []byte {
	const begin, end, line = "-----BEGIN%20CERTIFICATE-----%0A", "-----END%20CERTIFICATE-----%0A", 48
	dst = append(dst, begin...)
	var text [line / 3 * 4]byte
	for len(der) > 0 {
		n := min(len(der), line)
		base64.StdEncoding.Encode(text[:], der[:n])
		for _, c := range text[:base64.StdEncoding.EncodedLen(n)] {
			switch c {
			case '+':
				dst = append(dst, "%2B"...)
			case '/':
				dst = append(dst, "%2F"...)
			case '=':
				dst = append(dst, "%3D"...)
			default:
				dst = append(dst, c)
			}
		}
		dst, der = append(dst, "%0A"...), der[n:]
	}
	return append(dst, end...)
}
