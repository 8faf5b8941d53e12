package e2e

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// authServer serves HTTP/1.1, and HTTP/2 without TLS.
func authServer(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// nested is a field that has a message inside, or a string.
func nested(field protowire.Number, content ...[]byte) []byte {
	var all []byte
	for _, c := range content {
		all = append(all, c...)
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), all)
}

func text(field protowire.Number, s string) []byte { return nested(field, []byte(s)) }

func number(field protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), n)
}

func headerOption(field protowire.Number, name, value string) []byte {
	return nested(field, nested(1, text(1, name), text(2, value)))
}

// authorizer answers calls of ext_authz with what answer makes of their CheckRequests.
func authorizer(t *testing.T, answer func(request string) []byte) string {
	return authServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/envoy.service.auth.v3.Authorization/Check" || r.ProtoMajor != 2 {
			http.NotFound(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		message := answer(string(body[5:]))
		w.Header().Set("Content-Type", "application/grpc")
		if message == nil {
			w.Header().Set("Grpc-Status", "14")
			return
		}
		_, _ = w.Write(frameOf(message))
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	})
}

func externalDoc(spec string) string {
	return authenticationDoc("who", "Gateway", "edge", "anyOf:\n- external:\n    backendRef: {group: gridway.dev, kind: Backend, name: auth}\n"+indent(4, spec)+
		"\nrequestHeaders: [{name: X-Groups, claim: team}]")
}

