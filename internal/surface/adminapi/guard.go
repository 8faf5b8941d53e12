package adminapi

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/surface/signin"
)

// guard decides who may use the API, before any handler runs.
type guard struct {
	token  Token
	access Access
	// owned: only the owner of the process's files reaches the socket.
	owned bool
	hosts map[string]bool
	// named: TLS proves the name by which the API is reached, so that any may be used.
	named bool
	cross *http.CrossOriginProtection
	// sessions are logins of the console, signIn where people may log in besides.
	sessions *sessions
	signIn   *signin.Provider
}

func newGuard(o *Options) *guard {
	// Probes and scrapers use whatever name the host has; what they get is no secret.
	g := &guard{token: o.Token, named: o.TLS != nil || o.ProbesOnly, access: o.Access, signIn: o.SignIn, owned: strings.HasPrefix(o.Address, "unix:"), hosts: map[string]bool{"localhost": true}, cross: http.NewCrossOriginProtection()}
	if o.SignIn != nil {
		g.hosts[strings.ToLower(o.SignIn.Console().Hostname())] = true
	}
	for _, h := range o.Hosts {
		g.hosts[strings.ToLower(h)] = true
	}
	return g
}

// check answers with who asks, if r may go on. Endpoint is nil where there is none.
func (g *guard) check(r *http.Request, e *endpoint) (access.Actor, *Fault) {
	nobody := access.Actor{}
	if !g.hostAllowed(r.Host) {
		return nobody, fault(http.StatusMisdirectedRequest, "the Host of the request is not one of this API's names; use an IP address or localhost, or allow the name")
	}
	// Browsers say where a request comes from. No page has business here, not
	// even with reading: there is no CORS.
	if err := g.cross.Check(r); err != nil {
		return nobody, fault(http.StatusForbidden, "cross-origin requests are not allowed")
	}
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		return nobody, fault(http.StatusForbidden, "cross-site requests are not allowed")
	}
	if e != nil && e.open {
		return nobody, nil
	}
	who, f := g.identify(r)
	if f != nil {
		return nobody, f
	}
	who.Peer = r.RemoteAddr
	if e != nil && !who.Role.Includes(e.role) {
		return who, fault(http.StatusForbidden, "this needs the role %s, and %q has the role %s", e.role, who.Name, who.Role)
	}
	return who, nil
}

// identify finds out who asks: by a token as soon as there are any. Where there
// are none, who reaches the address is trusted, and so is who reaches a Unix
// socket of the gateway's own user.
func (g *guard) identify(r *http.Request) (access.Actor, *Fault) {
	header := r.Header.Get("Authorization")
	switch {
	case g.trusting():
		return access.Actor{Name: "anonymous", Role: access.Admin}, nil
	case g.token.empty() && g.owned && header == "":
		return access.Actor{Name: "owner of the socket", Role: access.Admin}, nil
	}
	if header == "" && r.Header.Get(pageKeyHeader) != "" {
		return g.loggedIn(r)
	}
	scheme, presented, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		presented = ""
	}
	return g.authenticate(r.Context(), strings.TrimLeft(presented, " "))
}

// trusting: who reaches the address is trusted.
func (g *guard) trusting() bool { return g.token.empty() && g.access == nil && g.signIn == nil }

// loggedIn finds out whose session it is.
func (g *guard) loggedIn(r *http.Request) (access.Actor, *Fault) {
	c, f := g.sessions.credential(r)
	switch {
	case f != nil:
		return access.Actor{}, f
	case c.Person == nil:
		return g.authenticate(r.Context(), c.Token)
	case g.signIn == nil || g.signIn.Issuer() != c.Issuer:
		return access.Actor{}, fault(http.StatusUnauthorized, "where you have logged in is not asked any more; log in again")
	}
	return access.Actor{Name: c.Person.Name, Subject: c.Person.Subject, Role: c.Person.Role}, nil
}

// authenticate finds out whose token this is.
func (g *guard) authenticate(ctx context.Context, presented string) (access.Actor, *Fault) {
	refused := fault(http.StatusUnauthorized, "present a token of the admin API as \"Authorization: Bearer TOKEN\"")
	if presented == "" || len(presented) > maxToken {
		return access.Actor{}, refused
	}
	if g.token.matches(presented) {
		return access.Actor{Name: "admin-token-file", Subject: "admin-token-file", Role: access.Admin}, nil
	}
	if g.access == nil {
		return access.Actor{}, refused
	}
	t, err := g.access.Authenticate(ctx, presented)
	switch {
	case errors.Is(err, access.ErrToken):
		return access.Actor{}, refused
	case err != nil:
		return access.Actor{}, fault(http.StatusServiceUnavailable, "tokens cannot be looked up: the state store cannot be read now")
	}
	return access.Actor{Name: t.Name + " (" + t.ID + ")", Subject: access.SubjectOfToken(t.ID), Role: t.Role}, nil
}

type actorKey struct{}

// actorOf is who asks.
func actorOf(r *http.Request) access.Actor {
	who, _ := r.Context().Value(actorKey{}).(access.Actor)
	return who
}

func withActor(r *http.Request, who access.Actor) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), actorKey{}, who))
}

// hostAllowed refuses names that are not ours: a name under an attacker's
// control can resolve to this machine, an IP address cannot be rebound.
func (g *guard) hostAllowed(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if g.named || g.hosts[name] {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil
}
