// Package signintest has an OpenID provider for tests.
package signintest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/jwt"
)

// IDP is a provider that says what a test wants. Its one client is "console", with the
// secret "s&cret"; the only code is "good".
type IDP struct {
	t   testing.TB
	URL string

	mu sync.Mutex // guards what follows
	// Gone: it answers 503.
	Gone   bool
	Signer *jwt.Signer
	// Claims changes those of ID tokens, made from good ones; nil is removed.
	Claims func(c map[string]any)
	// Token changes an ID token, Type is its type.
	Token func(text string) string
	Type  string
	// UserInfo is what the userinfo endpoint says.
	UserInfo string
	// Names: it promises "iss" in its answers (RFC 9207).
	Names bool
	// Form is what the token endpoint was asked last.
	Form url.Values
	// nonce and challenge are of the last login.
	nonce, challenge string
}

// New starts one, which ends with the test.
func New(t testing.TB) *IDP {
	t.Helper()
	p := &IDP{t: t, Signer: NewSigner(t), Type: "JWT"}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	p.URL = s.URL
	return p
}

// NewSigner has a new key.
func NewSigner(t testing.TB) *jwt.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s, err := jwt.NewSigner(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), jwt.ES256, "JWT", "at+jwt")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Set changes it while it serves.
func (p *IDP) Set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func (p *IDP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Gone {
		w.WriteHeader(503)
		return
	}
	say := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		say(map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/auth?tenant=1", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
			"userinfo_endpoint": p.URL + "/userinfo", "end_session_endpoint": p.URL + "/logout", "authorization_response_iss_parameter_supported": p.Names,
		})
	case "/keys":
		_, _ = w.Write(jwt.PublicSet([]*jwt.Signer{p.Signer}))
	case "/userinfo":
		_, _ = io.WriteString(w, p.UserInfo)
	case "/token":
		_ = r.ParseForm()
		p.Form = r.PostForm
		id, secret, _ := r.BasicAuth()
		sum := sha256.Sum256([]byte(p.Form.Get("code_verifier")))
		if id != "console" || secret != "s%26cret" || p.Form.Get("code") != "good" || base64.RawURLEncoding.EncodeToString(sum[:]) != p.challenge {
			w.WriteHeader(400)
			say(map[string]any{"error": "invalid_grant"})
			return
		}
		say(map[string]any{"access_token": "access", "token_type": "bearer", "id_token": p.idToken()})
	default:
		w.WriteHeader(404)
	}
}

func (p *IDP) idToken() string {
	now := time.Now().Unix()
	c := map[string]any{"iss": p.URL, "aud": "console", "sub": "1815", "nonce": p.nonce, "iat": now, "exp": now + 300, "groups": []string{"sre"}, "preferred_username": "ada"}
	if p.Claims != nil {
		p.Claims(c)
	}
	for name, v := range c {
		if v == nil {
			delete(c, name)
		}
	}
	body, err := json.Marshal(c)
	if err != nil {
		p.t.Error(err)
	}
	text, err := p.Signer.Sign(p.Type, body)
	if err != nil {
		p.t.Error(err)
	}
	if p.Token != nil {
		return p.Token(string(text))
	}
	return string(text)
}

// Expect has it take the login that leads to an address, and is its state.
func (p *IDP) Expect(to string) (state string) {
	p.t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		p.t.Fatal(err)
	}
	q := u.Query()
	p.Set(func() { p.nonce, p.challenge = q.Get("nonce"), q.Get("code_challenge") })
	return q.Get("state")
}
