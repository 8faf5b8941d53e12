package compile

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/issuance"
	"github.com/gridway/gridway/internal/config/store"
)

// reach says which listeners an authority could find.
type reach struct {
	http, https     bool // there is one that speaks it, or at least TLS
	port80, port443 bool // and on the port that authorities connect to
}

func (c *compiler) challengeReach() reach {
	var r reach
	for _, s := range c.sections {
		switch {
		case s.refused:
		case s.spec.Protocol == gwv1.HTTPProtocolType:
			r.http = true
			r.port80 = r.port80 || s.spec.Port == 80
		case s.terminates(): // also for streams: the authority's handshake is not one of them
			r.https = true
			r.port443 = r.port443 || s.spec.Port == 443
		}
	}
	return r
}

// judgeChallenges finds the challenges to try, and warns of what cannot work.
func (c *compiler) judgeChallenges(x *issuer, r reach) []issuance.Challenge {
	asked, field := x.spec.ACME.Challenges, "spec.acme.challenges"
	if len(asked) == 0 {
		asked, field = []v1alpha1.ACMEChallenge{v1alpha1.HTTP01, v1alpha1.TLSALPN01}, "spec.acme"
		if !r.http {
			asked = asked[1:]
		}
	}
	var out []issuance.Challenge
	direct := false // some authority's connection can arrive without a forward
	for _, ch := range asked {
		switch {
		case ch == v1alpha1.HTTP01 && r.http:
			out = append(out, issuance.HTTP01)
			direct = direct || r.port80
		case ch == v1alpha1.TLSALPN01 && r.https:
			out = append(out, issuance.TLSALPN01)
			direct = direct || r.port443
		case ch == v1alpha1.HTTP01:
			c.report(problemAt(x.used, field, store.Warning, "ChallengeUnreachable",
				"HTTP-01 cannot work: there is no listener with protocol HTTP", "add one on port 80, or use TLS-ALPN-01"))
		}
	}
	switch {
	case len(out) == 0:
		for i := range x.placed {
			if x.placed[i].Hold == "" {
				x.placed[i].Hold = "no listener can answer a challenge"
			}
		}
	case !direct:
		ports := map[issuance.Challenge]string{issuance.HTTP01: "port 80 (HTTP-01)", issuance.TLSALPN01: "port 443 (TLS-ALPN-01)"}
		var where []string
		for _, ch := range out {
			where = append(where, ports[ch])
		}
		c.report(problemAt(x.used, field, store.Note, "ChallengePort",
			"authorities connect to "+strings.Join(where, " and ")+" of the names, where no listener of this configuration is",
			"have something forward it, or use that port"))
	}
	return out
}

// publicAuthorities issue for names of the public DNS only.
var publicAuthorities = []string{"letsencrypt.org", "zerossl.com", "pki.goog", "buypass.com", "ssl.com", "buypass.no", "sectigo.com", "digicert.com"}

// privateDomains are set aside by RFC 2606, 6761, 6762, 8375 and by ICANN.
var privateDomains = []string{"example", "invalid", "localhost", "test", "local", "internal", "onion", "home.arpa", "example.com", "example.net", "example.org"}

// judgeNames warns of names that a public authority will refuse, and of what it
// issues not being trusted.
func (c *compiler) judgeNames(x *issuer) {
	u, err := url.Parse(x.order.Directory)
	if err != nil {
		return
	}
	host := u.Hostname()
	if strings.Contains(host, "acme-staging") {
		c.report(problemAt(x.used, "spec.acme.directory", store.Note, "StagingAuthority",
			"this authority is for tests: nobody trusts its certificates", "use "+letsEncrypt+" when all works"))
	}
	if !slices.ContainsFunc(publicAuthorities, func(d string) bool { return within(host, d) }) {
		return
	}
	var bad []string
	for _, o := range x.placed {
		for _, name := range o.Names {
			private := !strings.Contains(name, ".") || slices.ContainsFunc(privateDomains, func(d string) bool { return within(name, d) })
			if private && !slices.Contains(bad, name) {
				bad = append(bad, name)
			}
		}
	}
	if len(bad) > 0 {
		c.report(problemAt(x.used, "", store.Warning, "NameNotPublic",
			fmt.Sprintf("%s issues for names of the public DNS, which these are not: %s", host, strings.Join(bad, ", ")),
			"use names of your own, or an authority of your own (directory)"))
	}
}

// within tells whether a name is a domain or below it.
func within(name, domain string) bool { return name == domain || strings.HasSuffix(name, "."+domain) }
