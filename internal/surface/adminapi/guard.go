package adminapi

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// guard decides who may use the API, before any handler runs.
type guard struct {
	token Token
	hosts map[string]bool
	cross *http.CrossOriginProtection
}

func newGuard(token Token, hosts []string) *guard {
	g := &guard{token: token, hosts: map[string]bool{"localhost": true}, cross: http.NewCrossOriginProtection()}
	for _, h := range hosts {
		g.hosts[strings.ToLower(h)] = true
	}
	return g
}

// check answers nil if r may go on. Open paths need no token.
func (g *guard) check(r *http.Request, open bool) *Fault {
	if !g.hostAllowed(r.Host) {
		return fault(http.StatusMisdirectedRequest, "the Host of the request is not one of this API's names; use an IP address or localhost, or allow the name")
	}
	// Browsers say where a request comes from. No page has business here, not
	// even with reading: there is no CORS.
	if err := g.cross.Check(r); err != nil {
		return fault(http.StatusForbidden, "cross-origin requests are not allowed")
	}
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		return fault(http.StatusForbidden, "cross-site requests are not allowed")
	}
	if g.token.empty() || open {
		return nil
	}
	scheme, presented, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || !g.token.matches(strings.TrimLeft(presented, " ")) {
		return fault(http.StatusUnauthorized, "present the admin token as \"Authorization: Bearer TOKEN\"")
	}
	return nil
}

// hostAllowed refuses names that are not ours: a name under an attacker's
// control can resolve to this machine, an IP address cannot be rebound.
func (g *guard) hostAllowed(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if g.hosts[name] {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil
}