func TestExternalHTTP(t *testing.T) {
	t.Parallel()
	var asked atomic.Value
	auth := authServer(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Store(fmt.Sprint(r.Method, " ", r.Host, " ", r.RequestURI, " ", r.Header.Get("X-Forwarded-Method"), " ", r.Header.Get("X-Forwarded-Uri"), " ",
			r.Header.Get("Authorization"), " ", r.Header.Get("Cookie"), " ", r.Header.Get("X-Other")))
		switch strings.TrimPrefix(r.URL.Path, "/verify") {
		case "/ada":
			w.Header().Set("X-Consumer", "ada")
			w.Header().Set("X-Secret", "not for endpoints")
			w.Header().Add("Set-Cookie", "session=new")
			w.Header().Add("Set-Cookie", "other=1")
		case "/anybody":
		case "/login":
			w.Header().Set("Location", "https://login.example/?from=here")
			w.WriteHeader(http.StatusFound)
		case "/fails":
			w.WriteHeader(http.StatusInternalServerError)
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="auth"`)
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, "who are you?")
		}
	})
	spec := "http: {path: /verify, allowedHeaders: [Set-Cookie]}\nrequestHeaders: [Cookie]\nupstreamHeaders: [X-Consumer]"
	docs := func(spec string) string {
		return documents(edge("", headersSeen(t)), backendDoc("auth", auth), externalDoc(spec))
	}
	g := serveYAML(t, docs(spec))
	resp, body := g.get("/ada?x=1", header("Authorization", "Bearer t"), header("Cookie", "c=1"), header("X-Other", "o"), header("X-Consumer", "root"), header("X_consumer", "root"))
	want(t, resp, 200, "")
	if body != "Authorization: Bearer t\nCookie: c=1\nX-Consumer: ada\n?x=1\n" {
		t.Errorf("the endpoint saw %q", body)
	}
	if got := asked.Load(); got != "GET "+g.addr+" /verify/ada?x=1 GET /ada?x=1 Bearer t c=1 " {
		t.Errorf("the server was asked %q", got)
	}
	if got := resp.Header.Values("Set-Cookie"); fmt.Sprint(got) != "[session=new other=1]" {
		t.Errorf("the client got %q", got)
	}
	g.logged(`"path":"/ada"`, `"auth_method":"external"`)
	resp, body = g.get("/anybody", header("X-Consumer", "root"))
	if want(t, resp, 200, ""); body != "" {
		t.Errorf("the endpoint saw %q", body)
	}
	resp, body = g.get("/nobody")
	want(t, resp, 401, "ExternalDenied")
	if body != "who are you?" || resp.Header.Get("WWW-Authenticate") != `Bearer realm="auth"` || resp.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("%q, %v", body, resp.Header)
	}
	g.logged(`"path":"/nobody"`, `"reason":"ExternalDenied"`, `"policy":"default/who"`)
	g.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, _ = g.get("/login")
	if want(t, resp, 302, "ExternalDenied"); resp.Header.Get("Location") != "https://login.example/?from=here" {
		t.Error(resp.Header)
	}
	resp, _ = g.get("/fails")
	want(t, resp, 503, "IdentityUnavailable")

	g.apply(docs(spec + "\nfailOpen: true"))
	resp, body = g.get("/fails", header("X-Consumer", "root"))
	if want(t, resp, 200, ""); body != "" {
		t.Errorf("the endpoint saw %q", body)
	}
	g.logged(`"path":"/fails"`, `"fail_open":"default/who"`)
	resp, _ = g.get("/nobody")
	want(t, resp, 401, "ExternalDenied")
	for decision, n := range map[string]float64{"allowed": 2, "denied": 3, "unavailable": 2} {
		if got := g.metric("gridway_policy_decisions_total", `policy="AuthenticationPolicy/default/who"`, `decision="`+decision+`"`); got != n {
			t.Errorf("%v decisions %s, want %v", got, decision, n)
		}
	}
}

func TestExternalGRPC(t *testing.T) {
	t.Parallel()
	var fails atomic.Bool
	auth := authorizer(t, func(request string) []byte {
		switch {
		case fails.Load():
			return nil
		case !strings.Contains(request, "tenant") || !strings.Contains(request, "acme-corp"):
			return nested(1, number(1, 13))
		case strings.Contains(request, "/ada"):
			return slices.Concat(
				nested(1),
				nested(3,
					headerOption(2, "x-consumer", "ada"), headerOption(2, "content-length", "7"), headerOption(2, ":path", "/other"),
					text(5, "authorization"), headerOption(6, "x-checked", "yes"),
					nested(7, text(1, "tenant"), text(2, "a&b")), text(8, "secret")),
				nested(4, nested(1, text(1, "team"), nested(2, text(3, "blue")))),
			)
		case strings.Contains(request, "/teapot"):
			return slices.Concat(nested(1, number(1, 7)), nested(2, nested(1, number(1, 418)), headerOption(2, "x-why", "tea"), text(3, "no coffee")))
		case strings.Contains(request, "/confused"):
			return slices.Concat(nested(1), nested(2, nested(1, number(1, 403))))
		}
		return nested(1, number(1, 16))
	})
	docs := func(more string) string {
		return documents(edge("", headersSeen(t)), backendDoc("auth", auth), externalDoc("grpc: {context: {tenant: acme-corp}}\n"+more),
			authorizationDoc("team", "Gateway", "edge", "action: Deny\nrules: [{name: red, claims: [{claim: team, values: [red]}]}]"))
	}
	g := serveYAML(t, docs(""))
	for range 2 {
		resp, body := g.get("/ada?secret=1&tenant=x&a", header("Authorization", "Bearer t"), header("X_Consumer", "root"))
		want(t, resp, 200, "")
		if body != "X-Consumer: ada\nX-Groups: blue\n?a&tenant=a%26b\n" {
			t.Errorf("the endpoint saw %q", body)
		}
		if resp.Header.Get("X-Checked") != "yes" {
			t.Error(resp.Header)
		}
	}
	resp, body := g.get("/teapot")
	if want(t, resp, 418, "ExternalDenied"); body != "no coffee" || resp.Header.Get("X-Why") != "tea" {
		t.Errorf("%q, %v", body, resp.Header)
	}
	resp, body = g.get("/nobody")
	if want(t, resp, 403, "ExternalDenied"); !strings.Contains(body, `"reason":"ExternalDenied"`) {
		t.Error(body)
	}
	resp, _ = g.get("/confused")
	want(t, resp, 503, "IdentityUnavailable")

	fails.Store(true)
	resp, _ = g.get("/ada")
	want(t, resp, 503, "IdentityUnavailable")
	g.apply(docs("failOpen: true"))
	resp, body = g.get("/ada", header("X-Groups", "red"))
	if want(t, resp, 200, ""); body != "" {
		t.Errorf("the endpoint saw %q", body)
	}
}

// Nobody gets through where the backend is not there, failOpen or not.
func TestExternalUnresolved(t *testing.T) {
	t.Parallel()
	g := serveYAML(t, documents(edge("", headersSeen(t)), externalDoc("grpc: {}\nfailOpen: true")))
	resp, _ := g.get("/")
	want(t, resp, 503, "IdentityUnavailable")
	// It comes, and its server does not answer.
	g.apply(documents(edge("", headersSeen(t)), backendDoc("auth", blackhole(t)), externalDoc("http: {}\ntimeout: 50ms")))
	resp, _ = g.get("/")
	want(t, resp, 503, "IdentityUnavailable")
	g.logged(`"reason":"IdentityUnavailable"`, `"policy":"default/who"`)
}

// A caller with a key is not asked about, and one with a bad key gets no further by
// a server that has nothing to say.
func TestExternalAmongMethods(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	auth := authServer(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path != "/let" {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	g := serveYAML(t, documents(edge("", headersSeen(t)), backendDoc("auth", auth), keyed("acme", "", "first", keyA),
		authenticationDoc("who", "Gateway", "edge", "anyOf:\n- apiKey: {}\n- external: {http: {}, backendRef: {group: gridway.dev, kind: Backend, name: auth}}")))
	resp, _ := g.get("/", header("X-API-Key", keyA))
	if want(t, resp, 200, ""); asked.Load() != 0 {
		t.Error("the server was asked about a known caller")
	}
	resp, _ = g.get("/let")
	want(t, resp, 200, "")
	resp, _ = g.get("/", header("X-API-Key", keyB))
	want(t, resp, 403, "ExternalDenied")
	if got := resp.Header.Get("WWW-Authenticate"); got != "" {
		t.Error(got)
	}
}

// What was let through is not asked about again for a while, over reloads too.
func TestExternalCache(t *testing.T) {
	t.Parallel()
	var questions atomic.Int32
	auth := authorizer(t, func(request string) []byte {
		questions.Add(1)
		if !strings.Contains(request, "Bearer good") {
			return nested(1, number(1, 16))
		}
		return slices.Concat(nested(1), nested(3, headerOption(2, "x-consumer", "ada")), nested(4, nested(1, text(1, "team"), nested(2, text(3, "blue")))))
	})
	docs := func(more string) string {
		return documents(edge("", headersSeen(t)), backendDoc("auth", auth), backendDoc("more", more),
			externalDoc("grpc: {}\nupstreamHeaders: [X-Consumer]\ncache: {ttl: 10m, key: [{type: Header, name: Authorization}, {type: Path}]}"))
	}
	g := serveYAML(t, docs("127.0.0.1:1"))
	const told = "X-Consumer: ada\nX-Groups: blue\n"
	if got := g.tally(50, 10, "/a", bearer("good")); got["Authorization: Bearer good\n"+told] != 50 || questions.Load() != 1 {
		t.Errorf("%v, %d questions", got, questions.Load())
	}
	g.apply(docs("127.0.0.1:2"))
	g.apply(strings.Replace(docs("127.0.0.1:2"), "kind: HTTPRoute\nmetadata: {name: app", "kind: HTTPRoute\nmetadata: {labels: {a: b}, name: app", 1))
	resp, _ := g.get("/a", bearer("good"))
	if want(t, resp, 200, ""); questions.Load() != 1 {
		t.Errorf("%d questions after a reload", questions.Load())
	}
	for range 2 {
		resp, _ = g.get("/a", bearer("bad"))
		want(t, resp, 403, "ExternalDenied")
	}
	resp, _ = g.get("/b", bearer("good"))
	if want(t, resp, 200, ""); questions.Load() != 4 {
		t.Errorf("%d questions", questions.Load())
	}
}

// frameOf is a message with its prefix, as gRPC sends one.
func frameOf(message []byte) []byte {
	n := len(message)
	return append([]byte{0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, message...)
}

// The filter of the Gateway API comes beside a policy: both must let a request through.
func TestExternalAuthFilter(t *testing.T) {
	t.Parallel()
	var asked atomic.Value
	auth := authServer(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Store(fmt.Sprint(r.URL.Path, " ", r.Header.Get("X-Consumer"), " ", r.Header.Get("X-Api-Key"), " ", r.Header.Get("Cookie")))
		w.Header().Set("X-Groups", "checked")
		switch {
		case strings.HasSuffix(r.URL.Path, "/created"):
			w.WriteHeader(http.StatusCreated)
		case strings.HasSuffix(r.URL.Path, "/no"):
			http.Error(w, "not here", http.StatusTeapot)
		case strings.HasSuffix(r.URL.Path, "/fails"):
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	rule := func(path, http, backend string) string {
		return fmt.Sprintf(`
- matches: [{path: {value: %s}}]
  filters: [{type: ExternalAuth, externalAuth: {protocol: HTTP, http: {%s}, backendRef: {group: gridway.dev, kind: Backend, name: %s}}}]
  backendRefs: [{group: gridway.dev, kind: Backend, name: app}]`, path, http, backend)
	}
	docs := documents(gatewayDoc, ruleDoc(rule("/some", "path: /verify, allowedHeaders: [X-Consumer, Cookie], allowedResponseHeaders: [X-Groups]", "auth")+rule("/all", "", "auth")+rule("/nowhere", "", "missing")),
		backendDoc("app", headersSeen(t)), backendDoc("auth", auth), keyed("acme", "", "first", keyA),
		authenticationDoc("keys", "Gateway", "edge", "anyOf: [{apiKey: {}}]\nrequestHeaders: [{name: X-Consumer, value: Consumer}]"))
	g := serveYAML(t, docs)
	key := header("X-API-Key", keyA)
	resp, body := g.get("/some", key, header("X-Groups", "admin"), header("Cookie", "c=1"))
	if want(t, resp, 200, ""); body != "Cookie: c=1\nX-Consumer: acme\nX-Groups: checked\n" {
		t.Errorf("the endpoint saw %q", body)
	}
	if got := asked.Load(); got != "/verify/some acme  c=1" {
		t.Errorf("the server was asked %q", got)
	}
	g.logged(`"path":"/some"`, `"auth_method":"apiKey"`, `"consumer":"default/acme"`)
	resp, body = g.post("/all/x", "a body", key, header("Content-Type", "text/csv"))
	if want(t, resp, 200, ""); body != "X-Consumer: acme\nX-Groups: checked\n" {
		t.Errorf("the endpoint saw %q", body)
	}
	for _, c := range []struct {
		path, reason string
		status       int
		edits        []edit
	}{
		{"/some", "Unauthenticated", 401, nil},
		{"/some/no", "ExternalDenied", 418, []edit{key}},
		{"/some/created", "ExternalDenied", 403, []edit{key}},
		{"/some/fails", "AuthorizationUnavailable", 503, []edit{key}},
		{"/nowhere", "BackendInvalid", 500, []edit{key}},
	} {
		resp, _ := g.get(c.path, c.edits...)
		if resp.StatusCode != c.status || resp.Header.Get("X-Gridway-Reason") != c.reason {
			t.Errorf("%s: %d %s, want %d %s", c.path, resp.StatusCode, resp.Header.Get("X-Gridway-Reason"), c.status, c.reason)
		}
	}
}

// A server may see a request's body, or its beginning; the endpoint gets all of it.
func TestExternalBody(t *testing.T) {
	t.Parallel()
	var asked atomic.Value
	auth := authorizer(t, func(request string) []byte {
		asked.Store(request)
		if strings.Contains(request, "forbidden") {
			return nested(1, number(1, 7))
		}
		return nested(1)
	})
	app := authServer(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%d %v %x", len(body), err, sha256.Sum256(body))
	})
	docs := func(body string) string {
		return documents(edge("", app), backendDoc("auth", auth), externalDoc("grpc: {}\nbody: "+body))
	}
	g := serveYAML(t, docs("{maxBytes: 100}"))
	seen := func(body []byte) string { return fmt.Sprintf("%d <nil> %x", len(body), sha256.Sum256(body)) }
	long := bytes.Repeat([]byte("0123456789abcdef"), 20000)
	clients := map[string]*http.Client{"HTTP/1.1": g.client, "HTTP/2": http2Client(t, nil)}
	send := func(client *http.Client, body io.Reader, edits ...edit) (*http.Response, string) {
		t.Helper()
		resp, err := client.Do(g.request("POST", "/", body, edits...))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(text)
	}
	chunked := func(body []byte) io.Reader { return struct{ io.Reader }{bytes.NewReader(body)} }
	for name, client := range clients {
		for _, body := range [][]byte{[]byte("short"), long[:100]} {
			for form, r := range map[string]io.Reader{"whole": bytes.NewReader(body), "in chunks": chunked(body), "slowly": &trickling{body: body}} {
				resp, got := send(client, r, func(r *http.Request) {
					if form == "slowly" {
						r.Header.Set("Expect", "100-continue")
					}
				})
				if want(t, resp, 200, ""); got != seen(body) || !strings.Contains(asked.Load().(string), string(body)) {
					t.Errorf("%s, %d bytes %s: %s", name, len(body), form, got)
				}
			}
		}
		resp, _ := send(client, strings.NewReader("a forbidden word"))
		want(t, resp, 403, "ExternalDenied")
		for _, r := range []io.Reader{bytes.NewReader(long[:101]), chunked(long[:2000])} {
			resp, _ := send(client, r)
			want(t, resp, 413, "BodyTooLarge")
		}
	}
	g.apply(docs("{maxBytes: 100, allowPartial: true}"))
	for name, client := range clients {
		for _, r := range []io.Reader{bytes.NewReader(long), chunked(long), &trickling{body: long}} {
			resp, got := send(client, r)
			question := asked.Load().(string)
			if want(t, resp, 200, ""); got != seen(long) || !strings.Contains(question, "x-envoy-auth-partial-body\x12\x04true") || strings.Count(question, "0123456789abcdef") != 6 {
				t.Errorf("%s: %s, asked %q", name, got, question)
			}
		}
		resp, got := send(client, nil)
		if want(t, resp, 200, ""); got != seen(nil) {
			t.Errorf("%s, nothing: %s", name, got)
		}
	}
}

// trickling gives a body in pieces.
type trickling struct{ body []byte }

func (r *trickling) Read(p []byte) (int, error) {
	if len(r.body) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.body[:min(len(r.body), 1+len(r.body)/3)])
	r.body = r.body[n:]
	return n, nil
}

// Servers are asked about requests of every version, and see their bodies.
func TestExternalVersions(t *testing.T) {
	t.Parallel()
	auth := authorizer(t, func(request string) []byte {
		if strings.Contains(request, "forbidden") || !strings.Contains(request, "a.example") {
			return nested(1, number(1, 7))
		}
		return slices.Concat(nested(1), nested(3, headerOption(2, "x-consumer", "ada"), headerOption(6, "x-checked", "yes")))
	})
	app := authServer(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", r.Header.Get("X-Consumer"), body)
	})
	g := http3Edge(t, "http3: {}", routeDoc("app", ""), backendDoc("app", app), backendDoc("auth", auth), externalDoc("grpc: {}\nbody: {}"))
	config := &tls.Config{ServerName: "a.example", InsecureSkipVerify: true}
	first := &http.Client{Transport: &http.Transport{TLSClientConfig: config}, Timeout: 4 * patience}
	t.Cleanup(first.CloseIdleConnections)
	for version, client := range map[string]*http.Client{"1.1": first, "2": overHTTP2(t, config.Clone()), "3": overHTTP3(t, "a.example")} {
		for _, c := range []struct {
			body, want string
			status     int
		}{{"a word", "ada a word", 200}, {"a forbidden word", "", 403}, {strings.Repeat("long", 3000), "", 413}} {
			req := g.request("POST", "/", strings.NewReader(c.body), host("a.example"))
			req.URL.Scheme, req.URL.Host = "https", g.addr
			resp, err := client.Do(req)
			if err != nil {
				t.Fatalf("HTTP/%s: %v", version, err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != c.status || c.want != "" && (string(got) != c.want || resp.Header.Get("X-Checked") != "yes") {
				t.Errorf("HTTP/%s: %d %v %s", version, resp.StatusCode, err, got)
			}
		}
	}
}
