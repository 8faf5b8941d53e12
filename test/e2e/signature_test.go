package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const signingSecret = "0123456789abcdef0123456789abcdef"

// signed signs requests by the RFC's words alone, not by what the gateway has for it.
type signed struct {
	keyid, secret, nonce string
	created              time.Time
	// body is what Content-Digest says the body is.
	body string
	// change is done to the request once it is signed.
	change edit
}

func (s signed) edit(r *http.Request) {
	digest := sha256.Sum256([]byte(s.body))
	covered := []string{"@method", "@authority", "@path"}
	values := map[string]string{"@method": r.Method, "@authority": r.Host, "@path": r.URL.EscapedPath()}
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		covered, values["@query"] = append(covered, "@query"), "?"+r.URL.RawQuery
	}
	if s.body != "" {
		r.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(digest[:])+":")
		covered, values["content-digest"] = append(covered, "content-digest"), r.Header.Get("Content-Digest")
	}
	var base strings.Builder
	for _, name := range covered {
		fmt.Fprintf(&base, "%q: %s\n", name, values[name])
	}
	params := fmt.Sprintf(`("%s");created=%d;keyid=%q`, strings.Join(covered, `" "`), s.created.Unix(), s.keyid)
	if s.nonce != "" {
		params += fmt.Sprintf(";nonce=%q", s.nonce)
	}
	fmt.Fprintf(&base, `"@signature-params": %s`, params)
	h := hmac.New(sha256.New, []byte(s.secret))
	h.Write([]byte(base.String()))
	r.Header.Set("Signature-Input", "sig1="+params)
	r.Header.Set("Signature", "sig1=:"+base64.StdEncoding.EncodeToString(h.Sum(nil))+":")
	if s.change != nil {
		s.change(r)
	}
}

func signer(name string) string {
	return fmt.Sprintf(`apiVersion: gridway.dev/v1alpha1
kind: Consumer
metadata: {name: %s}
spec: {credentials: [{name: first, hmac: {secretRef: {name: %s}}}]}
---
apiVersion: v1
kind: Secret
metadata: {name: %s}
stringData: {key: %q}
`, name, name, name, signingSecret)
}

func TestMessageSignatures(t *testing.T) {
	t.Parallel()
	var whole atomic.Int32
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			whole.Add(1)
		}
		fmt.Fprintf(w, "%s %s%s", r.Header.Get("X-Consumer"), r.Header.Get("Signature"), r.Header.Get("Signature-Input"))
	})
	g := http3Edge(t, "http3: {}", routeDoc("app", ""), backendDoc("app", app.addr), signer("acme"),
		authenticationDoc("signed", "Gateway", "edge", "anyOf: [{hmac: {}}]\nrequestHeaders: [{name: X-Consumer, value: Consumer}]"))
	config := &tls.Config{ServerName: "a.example", InsecureSkipVerify: true}
	first := &http.Client{Transport: &http.Transport{TLSClientConfig: config}, Timeout: 4 * patience}
	t.Cleanup(first.CloseIdleConnections)
	for version, client := range map[string]*http.Client{"1.1": first, "2": overHTTP2(t, config.Clone()), "3": overHTTP3(t, "a.example")} {
		n := 0
		ask := func(path, body string, s *signed) (*http.Response, string) {
			t.Helper()
			var send io.Reader
			if body != "" {
				send = strings.NewReader(body)
			}
			req := g.request("POST", path, send, host("a.example"))
			req.URL.Scheme, req.URL.Host = "https", g.addr
			if s != nil {
				n++
				if s.created.IsZero() {
					s.created = time.Now()
				}
				if s.nonce == "" {
					s.nonce = fmt.Sprintf("%s-%d", version, n)
				}
				if s.secret == "" {
					s.keyid, s.secret = "acme", signingSecret
				}
				s.edit(req)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatalf("HTTP/%s: %s: %v", version, path, err)
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return resp, string(text)
		}
		long := strings.Repeat("0123456789", 30_000)
		for path, body := range map[string]string{"/a": "", "/b%2fc/../d?x=%7e&y=a+b&z": "", "/e": "a body", "/f?": long} {
			resp, text := ask(path, body, &signed{body: body})
			want(t, resp, 200, "")
			if text != "acme " {
				t.Errorf("HTTP/%s: the endpoint saw %q", version, text)
			}
		}
		resp, _ := ask("/none", "", nil)
		want(t, resp, 401, "Unauthenticated")
		if got := resp.Header.Get("WWW-Authenticate"); got != `Signature realm="gridway"` {
			t.Errorf("HTTP/%s: %q", version, got)
		}
		if got := resp.Header.Get("Accept-Signature"); got != `sig1=("@method" "@authority" "@path");created` {
			t.Errorf("HTTP/%s: %s", version, got)
		}
		for _, c := range []struct {
			name, path, body string
			s                signed
			why              string
		}{
			{"another path", "/x", "", signed{change: func(r *http.Request) { r.URL.Path = "/y" }}, "the credential is not accepted"},
			{"another query", "/x?a", "", signed{change: func(r *http.Request) { r.URL.RawQuery = "b" }}, "the credential is not accepted"},
			{"a query added", "/x", "", signed{change: func(r *http.Request) { r.URL.RawQuery = "b" }}, "the signature must cover @query"},
			{"another secret", "/x", "", signed{keyid: "acme", secret: "another secret of some length"}, "the credential is not accepted"},
			{"nobody", "/x", "", signed{keyid: "nobody", secret: signingSecret}, "the credential is not accepted"},
			{"old", "/x", "", signed{created: time.Now().Add(-time.Hour)}, "the signature is too old"},
			{"a body that is not covered", "/x", "a body", signed{}, "the signature must cover content-digest"},
			{"malformed", "/x", "", signed{change: header("Signature-Input", "sig1=(@method)")}, "Signature-Input has a component that is no string, or not in lower case"},
		} {
			resp, text := ask(c.path, c.body, &c.s)
			want(t, resp, 401, "InvalidCredential")
			if !strings.Contains(text, `"detail":"`+c.why+`"`) {
				t.Errorf("HTTP/%s: %s: %s", version, c.name, text)
			}
		}
		before := whole.Load()
		for _, body := range []string{"another body", long[1:] + "!"} {
			resp, text := ask("/x", body, &signed{body: strings.Repeat("x", len(body))})
			want(t, resp, 400, "BadRequest")
			if !strings.Contains(text, "the body is not what Content-Digest says") {
				t.Errorf("HTTP/%s: %s", version, text)
			}
		}
		if whole.Load() != before {
			t.Errorf("HTTP/%s: an endpoint got all of a body that is not the one that was signed", version)
		}
		once := signed{nonce: "once-" + version}
		resp, _ = ask("/once", "", &once)
		want(t, resp, 200, "")
		resp, _ = ask("/once", "", &once)
		want(t, resp, 401, "InvalidCredential")
		if line := g.logged(`"path":"/once"`, `"auth_method":"hmac"`, `"consumer":"default/acme"`); strings.Contains(line, "sig1") {
			t.Error(line)
		}
	}
}

