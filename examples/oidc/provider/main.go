// Command provider is an OpenID provider for the example: it lets everybody in as
// ada, without a question, and keeps what it knows in memory. It is no provider for
// anything else.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"
)

const (
	client = "shop"
	secret = "not-a-secret-since-everybody-reads-it"
	life   = time.Hour
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: provider PORT")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	p := &provider{issuer: "http://localhost:" + os.Args[1], key: key, logins: map[string]url.Values{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", p.describe)
	mux.HandleFunc("/keys", p.keys)
	mux.HandleFunc("/authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("/logout", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.FormValue("post_logout_redirect_uri"), http.StatusFound)
	})
	s := &http.Server{Addr: "127.0.0.1:" + os.Args[1], Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(s.ListenAndServe())
}

type provider struct {
	issuer string
	key    *ecdsa.PrivateKey

	mu     sync.Mutex
	logins map[string]url.Values // guarded by mu: requests for authorization, by code
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (p *provider) describe(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]any{
		"issuer": p.issuer, "authorization_endpoint": p.issuer + "/authorize", "token_endpoint": p.issuer + "/token",
		"jwks_uri": p.issuer + "/keys", "end_session_endpoint": p.issuer + "/logout",
	})
}

func (p *provider) keys(w http.ResponseWriter, _ *http.Request) {
	point, err := p.key.PublicKey.Bytes() // 4, then both coordinates
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	reply(w, http.StatusOK, map[string]any{"keys": []any{map[string]string{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1", "x": encode(point[1:33]), "y": encode(point[33:]),
	}}})
}

// authorize sends the browser back with a code. A real provider asks who it is.
func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	q, code := r.URL.Query(), rand.Text()
	if q.Get("client_id") != client {
		http.Error(w, "there is no such client", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	p.logins[code] = q
	p.mu.Unlock()
	back := url.Values{"code": {code}, "state": {q.Get("state")}}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

// token exchanges a code, once, for who has its verifier.
func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	id, password, _ := r.BasicAuth()
	p.mu.Lock()
	q := p.logins[r.FormValue("code")]
	delete(p.logins, r.FormValue("code"))
	p.mu.Unlock()
	challenge := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if id != client || password != secret || q == nil || q.Get("code_challenge") != encode(challenge[:]) {
		reply(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	}
	now := time.Now()
	text, err := p.sign(map[string]any{
		"iss": p.issuer, "aud": client, "sub": "ada", "email": "ada@example.org", "nonce": q.Get("nonce"), "iat": now.Unix(), "exp": now.Add(life).Unix(),
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	reply(w, http.StatusOK, map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "expires_in": int(life.Seconds()), "id_token": text})
}

// sign makes a JSON Web Token (RFC 7515, RFC 7518 §3.4).
func (p *provider) sign(claims map[string]any) (string, error) {
	text, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed := encode([]byte(`{"alg":"ES256","kid":"1"}`)) + "." + encode(text)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, digest[:])
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return signed + "." + encode(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)), nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
