package filter

import (
	"net/url"
	"strings"
)

// Identity is the service identity of the client, as the certificate proves it that
// the listener has verified: the one URI that it has, a SPIFFE ID (X.509-SVID §2),
// as its trust domain and its path.
func (x *Exchange) Identity() (domain, path string, ok bool) {
	if x.TLS == nil || len(x.TLS.VerifiedChains) == 0 || len(x.TLS.PeerCertificates) == 0 {
		return "", "", false
	}
	uris := x.TLS.PeerCertificates[0].URIs
	if len(uris) != 1 {
		return "", "", false
	}
	return SPIFFE(uris[0])
}

// SPIFFE splits a SPIFFE ID (SPIFFE-ID §2) into its trust domain and its path; false
// is that the URI is none.
func SPIFFE(u *url.URL) (domain, path string, ok bool) {
	if u.Scheme != "spiffe" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.RawPath != "" || u.Opaque != "" {
		return "", "", false
	}
	for segment := range strings.SplitSeq(strings.TrimPrefix(u.Path, "/"), "/") {
		if u.Path != "" && (segment == "" || segment == "." || segment == "..") {
			return "", "", false
		}
	}
	return u.Host, u.Path, true
}
