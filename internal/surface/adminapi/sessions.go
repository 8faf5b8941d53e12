package adminapi

import (
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/surface/signin"
)

const (
	// sessionLife is how long somebody stays logged in, whatever they do.
	sessionLife = 12 * time.Hour
	// maxSessions bounds what logins take of memory; the oldest gives way.
	maxSessions = 256
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

// sessions are who is logged in with a browser. A session has two halves: a cookie,
// which no script can read but which a browser sends to every port of a host, and a
// key, which the page keeps for its origin and sends in a header. The credential is sealed
// under both, so that neither a service at another port, nor a script with what the
// page has stored, nor a dump of this process's memory has it.
type sessions struct {
	// port is in the names of cookies: processes of one host share a browser's.
	port string
	// tls: this very socket speaks HTTPS. Console is where browsers find it, by HTTPS
	// maybe that ends in front of it; nil is wherever they do.
	tls     bool
	console *url.URL
	now     func() time.Time

	mu   sync.Mutex
	open map[[sha256.Size]byte]sealed // guarded by mu; by digests of cookies
}

type sealed struct {
	text []byte
	ends time.Time
}

func newSessions(at net.Addr, tls bool, console *url.URL) *sessions {
	_, port, _ := net.SplitHostPort(at.String())
	if console != nil { // which all processes behind it share
		port = cmp.Or(console.Port(), console.Scheme)
	}
	return &sessions{port: cmp.Or(port, "0"), tls: tls, console: console, now: time.Now, open: map[[sha256.Size]byte]sealed{}}
}

// https tells whether the browser has come by HTTPS.
func (s *sessions) https(r *http.Request) bool {
	return s.tls || s.console != nil && s.console.Scheme == "https" && strings.EqualFold(r.Host, s.console.Host)
}

// name is that of a cookie.
func (s *sessions) name(r *http.Request, suffix string) string {
	name := "gridway-console-" + s.port + suffix
	if s.https(r) {
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
func (s *sessions) begin(what *credential, life time.Duration) (cookie, page string, ends time.Time) {
	halves := make([]byte, 2*halfBytes)
	_, _ = rand.Read(halves) // it never fails
	c, p := halves[:halfBytes], halves[halfBytes:]
	ends = s.now().Add(life)
	text, _ := json.Marshal(what) // plain data
	// The key is used this once, so that its nonce may be zero.
	box := sessionBox(c, p)
	text = box.Seal(nil, make([]byte, box.NonceSize()), text, nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom()
	s.open[sha256.Sum256(c)] = sealed{text, ends}
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

// credential is what the halves that r presents open, or nil.
func (s *sessions) credential(r *http.Request) *credential {
	c, p, ok := s.halves(r)
	if !ok {
		return nil
	}
	id := sha256.Sum256(c)
	s.mu.Lock()
	t, ok := s.open[id]
	s.mu.Unlock()
	if !ok || !s.now().Before(t.ends) {
		return nil
	}
	box := sessionBox(c, p)
	text, err := box.Open(nil, make([]byte, box.NonceSize()), t.text, nil)
	out := &credential{}
	if err != nil || json.Unmarshal(text, out) != nil {
		return nil
	}
	return out
}

// end forgets the session of r, if both of its halves are there, and says whose it was.
func (s *sessions) end(r *http.Request) *credential {
	was := s.credential(r)
	if was == nil {
		return nil
	}
	c, _, _ := s.halves(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, sha256.Sum256(c))
	return was
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
