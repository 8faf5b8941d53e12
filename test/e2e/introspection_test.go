package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// introspector is a server that says what tokens are (RFC 7662).
type introspector struct {
	addr  string
	asked atomic.Int32
	// hold, if it is set, is waited for before each answer.
	hold chan struct{}
	mu   sync.Mutex        // guards what follows
	says map[string]string // by token
	last string
}

func newIntrospector(t *testing.T) *introspector {
	s := &introspector{says: map[string]string{}}
	s.addr = authServer(t, func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		if s.hold != nil {
			<-s.hold
		}
		_ = r.ParseForm()
		id, secret, ok := r.BasicAuth()
		if !ok {
			id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.last = fmt.Sprintf("%s %s %s %s hint=%s", r.Method, r.URL.Path, r.Header.Get("Content-Type"), r.Header.Get("Accept"), r.PostForm.Get("token_type_hint"))
		if id != "gate%2Fway" && id != "gate/way" || secret != "s%3Acret" && secret != "s:cret" {
			w.WriteHeader(401)
			return
		}
		says, known := s.says[r.PostForm.Get("token")]
		if !known {
			says = `{"active": false}`
		}
		if says == "broken" {
			w.WriteHeader(500)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, says)
	})
	return s
}

func (s *introspector) set(token, says string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.says[token] = says
}

// docs are the policy, with more in it, the server and the secret.
func (s *introspector) docs(client, more string) string {
	return documents(
		authenticationDoc("tokens", "Gateway", "edge", `
anyOf:
- oauth2Introspection:
    backendRef: {group: gridway.dev, kind: Backend, name: idp}
    path: /oauth/introspect
    client: {id: gate/way, secretRef: {name: idp}`+client+`}
`+indent(4, more)+`
requestHeaders: [{name: X-Consumer, value: Consumer}, {name: X-Groups, claim: sub}]`),
		backendDoc("idp", s.addr), "apiVersion: v1\nkind: Secret\nmetadata: {name: idp}\nstringData: {key: \"s:cret\"}\n", keyed("acme", "", "first", keyA),
	)
}

func TestIntrospection(t *testing.T) {
	t.Parallel()
	for _, client := range []string{"", ", method: Post"} {
		s, addr := newIntrospector(t), headersSeen(t)
		g := serveYAML(t, documents(edge("", addr), s.docs(client, "issuer: https://idp.example\naudiences: [shop]\nrequiredClaims: [{claim: scope, values: [orders]}]\nconsumer: {claim: client_id}")))
		const good = `"active": true, "iss": "https://idp.example", "aud": ["shop"], "scope": "orders x", "sub": "ada", "client_id": "acme"`
		now := time.Now().Unix()
		for token, says := range map[string]string{
			"good+/=~": "{" + good + fmt.Sprintf(`, "exp": %d}`, now+100), "no-end": "{" + good + "}", "over": "{" + good + fmt.Sprintf(`, "exp": %d}`, now-100),
			"early": "{" + good + fmt.Sprintf(`, "nbf": %d}`, now+100), "issuer": strings.Replace("{"+good+"}", "idp.", "evil.", 1),
			"audience": strings.Replace("{"+good+"}", "shop", "bank", 1), "scope": strings.Replace("{"+good+"}", "orders", "other", 1), "inactive": `{"active": false, "sub": "ada"}`,
			"no-answer": "{}", "text": `{"active": "true"}`, "twice": `{"active": false, "active": true}`, "list": "[]", "broken": "broken",
			"long": `{"active": true, "x": "` + strings.Repeat("x", 70<<10) + `"}`, "bad-time": "{" + good + `, "exp": "tomorrow"}`,
		} {
			s.set(token, says)
		}
		resp, _ := g.get("/none")
		want(t, resp, 401, "Unauthenticated")
		if s.asked.Load() != 0 {
			t.Error("the server is asked about nothing")
		}
		for _, token := range []string{"good+/=~", "no-end"} {
			for range 3 {
				resp, body := g.get("/", bearer(token), header("X-Consumer", "root"))
				want(t, resp, 200, "")
				if body != "X-Consumer: acme\nX-Groups: ada\n" {
					t.Errorf("%s: the endpoint saw %q", token, body)
				}
			}
		}
		if n := s.asked.Load(); n != 2 {
			t.Errorf("asked %d times about two tokens", n)
		}
		if s.last != "POST /oauth/introspect application/x-www-form-urlencoded application/json hint=access_token" {
			t.Error(s.last)
		}
		for _, token := range []string{"over", "early", "issuer", "audience", "scope", "inactive", "unknown", "bad-time"} {
			resp, _ := g.get("/", bearer(token))
			want(t, resp, 401, "InvalidCredential")
			if got := resp.Header.Get("WWW-Authenticate"); got != `Bearer realm="gridway", error="invalid_token"` {
				t.Errorf("%s: %s", token, got)
			}
		}
		before := s.asked.Load()
		for range 3 {
			g.get("/", bearer("unknown"))
		}
		if s.asked.Load() != before {
			t.Error("a token that is not active is asked about again")
		}
		for _, token := range []string{"no-answer", "text", "twice", "list", "broken", "long"} {
			resp, _ := g.get("/", bearer(token))
			want(t, resp, 503, "IdentityUnavailable")
		}
		if line := g.logged(`"auth_method":"oauth2Introspection"`, `"consumer":"default/acme"`); strings.Contains(line, "good+") {
			t.Error(line)
		}
	}
}