// What was used stays used over reloads, and a secret that is replaced is replaced at
// once.
func TestSignaturesOverReloads(t *testing.T) {
	t.Parallel()
	yaml := documents(edge("", headersSeen(t)), signer("acme"),
		authenticationDoc("signed", "Gateway", "edge", "anyOf: [{hmac: {}}, {apiKey: {}}]"), keyed("other", "", "k", keyA))
	g := serveYAML(t, yaml)
	once := signed{keyid: "acme", secret: signingSecret, created: time.Now()}
	resp, _ := g.get("/", once.edit)
	want(t, resp, 200, "")
	g.apply(yaml + "---\n" + backendDoc("unused", "127.0.0.1:1"))
	resp, _ = g.get("/", once.edit)
	want(t, resp, 401, "InvalidCredential")
	// Another method may accept the request yet.
	resp, _ = g.get("/", once.edit, header("X-API-Key", keyA))
	want(t, resp, 200, "")
	next := signed{keyid: "acme", secret: "fedcba9876543210", nonce: "a", created: time.Now()}
	g.apply(strings.Replace(yaml, signingSecret, next.secret, 1))
	resp, _ = g.get("/", next.edit)
	want(t, resp, 200, "")
	old := signed{keyid: "acme", secret: signingSecret, nonce: "b", created: time.Now()}
	resp, _ = g.get("/", old.edit)
	want(t, resp, 401, "InvalidCredential")
}

// Where signatures may be older than before, those that were used and forgotten are
// not new again.
func TestOlderSignaturesAfterAReload(t *testing.T) {
	t.Parallel()
	yaml := func(age string) string {
		return documents(edge("", headersSeen(t)), signer("acme"), authenticationDoc("signed", "Gateway", "edge", "anyOf: [{hmac: {maxAge: "+age+", clockSkew: 0s}}]"))
	}
	g := serveYAML(t, yaml("3s"))
	once := signed{keyid: "acme", secret: signingSecret, created: time.Now()}
	resp, _ := g.get("/", once.edit)
	want(t, resp, 200, "")
	eventually(t, "the signature is too old", func() bool {
		resp, body := g.get("/", once.edit)
		return resp.StatusCode == 401 && strings.Contains(body, "too old")
	})
	g.apply(yaml("1h"))
	for range 2 {
		resp, body := g.get("/", once.edit)
		want(t, resp, 401, "InvalidCredential")
		if !strings.Contains(body, "the signature is too old") {
			t.Error(body)
		}
	}
	next := signed{keyid: "acme", secret: signingSecret, created: time.Now()}
	resp, _ = g.get("/", next.edit)
	want(t, resp, 200, "")
	resp, _ = g.get("/", next.edit)
	want(t, resp, 401, "InvalidCredential")
}

// With buffering an endpoint sees nothing of a body that is not the one signed.
func TestSignedBodiesBuffered(t *testing.T) {
	t.Parallel()
	var seen atomic.Int32
	app := serve(t, func(http.ResponseWriter, *http.Request) { seen.Add(1) })
	g := serveYAML(t, documents(edge("buffer: {requestBytes: 65536}", app.addr), signer("acme"),
		authenticationDoc("signed", "Gateway", "edge", "anyOf: [{hmac: {}}]")))
	s := signed{keyid: "acme", secret: signingSecret, created: time.Now(), nonce: "a", body: "the body that is signed"}
	resp, _ := g.post("/", "another body than that", s.edit)
	want(t, resp, 400, "BadRequest")
	if seen.Load() != 0 {
		t.Error("the endpoint saw the request")
	}
	s.nonce = "b"
	resp, _ = g.post("/", s.body, s.edit)
	want(t, resp, 200, "")
}
