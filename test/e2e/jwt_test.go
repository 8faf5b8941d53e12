package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// issuer is a server that makes tokens and says how they are verified.
type issuer struct {
	*httptest.Server
	t         *testing.T
	fetched   atomic.Int32
	mu        sync.Mutex        // guards what follows
	signing   jose.JSONWebKey   // private
	published []jose.JSONWebKey // public
}

func newIssuer(t *testing.T) *issuer {
	s := &issuer{t: t}
	s.rotate()
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, s.URL, s.URL+"/keys")
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		s.fetched.Add(1)
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: s.published})
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// rotate signs with a new key from now on, and publishes it beside the one before.
func (s *issuer) rotate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signing = jose.JSONWebKey{Key: key, KeyID: fmt.Sprint("key", time.Now().UnixNano()), Algorithm: "ES256", Use: "sig"}
	s.published = append(s.published, s.signing.Public())
	if n := len(s.published); n > 2 {
		s.published = s.published[n-2:]
	}
}

// token has claims beside those that it needs.
func (s *issuer) token(more map[string]any) string {
	s.mu.Lock()
	key := s.signing
	s.mu.Unlock()
	return s.signed(key, more)
}

func (s *issuer) signed(key jose.JSONWebKey, more map[string]any) string {
	claims := map[string]any{"iss": s.URL, "sub": "ada", "aud": "shop", "exp": time.Now().Add(time.Hour).Unix()}
	for name, v := range more {
		claims[name] = v
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	text, _ := json.Marshal(claims)
	signed, err := signer.Sign(text)
	if err != nil {
		s.t.Fatal(err)
	}
	out, _ := signed.CompactSerialize()
	return out
}

func bearer(token string) edit { return header("Authorization", "Bearer "+token) }

// tokens is a policy that has the issuer's keys discovered.
func (s *issuer) policy(more string) string {
	return authenticationDoc("tokens", "Gateway", "edge", fmt.Sprintf(`
anyOf:
- jwt:
    issuers:
    - issuer: %q
      audiences: [shop]
      keys: {discovery: {}}
%s
requestHeaders: [{name: X-Consumer, claim: sub}, {name: X-Groups, claim: /realm/roles}]`, s.URL, indent(6, more)))
}

func TestJWT(t *testing.T) {
	t.Parallel()
	s, addr := newIssuer(t), headersSeen(t)
	g := serveYAML(t, documents(edge("", addr), s.policy("consumer: {claim: azp}\nrequiredClaims: [{claim: scope, values: [read]}]"), keyed("acme", "", "first", keyA)))
	resp, _ := g.get("/none")
	want(t, resp, 401, "Unauthenticated")
	if got := resp.Header.Get("WWW-Authenticate"); got != `Bearer realm="gridway"` {
		t.Error(got)
	}
	scope := map[string]any{"scope": "read write", "azp": "acme", "realm": map[string]any{"roles": []string{"a", "b"}}}
	token := s.token(scope)
	for range 2 {
		resp, body := g.get("/right", bearer(token), header("x_consumer", "root"), header("X-Groups", "admin"))
		want(t, resp, 200, "")
		if body != "X-Consumer: ada\nX-Groups: a,b\n" {
			t.Errorf("the endpoint saw %q", body)
		}
	}
	if line := g.logged(`"path":"/right"`, `"auth_method":"jwt"`, `"consumer":"default/acme"`); strings.Contains(line, token) {
		t.Error(line)
	}
	stranger := newIssuer(t)
	for name, bad := range map[string]string{
		"of a stranger": stranger.token(scope), "in the issuer's name": strings.Replace(stranger.token(map[string]any{"iss": s.URL, "scope": "read"}), "x", "x", 1),
		"without the claim": s.token(nil), "for others": s.token(map[string]any{"scope": "read", "aud": "bank"}),
		"expired": s.token(map[string]any{"scope": "read", "exp": time.Now().Add(-2 * time.Minute).Unix()}), "opaque": "opaque",
		"cut": token[:len(token)-10], "none": "eyJhbGciOiJub25lIn0." + strings.Split(token, ".")[1] + ".",
	} {
		resp, body := g.get("/wrong", bearer(bad))
		want(t, resp, 401, "InvalidCredential")
		if got := resp.Header.Get("WWW-Authenticate"); got != `Bearer realm="gridway", error="invalid_token"` || strings.Contains(body, "expired") {
			t.Errorf("%s: %s, %s", name, got, body)
		}
	}
	if n := stranger.fetched.Load(); n != 0 {
		t.Errorf("a stranger was asked %d times", n)
	}
}

// Keys change while requests come, with reloads in between, and none of them fails.
func TestJWTRotation(t *testing.T) {
	t.Parallel()
	s, addr := newIssuer(t), headersSeen(t)
	yaml := documents(edge("", addr), s.policy(""))
	g := serveYAML(t, yaml)
	var done atomic.Bool
	var all sync.WaitGroup
	var served atomic.Int64
	for range 4 {
		all.Go(func() {
			for !done.Load() {
				resp, body := g.get("/", bearer(s.token(nil)))
				if served.Add(1); resp.StatusCode != 200 {
					t.Errorf("%d %s", resp.StatusCode, body)
				}
			}
		})
	}
	served.Store(0)
	for step := range 4 {
		before := served.Load()
		eventually(t, "requests", func() bool { return served.Load() > before+20 })
		if step%2 == 0 {
			s.rotate()
		} else {
			g.apply(yaml + fmt.Sprintf("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x%d}\n", step))
		}
	}
	done.Store(true)
	all.Wait()
	// A change of the configuration fetches nothing, a rotation once.
	if n := s.fetched.Load(); n != 3 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

// Keys that were fetched stay when the issuer is gone, and its tokens are accepted,
// new ones too; what nobody can verify is refused, and what nobody ever could is
// told to come back.
func TestJWTIssuerDown(t *testing.T) {
	t.Parallel()
	s, addr := newIssuer(t), headersSeen(t)
	yaml := documents(edge("", addr), s.policy(""))
	g := serveYAML(t, yaml)
	resp, _ := g.get("/", bearer(s.token(nil)))
	want(t, resp, 200, "")
	s.Close()
	g.apply(yaml + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")
	for range 3 {
		resp, _ = g.get("/", bearer(s.token(map[string]any{"jti": time.Now().UnixNano()})))
		want(t, resp, 200, "")
	}
	s.rotate()
	resp, _ = g.get("/", bearer(s.token(nil)))
	want(t, resp, 401, "InvalidCredential")

	down := newIssuer(t)
	down.Close()
	g = serveYAML(t, documents(edge("", addr), down.policy("")))
	resp, _ = g.get("/", bearer(down.token(nil)))
	want(t, resp, 503, "IdentityUnavailable")
	resp, _ = g.get("/")
	want(t, resp, 401, "Unauthenticated")
}

// Tokens of keys that nobody has reach the issuer a few times, however many come,
// and others go on.
func TestJWTUnknownKeys(t *testing.T) {
	t.Parallel()
	s, addr := newIssuer(t), headersSeen(t)
	g := serveYAML(t, documents(edge("", addr), s.policy("")))
	resp, _ := g.get("/", bearer(s.token(nil)))
	want(t, resp, 200, "")
	begin := time.Now()
	g.parallel(200, 4, func(i int) {
		stranger := s.signing
		stranger.KeyID = fmt.Sprint("unknown", i)
		if resp, _ := g.get("/", bearer(s.signed(stranger, map[string]any{"jti": i}))); resp.StatusCode != 401 {
			t.Errorf("a token of a key that nobody has: %d", resp.StatusCode)
		}
		if resp, _ := g.get("/", bearer(s.token(map[string]any{"jti": i}))); resp.StatusCode != 200 {
			t.Errorf("a good one in between: %d", resp.StatusCode)
		}
	})
	// Once at the beginning, four times at once, and every ten seconds since.
	if n, most := s.fetched.Load(), 5+int32(time.Since(begin)/(10*time.Second)); n > most {
		t.Errorf("the keys were fetched %d times, %d at most", n, most)
	}
}