// However many requests bring a token, one question is asked; what is remembered
// outlives the server, and a reload, but not its time.
func TestIntrospectionIsAskedOnce(t *testing.T) {
	t.Parallel()
	s, addr := newIntrospector(t), headersSeen(t)
	s.hold = make(chan struct{})
	s.set("good", `{"active": true, "sub": "ada"}`)
	yaml := documents(edge("", addr), s.docs("", "cache: {ttl: 1h}"))
	g := serveYAML(t, yaml)
	var wg sync.WaitGroup
	var passed atomic.Int32
	for range 20 {
		wg.Go(func() {
			if resp, _ := g.get("/", bearer("good")); resp.StatusCode == 200 {
				passed.Add(1)
			}
		})
	}
	eventually(t, "the server is asked", func() bool { return s.asked.Load() > 0 })
	close(s.hold)
	wg.Wait()
	if s.asked.Load() != 1 || passed.Load() != 20 {
		t.Errorf("asked %d times, %d of 20 got through", s.asked.Load(), passed.Load())
	}
	s.set("good", "broken")
	g.apply(yaml + "---\n" + backendDoc("unused", "127.0.0.1:1"))
	resp, _ := g.get("/", bearer("good"))
	want(t, resp, 200, "")
	resp, _ = g.get("/", bearer("new"), header("X-Other", "1"))
	want(t, resp, 401, "InvalidCredential")
	// Another secret is another question, which the server refuses to answer.
	g.apply(strings.Replace(yaml, `key: "s:cret"`, `key: "other"`, 1))
	resp, _ = g.get("/", bearer("good"))
	want(t, resp, 503, "IdentityUnavailable")
}

// Without memory each request is a question, and a server that is gone lets nobody in.
func TestIntrospectionWithoutMemory(t *testing.T) {
	t.Parallel()
	s, addr := newIntrospector(t), headersSeen(t)
	s.set("good", `{"active": true, "sub": "ada"}`)
	g := serveYAML(t, documents(edge("", addr), s.docs("", "cache: {ttl: 0s, negativeTTL: 0s}\ntimeout: 200ms")))
	for range 3 {
		resp, _ := g.get("/", bearer("good"))
		want(t, resp, 200, "")
		resp, _ = g.get("/", bearer("bad"))
		want(t, resp, 401, "InvalidCredential")
	}
	if n := s.asked.Load(); n != 6 {
		t.Errorf("asked %d times for six requests", n)
	}
	s.set("good", `{"active": false}`)
	resp, _ := g.get("/", bearer("good"))
	want(t, resp, 401, "InvalidCredential")
	s.hold = make(chan struct{})
	defer close(s.hold)
	resp, _ = g.get("/", bearer("good"))
	want(t, resp, 503, "IdentityUnavailable")
}
