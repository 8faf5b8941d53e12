// Package signin lets people log in to the console at an OpenID provider: it says where
// their browsers go, redeems the code that they come back with (RFC 6749 §4.1, with PKCE,
// RFC 7636), verifies what the provider says of them (OpenID Connect Core 1.0 §3.1.3.7), and
// gives them the role that the settings have for them. It keeps nobody: what a login was
// begun with is sealed in a cookie, and who has logged in is for the admin API to remember.
//
// A Provider owns a goroutine that keeps the provider's keys fresh; Close ends it and waits.
// The package may be imported by adminapi, app and cli.
package signin

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/keyset"
	"github.com/gridway/gridway/internal/proxy/login"
)

const (
	// loginName is what the one login of a Provider is called.
	loginName = "console/login"
	// keysFresh is how long keys are used at most before they are asked for again.
	keysFresh = time.Hour
	// AttemptLife is how long somebody has for a login.
	AttemptLife = login.AttemptLife
	// maxEnded bounds what is remembered of logins that were ended.
	maxEnded = 4096
)

// Options of a Provider. Settings is compulsory.
type Options struct {
	Settings *Settings
	// Secrets: the first seals what logins are begun with, all open it. Without any there
	// is one of this process, and a login ends where it was begun.
	Secrets [][]byte
	Log     *slog.Logger
	// Now is the clock; nil is the system's.
	Now func() time.Time
}

// Provider is where people log in.
type Provider struct {
	s       *Settings
	log     *slog.Logger
	now     func() time.Time
	logins  *login.Set
	login   *login.Login
	keySets *keyset.Set
	keys    *keyset.Keys

	mu sync.Mutex // guards what follows
	// ended are the states of logins that were ended: each is good for one. The older
	// half goes when it cannot be used any more, or when there are too many.
	ended, endedBefore map[string]bool
	turned             time.Time
}

// New begins to fetch the provider's keys. That it cannot be asked is no error: that is
// told to who logs in, and until then things may change.
func New(o Options) *Provider {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Provider{
		s: o.Settings, log: o.Log.With("issuer", o.Settings.Issuer), now: o.Now,
		logins: login.New(login.Options{Log: o.Log}), keySets: keyset.New(keyset.Options{Log: o.Log}), ended: map[string]bool{},
	}
	discovery := strings.TrimSuffix(p.s.Issuer, "/") + "/.well-known/openid-configuration"
	cfg := &ir.Config{
		Logins:  []*ir.Login{{Name: loginName, Issuer: p.s.Issuer, URL: discovery, ClientID: p.s.ClientID, ClientSecret: p.s.ClientSecret, CookieKeys: o.Secrets, CA: p.s.CA}},
		KeySets: []*ir.KeySet{{Name: loginName, URL: discovery, Discovery: true, Issuer: p.s.Issuer, CA: p.s.CA, Refresh: keysFresh}},
	}
	p.logins.Begin(cfg)
	p.keySets.Begin(cfg)
	p.login, p.keys = p.logins.Login(loginName).Current(), p.keySets.Keys(loginName)
	return p
}

// Close asks nobody any more.
func (p *Provider) Close() {
	p.logins.Close()
	p.keySets.Close()
}

// Name is the provider's, for people.
func (p *Provider) Name() string { return p.s.Name }

// Issuer is the provider's own name.
func (p *Provider) Issuer() string { return p.s.Issuer }

// Console is the URL of the console, as browsers have it.
func (p *Provider) Console() *url.URL { u := *p.s.Console; return &u }

// Life is how long a session is.
func (p *Provider) Life() time.Duration { return p.s.Life }

// State is how the provider was when it was asked last.
type State struct {
	// Since is when it began to fail, because of Err; zero is that it does not. Kept: what
	// it has said before is used.
	Since time.Time
	Err   string
	Kept  bool
}

// State tells what is wrong with the provider, as far as anybody has seen.
func (p *Provider) State() (s State) {
	p.keySets.States(func(k keyset.State) {
		s = State{Since: k.FailingSince, Err: k.Err, Kept: k.Keys > 0}
	})
	p.logins.Troubles(func(_, _ string, t *login.Trouble) {
		if t != nil && s.Err == "" {
			s = State{Since: t.Since, Err: t.Err, Kept: t.Kept}
		}
	})
	return s
}

// Attempt is a login that was begun.
type Attempt struct {
	// To is where the browser goes.
	To string
	// ID tells attempts of one browser apart, Sealed is what must come back with the
	// provider's answer.
	ID     string
	Sealed string
}

// Begin begins a login. Its Sealed goes into a cookie, so that the browser that ends it is
// the one that has begun it.
func (p *Provider) Begin() (*Attempt, error) {
	m, err := p.login.Metadata(func() {})
	if err != nil {
		return nil, p.away(err)
	}
	to, err := url.Parse(m.Authorization)
	if err != nil { // it was judged
		return nil, p.away(err)
	}
	a := login.NewAttempt("", p.now())
	q := to.Query()
	for name, value := range map[string]string{
		"response_type": "code", "client_id": p.s.ClientID, "redirect_uri": p.redirect(), "scope": strings.Join(p.s.Scopes, " "),
		"state": a.State, "nonce": a.Nonce, "code_challenge": a.Challenge(), "code_challenge_method": "S256",
	} {
		q.Set(name, value)
	}
	to.RawQuery = q.Encode()
	return &Attempt{To: to.String(), ID: AttemptID(a.State), Sealed: string(p.login.SealAttempt(a.State, a))}, nil
}

