package adminapi

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/surface/signin"
)

const (
	// sessionLife is how long somebody stays logged in, whatever they do.
	sessionLife = 12 * time.Hour
	// pageKeyHeader carries the page's half of a session.
	pageKeyHeader = "X-Gridway-Page-Key"
	halfBytes     = 32
	// sessionCookie is what follows the common name of cookies in a session's.
	sessionCookie = ""
)

// credential is what somebody has logged in with: a token, which is judged anew by each
// request, or what the OpenID provider has said of them.
type credential struct {
	Token  string         `json:"token,omitempty"`
	Person *signin.Person `json:"person,omitempty"`
	// Issuer is who has said it.
	Issuer string `json:"issuer,omitempty"`
}

// SessionStore keeps who is logged in with a browser; accessdb.Service is one, for all
// processes of a state store. Where there is none they are kept in memory.
type SessionStore interface {
	KeepSession(ctx context.Context, s *access.KeptSession) error
	// Session finds the one with a digest that has not ended, or answers access.ErrSession.
	Session(ctx context.Context, digest string) (*access.KeptSession, error)
	// Sessions are those that have not ended, the newest first.
	Sessions(ctx context.Context) ([]access.KeptSession, error)
	// EndSession answers access.ErrSession where there is none.
	EndSession(ctx context.Context, digest string) error
	// EndSessionsOf ends those of a subject, and tells how many there were.
	EndSessionsOf(ctx context.Context, subject string) (int, error)
}

// sessions are who is logged in with a browser. A session has two halves: a cookie,
// which no script can read but which a browser sends to every port of a host, and a
// key, which the page keeps for its origin and sends in a header. The credential is sealed
// under both, so that neither a service at another port, nor a script with what the
// page has stored, nor who reads the state store or this process's memory has it.
type sessions struct {
	// tls: this very socket speaks HTTPS. Console is where browsers find it, by HTTPS
	// maybe that ends in front of it; nil is wherever they do.
	tls     bool
	console *url.URL
	now     func() time.Time
	log     *slog.Logger
	kept    SessionStore
}

func newSessions(o *Options) *sessions {
	s := &sessions{tls: o.TLS != nil, now: time.Now, log: o.Log, kept: o.Access}
	if o.SignIn != nil {
		s.console = o.SignIn.Console()
	}
	if o.Access == nil {
		s.kept = &memory{now: s.now, open: map[string]access.KeptSession{}}
	}
	return s
}

// https tells whether the browser has come by HTTPS.
func (s *sessions) https(r *http.Request) bool {
	return s.tls || s.console != nil && s.console.Scheme == "https" && strings.EqualFold(r.Host, s.console.Host)
}

// name is that of a cookie. It has the port that the browser asks, since a browser sends the
// cookies of a host to all of its ports, and processes of one host must not take each other's;
// not the port of this socket, which is another one at each replica behind a load balancer.
func (s *sessions) name(r *http.Request, suffix string) string {
	https := s.https(r)
	port := "http"
	if https {
		port = "https"
	}
	if _, p, err := net.SplitHostPort(r.Host); err == nil && p != "" && len(p) <= 5 && strings.Trim(p, "0123456789") == "" {
		port = p
	}
	name := "gridway-console-" + port + suffix
	if https {
		// RFC 6265bis §4.1.3.2: not from a subdomain, and never without TLS.
		name = "__Host-" + name
	}
	return name
}

// cookie is one that no script reads, and that only pages of this site send. A life that is
// negative takes it away.
func (s *sessions) cookie(r *http.Request, suffix, value string, life time.Duration) *http.Cookie {
	age := int(life / time.Second)
	if life < 0 {
		age = -1
	}
	return &http.Cookie{
		Name: s.name(r, suffix), Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: s.https(r), SameSite: http.SameSiteStrictMode,
	}
}

// begin keeps a credential, and answers with the halves that open it.
func (s *sessions) begin(ctx context.Context, who access.Actor, what *credential, life time.Duration) (cookie, page string, ends time.Time, f *Fault) {
	halves := make([]byte, 2*halfBytes)
	_, _ = rand.Read(halves) // it never fails
	c, p := halves[:halfBytes], halves[halfBytes:]
	text, _ := json.Marshal(what) // plain data
	// The key is used this once, so that its nonce may be zero.
	box := sessionBox(c, p)
	now := s.now().UTC()
	k := &access.KeptSession{
		Digest: digestOf(c), Subject: who.Subject, Sealed: box.Seal(nil, make([]byte, box.NonceSize()), text, nil),
		Session: access.Session{Name: who.Name, Role: who.Role, Peer: who.Peer, Began: now, Ends: now.Add(life)},
	}
	if err := s.kept.KeepSession(ctx, k); err != nil {
		return "", "", time.Time{}, s.unkept("begun", err)
	}
	return base64.RawURLEncoding.EncodeToString(c), base64.RawURLEncoding.EncodeToString(p), k.Ends, nil
}

func digestOf(cookie []byte) string {
	sum := sha256.Sum256(cookie)
	return hex.EncodeToString(sum[:])
}

// unkept is that sessions cannot be reached where they are kept: nobody is logged out by it.
func (s *sessions) unkept(what string, err error) *Fault {
	s.log.Warn("sessions of the console cannot be read or written now", "error", err)
	return fault(http.StatusServiceUnavailable, "no session can be %s: the state store cannot be reached now. Try again; commands with the token of --admin-token-file go on working", what)
}

var errOver = fault(http.StatusUnauthorized, "the session is over; log in again")

// credential is what the halves that r presents open.
func (s *sessions) credential(r *http.Request) (*credential, *Fault) {
	c, p, ok := s.halves(r)
	if !ok {
		return nil, errOver
	}
	k, err := s.kept.Session(r.Context(), digestOf(c))
	if errors.Is(err, access.ErrSession) {
		return nil, errOver
	}
	if err != nil {
		return nil, s.unkept("looked up", err)
	}
	box := sessionBox(c, p)
	text, err := box.Open(nil, make([]byte, box.NonceSize()), k.Sealed, nil)
	out := &credential{}
	if err != nil || json.Unmarshal(text, out) != nil {
		return nil, errOver
	}
	return out, nil
}

// digest is that of the session of r, and empty where there is no half of one.
func (s *sessions) digest(r *http.Request) string {
	if c, _, ok := s.halves(r); ok {
		return digestOf(c)
	}
	return ""
}

func (s *sessions) halves(r *http.Request) (cookie, page []byte, ok bool) {
	c, err := r.Cookie(s.name(r, sessionCookie))
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
