package tlsx

import (
	"crypto/tls"
	"slices"
	"time"
)

// holdFor is how long the certificates before go on serving while one that
// demands an OCSP response has none: clients that insist would refuse it.
const holdFor = 30 * time.Second

// ready reports that nothing is missing that clients may insist on.
func (c *certificate) ready() bool {
	return c.stapler == nil || c.stapler.Staple(c.pair.Leaf, c.issuer) != nil
}

// hold keeps what the section had before, if its certificates are not ready.
func (sec *section) hold(before *section, now time.Time) {
	if before == nil || !slices.ContainsFunc(sec.certs, func(c *certificate) bool { return !c.ready() }) {
		return
	}
	for _, c := range before.certs {
		if c.ready() {
			sec.before = append(sec.before, c)
		}
	}
	if sec.holdUntil = now.Add(holdFor); sec.before == nil { // another change while it was held
		sec.before, sec.holdUntil = before.before, before.holdUntil
	}
}

// instead is the certificate of before, while it holds and is as good for the
// client as c.
func (sec *section) instead(c *certificate, hello *tls.ClientHelloInfo) *certificate {
	now := sec.config.Time()
	if !now.Before(sec.holdUntil) {
		return c
	}
	old := choose(sec.before, hello)
	leaf := old.pair.Leaf
	if now.After(leaf.NotAfter) || nameScore(leaf, hello.ServerName) < nameScore(c.pair.Leaf, hello.ServerName) {
		return c
	}
	return old
}
