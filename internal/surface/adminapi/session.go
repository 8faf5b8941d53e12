package adminapi

import (
	"net/http"
	"time"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/surface/signin"
)

// Login asks for a session of the console.
type Login struct {
	// Token is one of the admin API.
	Token string `json:"token"`
}

// Session is somebody logged in.
type Session struct {
	access.Actor
	// Expires is when it ends.
	Expires time.Time `json:"expires"`
	// PageKey is what the page presents in the header X-Gridway-Page-Key, beside the cookie.
	PageKey string `json:"pageKey"`
}

// Ended is a session that is over.
type Ended struct {
	// Next is where the browser goes for the session at the OpenID provider to end, too;
	// left out where there is none.
	Next string `json:"next,omitempty"`
}

func (s *Server) sessionEndpoints() []*endpoint {
	return []*endpoint{
		{
			method: "POST", path: "/v1/session", open: true, takes: Login{}, gives: Session{}, success: 201, serve: s.login,
			summary: "Logs a browser in with a token of this API, for 12 hours. The reply sets a cookie, which counts together with the header X-Gridway-Page-Key alone.",
		},
		{
			method: "DELETE", path: "/v1/session", open: true, gives: Ended{}, serve: s.logout,
			summary: "Logs a browser out, and says where to go for the session at the OpenID provider to end, too.",
		},
		{
			method: "GET", path: "/v1/login", open: true, gives: Ways{}, serve: s.ways,
			summary: "How people log in: with a token, at an OpenID provider, or not at all.",
		},
		{
			method: "POST", path: "/v1/login/oidc", open: true, takes: BeginLogin{}, gives: Begun{}, success: 201, serve: s.begin,
			summary: "Begins a login at the OpenID provider, and says where the browser goes. The reply sets a cookie, without which the login cannot be ended.",
		},
		{
			method: "POST", path: "/v1/session/oidc", open: true, takes: signin.Answer{}, gives: Session{}, success: 201, serve: s.end,
			summary: "Ends a login with what the OpenID provider has sent the browser back with. The reply is that of POST /v1/session.",
		},
	}
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) (any, *Fault) {
	if s.guard.trusting() {
		return nil, errNoLogin
	}
	var q Login
	if f := decode(r, &q); f != nil {
		return nil, f
	}
	who, f := s.guard.authenticate(r.Context(), q.Token)
	if f != nil {
		s.opt.Log.Warn("login to the console refused", "status", f.Status, "peer", r.RemoteAddr)
		if f.Status == http.StatusUnauthorized {
			f = fault(f.Status, "this is no token of the admin API, or it has expired or was revoked")
		}
		return nil, f
	}
	return s.logIn(w, r, who, &credential{Token: q.Token}, sessionLife)
}

var errNoLogin = fault(http.StatusConflict, "this API asks for no token, so there is nothing to log in to")

// logIn begins a session.
func (s *Server) logIn(w http.ResponseWriter, r *http.Request, who access.Actor, c *credential, life time.Duration) (any, *Fault) {
	who.Peer = r.RemoteAddr
	cookie, page, ends := s.guard.sessions.begin(c, life)
	http.SetCookie(w, s.guard.sessions.cookie(r, sessionCookie, cookie, life))
	s.opt.Log.Info("login to the console", "actor", who.Name, "role", who.Role, "peer", r.RemoteAddr)
	return Session{Actor: who, Expires: ends.UTC().Truncate(time.Second), PageKey: page}, nil
}

func (s *Server) logout(w http.ResponseWriter, r *http.Request) (any, *Fault) {
	out := Ended{}
	if c := s.guard.sessions.end(r); c != nil && c.Person != nil && s.opt.SignIn != nil {
		out.Next = s.opt.SignIn.Logout(c.Person.IDToken)
	}
	http.SetCookie(w, s.guard.sessions.cookie(r, sessionCookie, "", -1))
	return out, nil
}
