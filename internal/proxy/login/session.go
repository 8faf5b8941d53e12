package login

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/gridway/gridway/internal/jwt"
	"github.com/gridway/gridway/internal/proxy/filter"
)

var encoding = base64.RawURLEncoding.Strict()

// Session is somebody who has logged in. It is immutable.
type Session struct {
	// ID is the ID token, which was verified, UserInfo the claims that were asked for,
	// of JSON. Access is kept only where endpoints get it.
	ID       string          `json:"i"`
	UserInfo json.RawMessage `json:"u,omitempty"`
	Access   string          `json:"a,omitempty"`
	Refresh  string          `json:"r,omitempty"`
	Scope    string          `json:"s,omitempty"`
	// Began is when they logged in, Used when they were last seen, in Unix seconds.
	Began int64 `json:"b"`
	Used  int64 `json:"t"`
	// Renewed is when the tokens were given, Expires when they end.
	Renewed int64 `json:"n"`
	Expires int64 `json:"e"`

	// Claims are what the tokens say.
	Claims *filter.Claims `json:"-"`
}

// Attempt is a login that was begun, and is kept in a cookie of its own.
type Attempt struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	// Target is where the browser wanted to go: a path with its query.
	Target string `json:"t"`
	Began  int64  `json:"b"`
}

// AttemptLife is how long somebody has for a login.
const AttemptLife = 10 * time.Minute

// NewAttempt begins one.
func NewAttempt(target string, now time.Time) *Attempt {
	return &Attempt{State: random(16), Nonce: random(16), Verifier: random(32), Target: target, Began: now.Unix()}
}

// random is so many random bytes, as text for URLs.
func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // which never fails
	return encoding.EncodeToString(b)
}

// Challenge is the attempt's code challenge (RFC 7636 §4.2, S256).
func (a *Attempt) Challenge() string {
	sum := sha256.Sum256([]byte(a.Verifier))
	return encoding.EncodeToString(sum[:])
}

// Live tells whether the attempt may still be ended.
func (a *Attempt) Live(now time.Time) bool {
	age := now.Sub(time.Unix(a.Began, 0))
	return age >= -clockSkew && age < AttemptLife
}

// clockSkew is how far clocks of proxies may differ.
const clockSkew = time.Minute

// SealAttempt makes the text of a cookie of that name.
func (l *Login) SealAttempt(cookie string, a *Attempt) []byte {
	text, _ := json.Marshal(a) // plain data
	return l.seals.Seal(nil, "attempt "+cookie, text)
}

// OpenAttempt reads it, and is nil if it is none.
func (l *Login) OpenAttempt(cookie string, sealed []byte) *Attempt {
	text, ok := l.seals.Open("attempt "+cookie, sealed)
	a := &Attempt{}
	if !ok || json.Unmarshal(text, a) != nil {
		return nil
	}
	return a
}

// Seal makes the text of a session for cookies of that name.
func (l *Login) Seal(cookie string, s *Session) []byte {
	text, _ := json.Marshal(s) // plain data
	return l.seals.Seal(nil, "session "+cookie, text)
}

// Open reads it, and is nil if it is none.
func (l *Login) Open(cookie string, sealed []byte, now time.Time) *Session {
	h := sha256.New()
	h.Write([]byte(cookie + "="))
	h.Write(sealed)
	key := Digest(h.Sum(nil))
	if s, ok := l.sessions.get(&key, now); ok {
		return s
	}
	text, ok := l.seals.Open("session "+cookie, sealed)
	s := &Session{}
	if !ok || json.Unmarshal(text, s) != nil || s.Read() != nil {
		return nil
	}
	l.sessions.put(&key, now, s)
	return s
}

// Read makes the claims out of the tokens. Claims of the ID token hold against those
// of the userinfo endpoint, which must be about the same subject (OpenID Connect Core
// 1.0 §5.3.2).
func (s *Session) Read() error {
	t, err := jwt.Parse([]byte(s.ID))
	if err != nil {
		return err
	}
	values, err := t.Claims()
	if err != nil {
		return err
	}
	if len(s.UserInfo) > 0 {
		more := map[string]any{}
		if err := json.Unmarshal(s.UserInfo, &more); err != nil {
			return errors.New("the answer of the userinfo endpoint is not an object")
		}
		if more["sub"] != values["sub"] {
			return errors.New("the answer of the userinfo endpoint is about somebody else")
		}
		for name, v := range more {
			if _, has := values[name]; !has {
				values[name] = v
			}
		}
	}
	if _, has := values["scope"]; !has && s.Scope != "" {
		values["scope"] = s.Scope
	}
	s.Claims = filter.NewClaims(values)
	return nil
}
