package adminapi

import (
	"errors"
	"net/http"
	"slices"
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
	// Sessions is how many have ended: more than one where all of somebody's were to.
	Sessions int `json:"sessions"`
}

func (s *Server) sessionEndpoints() []*endpoint {
	return []*endpoint{
		{
			method: "POST", path: "/v1/session", open: true, takes: Login{}, gives: Session{}, success: 201, serve: s.login,
			summary: "Logs a browser in with a token of this API, for 12 hours. The reply sets a cookie, which counts together with the header X-Gridway-Page-Key alone.",
		},
		{
			method: "DELETE", path: "/v1/session", open: true, gives: Ended{}, serve: s.logout,
			query:   map[string]string{"everywhere": "true ends all sessions of the same person or token, in other browsers too"},
			summary: "Logs a browser out, and says where to go for the session at the OpenID provider to end, too.",
		},
		{
			method: "GET", path: "/v1/sessions", role: access.Viewer, gives: []access.Session{}, serve: s.logins,
			summary: "Who is logged in to the console, the newest first: everybody to an admin, and to others their own sessions.",
		},
		{
			method: "DELETE", path: "/v1/sessions/{id}", role: access.Viewer, success: 204, serve: s.endLogin,
			summary: "Ends a session of the console: any for an admin, and for others one of their own.",
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
	cookie, page, ends, f := s.guard.sessions.begin(r.Context(), who, c, life)
	if f != nil {
		return nil, f
	}
	http.SetCookie(w, s.guard.sessions.cookie(r, sessionCookie, cookie, life))
	s.opt.Log.Info("login to the console", "actor", who.Name, "role", who.Role, "peer", r.RemoteAddr)
	return Session{Actor: who, Expires: ends.Truncate(time.Second), PageKey: page}, nil
}

// logout ends the session of r, if both of its halves are there, or all of whose it is.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) (any, *Fault) {
	everywhere := r.URL.Query().Get("everywhere") == "true"
	out := Ended{}
	c, f := s.guard.sessions.credential(r)
	switch {
	case f != nil && f.Status != http.StatusUnauthorized:
		return nil, f
	case f != nil && everywhere:
		return nil, f
	case f == nil:
		if out, f = s.endOwn(r, c, everywhere); f != nil {
			return nil, f
		}
	}
	http.SetCookie(w, s.guard.sessions.cookie(r, sessionCookie, "", -1))
	return out, nil
}

func (s *Server) endOwn(r *http.Request, c *credential, everywhere bool) (out Ended, f *Fault) {
	kept := s.guard.sessions.kept
	digest := s.guard.sessions.digest(r)
	k, err := kept.Session(r.Context(), digest)
	if err == nil {
		err = kept.EndSession(r.Context(), digest)
	}
	if err == nil {
		out.Sessions = 1
	}
	if err == nil && everywhere {
		var more int
		more, err = kept.EndSessionsOf(r.Context(), k.Subject)
		out.Sessions += more
		s.opt.Log.Info("logout from the console everywhere", "actor", k.Name, "sessions", out.Sessions, "peer", r.RemoteAddr)
	}
	if err != nil && !errors.Is(err, access.ErrSession) { // it may have ended meanwhile
		return out, s.guard.sessions.unkept("ended", err)
	}
	if c.Person != nil && s.opt.SignIn != nil {
		out.Next = s.opt.SignIn.Logout(c.Person.IDToken)
	}
	return out, nil
}

// logins lists who is logged in: everybody to an admin, and to others their own sessions.
func (s *Server) logins(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	list, f := s.visible(r)
	if f != nil {
		return nil, f
	}
	current, out := s.guard.sessions.digest(r), []access.Session{}
	for i := range list {
		list[i].Current = list[i].Digest == current
		out = append(out, list[i].Session)
	}
	return out, nil
}

func (s *Server) visible(r *http.Request) ([]access.KeptSession, *Fault) {
	list, err := s.guard.sessions.kept.Sessions(r.Context())
	if err != nil {
		return nil, s.guard.sessions.unkept("listed", err)
	}
	who := actorOf(r)
	return slices.DeleteFunc(list, func(k access.KeptSession) bool {
		return !who.Role.Includes(access.Admin) && (k.Subject == "" || k.Subject != who.Subject)
	}), nil
}

// endLogin ends one of those that are listed.
func (s *Server) endLogin(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	list, f := s.visible(r)
	if f != nil {
		return nil, f
	}
	id, who := r.PathValue("id"), actorOf(r)
	for i := range list {
		k := &list[i]
		if k.ID != id {
			continue
		}
		if err := s.guard.sessions.kept.EndSession(r.Context(), k.Digest); err != nil && !errors.Is(err, access.ErrSession) {
			return nil, s.guard.sessions.unkept("ended", err)
		}
		s.opt.Log.Info("session of the console ended", "session", k.ID, "of", k.Name, "by", who.Name, "peer", r.RemoteAddr)
		if s.opt.Access != nil {
			if err := s.opt.Access.Record(r.Context(), who, "end", "Session/"+k.ID, k.Session); err != nil {
				return nil, s.faultOf(r, err)
			}
		}
		return nil, nil
	}
	return nil, fault(http.StatusNotFound, "there is no session %s, or it has ended", id)
}