// redirect is the page of the console that the provider sends browsers back to.
func (p *Provider) redirect() string { return p.s.Console.String() + callback }

// AttemptID is the ID of the attempt with a state, and empty for what is none.
func AttemptID(state string) string {
	const in = 8
	if len(state) < in || strings.Trim(state[:in], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		return ""
	}
	return state[:in]
}

// Answer is what the provider has sent a browser back with (RFC 6749 §4.1.2, RFC 9207).
type Answer struct {
	Code   string `json:"code,omitempty"`
	State  string `json:"state"`
	Issuer string `json:"iss,omitempty"`
	// Error is a code of RFC 6749 §4.1.2.1.
	Error string `json:"error,omitempty"`
}

// Person is somebody who has logged in.
type Person struct {
	// Name says who they call themselves and, in parentheses, who they are: the issuer and
	// the subject there.
	Name string
	// Subject is the latter.
	Subject string
	Role    access.Role
	// IDToken is what the provider has said of them.
	IDToken string
}

// End ends a login with the provider's answer, and what Begin has sealed. Its errors are of
// type *Error.
func (p *Provider) End(sealed string, answer Answer) (*Person, error) {
	a := p.login.OpenAttempt(answer.State, []byte(sealed))
	if a == nil || subtle.ConstantTimeCompare([]byte(a.State), []byte(answer.State)) != 1 || !a.Live(p.now()) || !p.endOnce(a.State) {
		return nil, unknown
	}
	m, err := p.login.Metadata(func() {})
	if err != nil {
		return nil, p.away(err)
	}
	// RFC 9207 §2.4: an answer of another provider, to which somebody has been sent in
	// the middle of this login, must not be redeemed here.
	if answer.Issuer != "" && answer.Issuer != p.s.Issuer || answer.Issuer == "" && m.NamesIssuer {
		return nil, refuse(Unproven, "the answer is not from %s, where this login was begun; begin again", p.s.Name)
	}
	switch answer.Error {
	case "":
	case "temporarily_unavailable", "server_error":
		return nil, p.away(fmt.Errorf("its answer is %s", answer.Error))
	case "access_denied":
		return nil, refuse(Denied, "%s has not let you in: it was cancelled there, or you may not use the console (access_denied)", p.s.Name)
	default:
		return nil, refuse(Denied, "%s refuses the request to log in (%s); who runs this gateway must compare its settings with the client there", p.s.Name, known(answer.Error))
	}
	if answer.Code == "" {
		return nil, refuse(Unproven, "the answer of %s has no code; begin again", p.s.Name)
	}
	t, err := p.login.Redeem(m, answer.Code, a.Verifier, p.redirect())
	switch {
	case errors.Is(err, login.ErrRefused):
		return nil, &Error{Unproven, fmt.Sprintf("%s does not take the code that it has given; begin again, and if it happens again, have the client's secret compared", p.s.Name), err}
	case err != nil:
		return nil, p.away(err)
	}
	claims, err := p.verified(t.ID, t.Access, a.Nonce)
	if err != nil {
		return nil, err
	}
	if claims, err = p.complete(m, t.Access, claims); err != nil {
		return nil, err
	}
	role := p.s.Roles.of(claims)
	if role == "" {
		return nil, refuse(Denied, "%s knows you as %s, but nothing that it says of you gives a role here (%s: %s); ask who runs this gateway for one",
			p.s.Name, nameOf(claims), p.s.Roles.Claim, p.s.Roles.shown(claims))
	}
	subject := "oidc:" + p.s.Issuer + "#" + subjectOf(claims)
	return &Person{Name: nameOf(claims) + " (" + subject + ")", Subject: subject, Role: role, IDToken: t.ID}, nil
}

// subjectOf is who somebody is at the issuer, and nobody else.
func subjectOf(c *filter.Claims) string {
	if printable(c.Subject, maxSubject) == c.Subject {
		return c.Subject
	}
	return url.QueryEscape(c.Subject)
}

// complete asks for the claim that gives a role, if the ID token does not have it.
func (p *Provider) complete(m *login.Metadata, token string, c *filter.Claims) (*filter.Claims, error) {
	if _, has := c.Lookup(p.s.Roles.path); has || m.UserInfo == "" || !p.s.Roles.needsClaim() {
		return c, nil
	}
	more, err := p.login.UserInfo(m, token)
	if err != nil {
		return nil, p.away(err)
	}
	return joined(c, more)
}

// endOnce is false for the state of a login that was ended.
func (p *Provider) endOnce(state string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended[state] || p.endedBefore[state] {
		return false
	}
	now := p.now()
	if old := now.Sub(p.turned); old >= AttemptLife+time.Minute || len(p.ended) >= maxEnded {
		p.ended, p.endedBefore, p.turned = map[string]bool{}, p.ended, now
	}
	p.ended[state] = true
	return true
}

// Logout is where the browser goes for the session there to end, too (OpenID Connect
// RP-Initiated Logout 1.0 §2); empty is nowhere.
func (p *Provider) Logout(idToken string) string {
	m, err := p.login.Metadata(func() {})
	if err != nil || m.EndSession == "" {
		return ""
	}
	to, err := url.Parse(m.EndSession)
	if err != nil { // it was judged
		return ""
	}
	q := to.Query()
	q.Set("client_id", p.s.ClientID)
	q.Set("post_logout_redirect_uri", p.s.Console.String())
	if idToken != "" {
		q.Set("id_token_hint", idToken)
	}
	to.RawQuery = q.Encode()
	return to.String()
}
