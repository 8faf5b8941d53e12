package pipeline

import (
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// forwardCertificate sees to X-Forwarded-Client-Cert: it keeps what a proxy that is
// trusted by its address has said of its client, for filters, and sets what the
// upstream learns. By default that is nothing, whatever the client has written.
func (x *Exchange) forwardCertificate(c *ir.ClientPolicy) {
	h := &x.Req.Header
	has := h.Has(httpmsg.NameXForwardedClientCert)
	if has && x.hops.trusted && len(c.TrustedProxies) > 0 {
		x.ForwardedCert = h.AppendJoined(nil, httpmsg.NameXForwardedClientCert)
	}
	what := &c.ClientCert
	verified := x.TLS != nil && len(x.TLS.VerifiedChains) > 0 && len(x.TLS.PeerCertificates) > 0
	keep := has && (what.Mode == ir.ClientCertAlwaysForwardOnly ||
		verified && (what.Mode == ir.ClientCertForwardOnly || what.Mode == ir.ClientCertAppendForward))
	if has && !keep {
		h.Del(httpmsg.NameXForwardedClientCert)
	}
	if !verified || what.Mode != ir.ClientCertAppendForward && what.Mode != ir.ClientCertSanitizeSet {
		return
	}
	cert, err := x.p.Certificates.Of(x.TLS.PeerCertificates[0])
	if err != nil {
		h.Del(httpmsg.NameXForwardedClientCert) // what cannot be read, nobody vouches for
		return
	}
	b := x.scratch[:0]
	if keep {
		b = append(h.AppendJoined(b, httpmsg.NameXForwardedClientCert), ',')
	}
	b = cert.Append(b, x.Listener.CertificateURIs, x.TLS.VerifiedChains[0], what)
	x.scratch = b[:0]
	h.Set(httpmsg.NameXForwardedClientCert, x.Req.Arena.Copy(b))
}
