package adminapi

import (
	"errors"
	"net/http"
	"strings"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/surface/signin"
)

// Ways are how people log in.
type Ways struct {
	// Token: with one of the admin API.
	Token bool `json:"token"`
	// OIDC is the OpenID provider; left out where there is none.
	OIDC *Provider `json:"oidc,omitempty"`
}

// Provider is where people log in.
type Provider struct {
	// Name is for people.
	Name string `json:"name"`
	// Console is the one address of the console that the provider leads back to.
	Console string `json:"console"`
	// Away: it could not be asked lately.
	Away bool `json:"away,omitempty"`
}

// BeginLogin asks for a login at the OpenID provider. There is nothing to say about it.
type BeginLogin struct{}

// Begun is a login that was begun.
type Begun struct {
	// Next is where the browser goes.
	Next string `json:"next"`
}

const (
	// attemptInfix is between the common name of cookies and what tells logins apart that
	// are under way.
	attemptInfix = "-login-"
	// maxAttempts is how many of one browser may be.
	maxAttempts = 5
)

var errNoProvider = fault(http.StatusConflict, "this process knows no OpenID provider; start it with --console-oidc FILE")

func (s *Server) ways(http.ResponseWriter, *http.Request) (any, *Fault) {
	out := Ways{Token: !s.opt.Token.empty() || s.opt.Access != nil}
	if p := s.opt.SignIn; p != nil {
		state := p.State()
		out.OIDC = &Provider{Name: p.Name(), Console: p.Console().String(), Away: state.Err != "" && !state.Kept}
	}
	return out, nil
}

// begin sends a browser to the provider.
func (s *Server) begin(w http.ResponseWriter, r *http.Request) (any, *Fault) {
	p := s.opt.SignIn
	if p == nil {
		return nil, errNoProvider
	}
	if f := decode(r, &BeginLogin{}); f != nil {
		return nil, f
	}
	// The provider leads back to one address, and the cookie is for the one that is asked.
	if at := p.Console(); !strings.EqualFold(r.Host, at.Host) {
		return nil, fault(http.StatusMisdirectedRequest, "%s leads back to %s alone; log in there", p.Name(), at)
	}
	a, err := p.Begin()
	if err != nil {
		return nil, s.notIn(r, err)
	}
	s.forgetAttempts(w, r)
	http.SetCookie(w, s.guard.sessions.cookie(r, attemptInfix+a.ID, a.Sealed, signin.AttemptLife))
	return Begun{Next: a.To}, nil
}

// forgetAttempts takes cookies away where a browser has too many.
func (s *Server) forgetAttempts(w http.ResponseWriter, r *http.Request) {
	prefix, list := s.guard.sessions.name(r, attemptInfix), []string(nil)
	for _, c := range r.Cookies() {
		if id, ok := strings.CutPrefix(c.Name, prefix); ok {
			list = append(list, id)
		}
	}
	for i := 0; i <= len(list)-maxAttempts; i++ {
		http.SetCookie(w, s.guard.sessions.cookie(r, attemptInfix+list[i], "", -1))
	}
}

// end ends a login with what the provider has sent the browser back with.
func (s *Server) end(w http.ResponseWriter, r *http.Request) (any, *Fault) {
	p := s.opt.SignIn
	if p == nil {
		return nil, errNoProvider
	}
	var q signin.Answer
	if f := decode(r, &q); f != nil {
		return nil, f
	}
	suffix, text := attemptInfix+signin.AttemptID(q.State), ""
	if c, err := r.Cookie(s.guard.sessions.name(r, suffix)); err == nil {
		text = c.Value
		http.SetCookie(w, s.guard.sessions.cookie(r, suffix, "", -1)) // whatever comes of it
	}
	who, err := p.End(text, q)
	if err != nil {
		return nil, s.notIn(r, err)
	}
	return s.logIn(w, r, access.Actor{Name: who.Name, Subject: who.Subject, Role: who.Role}, &credential{Person: who, Issuer: p.Issuer()}, p.Life())
}

// notIn says why nobody has logged in.
func (s *Server) notIn(r *http.Request, err error) *Fault {
	status, text := http.StatusBadRequest, err.Error()
	var e *signin.Error
	if errors.As(err, &e) {
		text = e.Text
		switch e.Kind {
		case signin.Denied:
			status = http.StatusForbidden
		case signin.Away:
			status = http.StatusServiceUnavailable
		case signin.Unknown, signin.Unproven:
		}
	}
	s.opt.Log.Warn("login to the console refused", "status", status, "peer", r.RemoteAddr, "error", err)
	return fault(status, "%s", text)
}
