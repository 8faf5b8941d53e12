// Package authentication finds out who sends a request, by the methods of an
// AuthenticationPolicy, before the request takes anything from others. Its values
// are shared by all exchanges; it owns no goroutines. The list in package filters
// imports it.
//
// The first method that accepts the request's credential holds. A credential that
// none accepts is refused, whatever is wrong with it: an unknown one, one that has
// expired and one that is malformed look alike. Where what a method needs cannot
// be had, nobody gets through by it.
package authentication

import (
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/password"
	"github.com/gridway/gridway/internal/proxy/clientcert"
	"github.com/gridway/gridway/internal/proxy/consumer"
	"github.com/gridway/gridway/internal/proxy/extauthz"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/login"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Consumers finds those who may call.
type Consumers interface {
	Key(digest consumer.Digest, namespace string, every bool) *consumer.Entry
	// AnyUser is somebody with a password, nil if nobody has one.
	AnyUser() *consumer.Entry
	// Named is the Consumer of that name in the namespace or, of every namespace,
	// that of "namespace/name".
	Named(name, namespace string, every bool) *ir.Consumer
	// Client is the Consumer that has a client ID with a secret that is accepted at
	// the time.
	Client(id, namespace string, every bool, at time.Time) *ir.Consumer
}

// Deps is what the methods need beside the policy.
type Deps struct {
	Consumers Consumers
	Passwords *password.Verifier
	Tokens    Tokens
	Decisions filter.Decisions
	// Counts counts what a method does, by its name; nil counts nothing.
	Counts func(method string) Counts
	// Logins finds logins of the configuration by their names.
	Logins func(name string) *login.Handle
	// Certificates remembers what was read of certificates; it may be nil.
	Certificates *clientcert.Cache
	// Revocations finds lists of revoked certificates.
	Revocations *clientcert.Revocations
	// Answers remembers what servers have said; nil remembers nothing.
	Answers *extauthz.Caches
}

// result is what a method says of a request.
type result uint8

const (
	// absent: the request has no credential for the method.
	absent result = iota
	// accepted: the method has set the caller.
	accepted
	// excused: a server cannot be asked, and by choice that lets requests through.
	excused
	// refused: the credential is not good.
	refused
	// answered: the method has refused the request with an answer of its own.
	answered
	// unavailable: nobody can tell now whether it is.
	unavailable
	// busy: too many passwords are being looked at.
	busy
)

// method is one way to prove who calls. One that waits for somebody calls
// x.Detach first.
type method interface {
	authenticate(x *filter.Exchange) result
	// strip takes the method's credentials out of the request.
	strip(x *filter.Exchange)
	// challenge is how a client is asked for a credential (RFC 9110 §11.6.1), after
	// what the method has said of the request; nil is not at all.
	challenge(r result) []byte
}

// host is a method that people use by visiting it.
type host interface {
	// serve answers a request for one of the method's own paths, and is false for others.
	serve(x *filter.Exchange) bool
	// invite leads somebody without a credential to where there is one; it is false
	// for who cannot be led.
	invite(x *filter.Exchange) bool
	// tell gives the endpoint what the method has for it, after strip.
	tell(x *filter.Exchange)
	// respond adds to the response what the client is to keep.
	respond(x *filter.Exchange)
}

// Authentication is a policy.
type Authentication struct {
	policy    *ir.Authentication
	decisions filter.Decisions
	methods   []method
	hosts     []host
	headers   []header
	counts    []Counts // of the methods
}

// New makes a policy.
func New(p *ir.Authentication, d Deps) *Authentication {
	a := &Authentication{policy: p, decisions: d.Decisions, headers: newHeaders(p.Headers)}
	for i := range p.AnyOf {
		var counts Counts = uncounted{}
		if d.Counts != nil {
			counts = d.Counts(p.AnyOf[i].Name)
		}
		a.counts = append(a.counts, counts)
		switch m := &p.AnyOf[i]; {
		case m.APIKey != nil:
			a.methods = append(a.methods, newAPIKey(p, m, d.Consumers))
		case m.Basic != nil:
			a.methods = append(a.methods, newBasic(p, m, d, counts))
		case m.JWT != nil:
			a.methods = append(a.methods, newBearer(p, m, d, counts))
		case m.OIDC != nil:
			o := newOIDC(p, m, d)
			a.methods, a.hosts = append(a.methods, o), append(a.hosts, o)
		case m.ClientCertificate != nil:
			a.methods = append(a.methods, newCertificate(p, m, d))
		case m.Introspection != nil:
			a.methods = append(a.methods, newIntrospection(p, m, d, counts))
		case m.HMAC != nil:
			a.methods = append(a.methods, newHMAC(p, m, d))
		case m.External != nil:
			a.methods = append(a.methods, newExternal(p, m, d, counts))
		}
	}
	return a
}

const (
	needsCredential = "this request needs a credential"
	badCredential   = "the credential is not accepted"
	tooMany         = "too many credentials are being looked at; try again later"
	cannotTell      = "who calls cannot be found out now; try again later"
)

// OnRequest lets the request through, with its caller, or answers it.
func (a *Authentication) OnRequest(x *filter.Exchange) filter.Verdict {
	if a.policy.Broken {
		return a.fail(x, filter.Unavailable, 503, filter.IdentityUnavailable, cannotTell)
	}
	for _, h := range a.hosts {
		if h.serve(x) {
			return a.answered(x)
		}
	}
	// What an edge of the mesh has told of the caller holds where the service itself
	// finds out nothing.
	told := x.Caller
	x.Caller = filter.Caller{}
	best := absent
	var said said
	for i, m := range a.methods {
		x.Found(filter.FaultNone)
		r := m.authenticate(x)
		said[i].result, said[i].fault = r, x.TakeFault()
		if r == accepted {
			withdraw(x)
			x.Caller.Method = a.policy.AnyOf[i].Name
			a.decisions.Decided(int(filter.Allowed))
			a.pass(x)
			return filter.Continue
		}
		best = max(best, r)
	}
	if best != answered {
		withdraw(x)
	}
	switch {
	case best == busy:
		a.blame(x, &said)
		return a.fail(x, filter.Unavailable, 503, filter.AuthenticationOverload, tooMany)
	case best == unavailable:
		a.blame(x, &said)
		return a.fail(x, filter.Unavailable, 503, filter.IdentityUnavailable, cannotTell)
	case best == answered:
		a.blame(x, &said)
		a.decisions.Decided(int(filter.Denied))
		a.strip(x)
		return filter.Reply
	case best == excused:
		a.decisions.Decided(int(filter.Unavailable))
		x.Note(filter.NoteFailOpen, a.policy.Policy, "")
		x.Caller = told
		a.pass(x)
		return filter.Continue
	case best == refused:
		a.blame(x, &said)
		a.ask(x, &said)
		return a.fail(x, filter.Denied, 401, filter.InvalidCredential, badCredential)
	case len(a.methods) > 0 && !a.policy.Optional:
		for _, h := range a.hosts {
			if h.invite(x) {
				return a.answered(x)
			}
		}
		a.ask(x, &said)
		return a.fail(x, filter.Unidentified, 401, filter.Unauthenticated, needsCredential)
	}
	a.decisions.Decided(int(filter.Anonymous))
	x.Caller = told
	a.pass(x)
	return filter.Continue
}

// Admit lets a caller through whom nobody has asked for a credential, for decisions
// about imagined requests. Without a name the method is the policy's first.
func (a *Authentication) Admit(x *filter.Exchange, method string) {
	if method == "" {
		method = "imagined"
		if len(a.policy.AnyOf) > 0 {
			method = a.policy.AnyOf[0].Name
		}
	}
	x.Caller.Method = method
	a.pass(x)
}

// pass makes the request what the endpoint is to get.
func (a *Authentication) pass(x *filter.Exchange) {
	a.strip(x)
	for _, h := range a.hosts {
		h.tell(x)
	}
	for i := range a.headers {
		a.headers[i].write(x)
	}
}

// answered is for replies of a method's own.
func (a *Authentication) answered(x *filter.Exchange) filter.Verdict {
	decision := filter.Unidentified
	switch {
	case x.Local.Status >= 500:
		decision = filter.Unavailable
	case x.Local.Status >= 400:
		decision = filter.Denied
	}
	a.decisions.Decided(int(decision))
	x.Policy = a.policy.Policy
	a.strip(x)
	return filter.Reply
}

// Responds tells whether responses get something, by OnResponse.
func (a *Authentication) Responds() bool { return len(a.hosts) > 0 }

// OnResponse gives the client what it is to keep.
func (a *Authentication) OnResponse(x *filter.Exchange) {
	for _, h := range a.hosts {
		h.respond(x)
	}
}

func (a *Authentication) fail(x *filter.Exchange, d filter.Decision, status int, reason filter.Reason, detail string) filter.Verdict {
	a.decisions.Decided(int(d))
	a.strip(x)
	return x.Refuse(status, reason, detail, a.policy.Policy, "")
}

// withdraw takes back what a method has answered, since another one says more.
func withdraw(x *filter.Exchange) {
	if x.Local.Status == 0 {
		return
	}
	x.Flags &^= x.Local.Reason.Flag()
	x.Local, x.Policy, x.PolicyRule = filter.LocalReply{}, "", ""
	x.Resp.Reset()
}

// strip takes the credentials away, so that what is logged holds none.
func (a *Authentication) strip(x *filter.Exchange) {
	for _, m := range a.methods {
		m.strip(x)
	}
}

// demander is a method that tells how a request must be made.
type demander interface {
	tellDemand(x *filter.Exchange)
}

// Ask tells a client without a credential what it may prove itself with.
func (a *Authentication) Ask(x *filter.Exchange) {
	for _, m := range a.methods {
		challenge(x, m, absent)
	}
}

// ask tells the client what it may prove itself with (RFC 9110 §15.5.2).
func (a *Authentication) ask(x *filter.Exchange, s *said) {
	for i, m := range a.methods {
		challenge(x, m, s[i].result)
	}
}

func challenge(x *filter.Exchange, m method, r result) {
	addChallenge(x, m.challenge(r))
	if d, ok := m.(demander); ok {
		d.tellDemand(x)
	}
}

func addChallenge(x *filter.Exchange, challenge []byte) {
	if challenge != nil {
		x.Resp.Header.AddID(httpmsg.NameWWWAuthenticate, challenge)
	}
}
