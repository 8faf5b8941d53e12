package authentication

import (
	"crypto/x509"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/clientcert"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// certificate accepts the certificates of clients.
type certificate struct {
	*ir.ClientCertificateAuth
	policy    *ir.Authentication
	consumers Consumers
	known     *clientcert.Cache
	revoked   *clientcert.Revocation
	rules     []certificateRule
	ask       []byte
}

func newCertificate(p *ir.Authentication, m *ir.AuthenticationMethod, d Deps) *certificate {
	c := &certificate{ClientCertificateAuth: m.ClientCertificate, policy: p, consumers: d.Consumers, known: d.Certificates}
	for i := range c.Allow {
		c.rules = append(c.rules, newCertificateRule(&c.Allow[i]))
	}
	if c.Revocation != nil {
		c.revoked = d.Revocations.Of(c.Revocation.List)
	}
	// No scheme is registered for what TLS does; RFC 9110 §15.5.2 wants one.
	c.ask = []byte(`ClientCertificate realm="` + p.Realm + `"`)
	return c
}

func (c *certificate) authenticate(x *filter.Exchange) result {
	cert, chains, r := c.shown(x)
	if r != accepted {
		return r
	}
	if !cert.Timely(x.Start) {
		return refuse(x, untimely(cert.NotBefore, x.Start))
	}
	if !c.allows(cert, chains) {
		return refuse(x, filter.FaultNoRule)
	}
	if r := c.standing(chains, x); r != accepted {
		return r
	}
	var who filter.Caller
	if e := c.holder(cert, x); e != nil {
		who.Consumer, who.Credential = e.consumer, e.credential
	} else if c.Consumer != nil {
		who.Consumer = named(c.policy, c.consumers, cert.Claims, c.Consumer)
	}
	if who.Consumer == nil && c.ConsumerRequired {
		return refuse(x, filter.FaultConsumer)
	}
	who.Claims = cert.Claims
	x.Caller = who
	return accepted
}

// standing asks the lists of revoked certificates. What a proxy tells of certificates
// has no chains: the proxy has asked.
func (c *certificate) standing(chains [][]*x509.Certificate, x *filter.Exchange) result {
	if c.Revocation == nil || chains == nil {
		return accepted
	}
	switch c.revoked.Check(chains, c.Revocation, x.Start, x.Detach) {
	case clientcert.Revoked:
		return refuse(x, filter.FaultRevoked)
	case clientcert.Unknown:
		return without(x, filter.FaultNoAnswer)
	case clientcert.Doubtful:
		x.Note(filter.NoteFailOpen, c.policy.Policy, "revocation")
	}
	return accepted
}

// shown is the certificate that the client has proved, here or to a trusted proxy,
// with the chains that it was verified by here. A proxy says what it knows of its
// clients; what its own certificate says of the proxy is nothing about them.
func (c *certificate) shown(x *filter.Exchange) (*clientcert.Certificate, [][]*x509.Certificate, result) {
	var cert *clientcert.Certificate
	var err error
	switch {
	case c.FromHeader && x.ForwardedCert != nil:
		cert, err = c.known.Parse(x.ForwardedCert)
	case x.TLS == nil || len(x.TLS.PeerCertificates) == 0:
		return nil, nil, absent
	case len(x.TLS.VerifiedChains) == 0:
		return nil, nil, refuse(x, filter.FaultUnverified) // a listener with AllowInsecureFallback verifies none
	default:
		cert, err = c.known.Of(x.TLS.PeerCertificates[0])
		if err == nil {
			return cert, x.TLS.VerifiedChains, accepted
		}
	}
	if err != nil {
		return nil, nil, refuse(x, filter.FaultMalformed)
	}
	return cert, nil, accepted
}

func (c *certificate) allows(cert *clientcert.Certificate, chains [][]*x509.Certificate) bool {
	for i := range c.rules {
		if c.rules[i].holds(cert, chains) {
			return true
		}
	}
	return len(c.rules) == 0
}

type holder struct {
	consumer   *ir.Consumer
	credential string
}

// holder finds the Consumer that has the certificate among its credentials.
func (c *certificate) holder(cert *clientcert.Certificate, x *filter.Exchange) *holder {
	for _, key := range cert.Keys {
		e := c.consumers.Key(key, c.policy.Namespace, c.policy.EveryNamespace)
		if e != nil && e.Credential.Valid(x.Start) {
			e.Used(x.Start)
			return &holder{e.Consumer, e.Credential.Name}
		}
	}
	return nil
}

func (c *certificate) strip(*filter.Exchange) {} // the listener has seen to the header

func (c *certificate) challenge(result) []byte { return c.ask }
