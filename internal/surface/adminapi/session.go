package adminapi

import (
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/manage/access"
)

const (
	// sessionLife is how long somebody stays logged in, whatever they do.
	sessionLife = 12 * time.Hour
	// maxSessions bounds what logins take of memory; the oldest gives way.
	maxSessions = 256
	// pageKeyHeader carries the page's half of a session.
	pageKeyHeader = "X-Gridway-Page-Key"
	halfBytes     = 32
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

// sessions are who is logged in with a browser. A session has two halves: a cookie,
// which no script can read but which a browser sends to every port of a host, and a
// key, which the page keeps for its origin and sends in a header. The token is sealed
// under both, so that neither a service at another port, nor a script with what the
// page has stored, nor a dump of this process's memory has it.
type sessions struct {
	// name is the cookie's, with the port in it: processes of one host share a browser's cookies.
	name string
	now  func() time.Time

	mu   sync.Mutex
	open map[[sha256.Size]byte]sealedToken // guarded by mu; by digests of cookies
}

type sealedToken struct {
	text []byte
	ends time.Time
}

func newSessions(at net.Addr, secure bool) *sessions {
	_, port, _ := net.SplitHostPort(at.String())
	name := "gridway-console-" + cmp.Or(port, "0")
	if secure {
		// RFC 6265bis §4.1.3.2: not from a subdomain, and never without TLS.
		name = "__Host-" + name
	}
	return &sessions{name: name, now: time.Now, open: map[[sha256.Size]byte]sealedToken{}}
}

// begin keeps a token, and answers with the halves that open it.
func (s *sessions) begin(token string) (cookie, page string, ends time.Time) {
	halves := make([]byte, 2*halfBytes)
	_, _ = rand.Read(halves) // it never fails
	c, p := halves[:halfBytes], halves[halfBytes:]
	ends = s.now().Add(sessionLife)
	// The key is used this once, so that its nonce may be zero.
	box := sessionBox(c, p)
	sealed := box.Seal(nil, make([]byte, box.NonceSize()), []byte(token), nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom()
	s.open[sha256.Sum256(c)] = sealedToken{sealed, ends}
	return base64.RawURLEncoding.EncodeToString(c), base64.RawURLEncoding.EncodeToString(p), ends
}

// makeRoom takes away what has ended and, if that is not enough, the oldest.
func (s *sessions) makeRoom() {
	if len(s.open) < maxSessions {
		return
	}
	now, oldest, first := s.now(), [sha256.Size]byte{}, time.Time{}
	for id, t := range s.open {
		if !now.Before(t.ends) {
			delete(s.open, id)
		} else if first.IsZero() || t.ends.Before(first) {
			oldest, first = id, t.ends
		}
	}
	if len(s.open) >= maxSessions {
		delete(s.open, oldest)
	}
}

// token is what the halves that r presents open, or empty.
func (s *sessions) token(r *http.Request) string {
	c, p, ok := s.halves(r)
	if !ok {
		return ""
	}
	id := sha256.Sum256(c)
	s.mu.Lock()
	t, ok := s.open[id]
	s.mu.Unlock()
	if !ok || !s.now().Before(t.ends) {
		return ""
	}
	box := sessionBox(c, p)
	text, err := box.Open(nil, make([]byte, box.NonceSize()), t.text, nil)
	if err != nil {
		return ""
	}
	return string(text)
}

// end forgets the session of r, if both of its halves are there.
func (s *sessions) end(r *http.Request) {
	if s.token(r) == "" {
		return
	}
	c, _, _ := s.halves(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, sha256.Sum256(c))
}

func (s *sessions) halves(r *http.Request) (cookie, page []byte, ok bool) {
	c, err := r.Cookie(s.name)
	if err != nil {
		return nil, nil, false
	}
	cookie, err = base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || len(cookie) != halfBytes {
		return nil, nil, false
	}
	page, err = base64.RawURLEncoding.DecodeString(r.Header.Get(pageKeyHeader))
	return cookie, page, err == nil && len(page) == halfBytes
}

func sessionBox(cookie, page []byte) cipher.AEAD {
	m := hmac.New(sha256.New, cookie)
	_, _ = m.Write(page)
	block, err := aes.NewCipher(m.Sum(nil))
	if err != nil {
		panic(err) // a digest of SHA-256 is a key of AES-256
	}
	box, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // AES has the block size of GCM
	}
	return box
}

func (s *Server) sessionEndpoints() []*endpoint {
	return []*endpoint{
		{
			method: "POST", path: "/v1/session", open: true, takes: Login{}, gives: Session{}, success: 201, serve: s.login,
			summary: "Logs a browser in with a token of this API, for 12 hours. The reply sets a cookie, which counts together with the header X-Gridway-Page-Key alone.",
		},
		{
			method: "DELETE", path: "/v1/session", open: true, success: 204, serve: s.logout,
			summary: "Logs a browser out.",
		},
	}
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) (any, *Fault) {
	if s.guard.trusting() {
		return nil, fault(http.StatusConflict, "this API asks for no token, so there is nothing to log in to")
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
	who.Peer = r.RemoteAddr
	cookie, page, ends := s.guard.sessions.begin(q.Token)
	http.SetCookie(w, s.cookie(cookie, int(sessionLife/time.Second)))
	s.opt.Log.Info("login to the console", "actor", who.Name, "role", who.Role, "peer", r.RemoteAddr)
	return Session{Actor: who, Expires: ends.UTC().Truncate(time.Second), PageKey: page}, nil
}

func (s *Server) logout(w http.ResponseWriter, r *http.Request) (any, *Fault) {
	s.guard.sessions.end(r)
	http.SetCookie(w, s.cookie("", -1))
	return nil, nil
}

func (s *Server) cookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: s.guard.sessions.name, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: s.opt.TLS != nil, SameSite: http.SameSiteStrictMode,
	}
}
