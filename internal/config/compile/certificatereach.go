package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// certificates says whose certificates can be known where a route is served.
type certificates struct {
	// verified: a listener verifies those of its clients; forwarded: one believes
	// what proxies say of theirs.
	verified, forwarded bool
}

// certificateReach is for the forms of routes, by their names.
func (c *compiler) certificateReach() map[string]certificates {
	out := map[string]certificates{}
	for _, k := range c.sockets {
		for _, s := range k.listener.Sections {
			verified := s.TLS != nil && s.TLS.ClientAuth != nil && s.TLS.ClientAuth.Mode != ir.ClientAuthRequestInsecure
			forwarded := len(k.listener.Client.TrustedProxies) > 0
			if !verified && !forwarded {
				continue
			}
			for _, a := range slices.Concat(s.Routes, s.Streams) {
				was := out[a.Route]
				out[a.Route] = certificates{was.verified || verified, was.forwarded || forwarded}
			}
		}
	}
	return out
}

const verifyRemedy = "set tls.frontend.default.validation of the Gateway, with an HTTPS listener"

// warnNoCertificates names methods of a policy that can accept nobody, because no
// listener verifies certificates.
func (c *compiler) warnNoCertificates(p *authenticationPolicy, reach map[string]certificates) {
	name := p.object.Key.Namespace + "/" + p.object.Key.Name
	for i := range p.spec.AnyOf {
		m := p.spec.AnyOf[i].ClientCertificate
		if m == nil {
			continue
		}
		field := fmt.Sprintf("spec.anyOf[%d].clientCertificate", i)
		fromHeader := deref(m.FromHeader, false)
		var without []string
		reached, believed := 0, false
		for _, rs := range c.next.routes {
			for _, form := range rs.forms {
				at := reach[form.Name]
				for _, rule := range form.Rules {
					if a := rule.Policy.Authentication; a == nil || a.Policy != name {
						continue
					}
					reached++
					believed = believed || at.forwarded
					if !at.verified && (!fromHeader || !at.forwarded) && !slices.Contains(without, rule.ID) {
						without = append(without, rule.ID)
					}
				}
			}
		}
		if len(without) > 0 {
			c.report(problemAt(p.source(), field, store.Warning, "NoClientCertificates",
				"nobody is accepted by it: no listener verifies client certificates for "+someOf(without), verifyRemedy))
		}
		if fromHeader && reached > 0 && !believed {
			c.report(problemAt(p.source(), field+".fromHeader", store.Warning, "NoEffect",
				"no listener that it reaches has trustedProxies: what X-Forwarded-Client-Cert says is believed of nobody",
				"set client.forwarded.trustedProxies in a TrafficPolicy on the Gateway, or leave it out"))
		}
	}
}

// someOf names a few of many.
func someOf(rules []string) string {
	if len(rules) <= maxNamed {
		return strings.Join(rules, ", ")
	}
	return fmt.Sprintf("%s and %d more rules", strings.Join(rules[:maxNamed], ", "), len(rules)-maxNamed)
}
