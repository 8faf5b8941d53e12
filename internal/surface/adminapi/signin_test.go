package adminapi_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/signin"
	"github.com/gridway/gridway/internal/surface/signin/signintest"
)

const consoleHost = "gw.example"

// withLogin has people log in at a provider, to a console at https://gw.example.
func withLogin(t *testing.T, opt *adminapi.Options) *signintest.IDP {
	t.Helper()
	idp, with := withReplicas(t, nil)
	with(opt)
	return idp
}

// withReplicas is withLogin for several processes, which share secrets.
func withReplicas(t *testing.T, secrets [][]byte) (*signintest.IDP, func(*adminapi.Options)) {
	t.Helper()
	idp := signintest.New(t)
	return idp, func(opt *adminapi.Options) {
		opt.SignIn = signin.New(signin.Options{Secrets: secrets, Settings: &signin.Settings{
			Issuer: idp.URL, ClientID: "console", ClientSecret: []byte("s&cret"), Console: &url.URL{Scheme: "https", Host: consoleHost, Path: "/console/"},
			Name: "Example", Scopes: []string{"openid"}, Roles: signin.Roles{Of: map[access.Role][]string{access.Viewer: {"*"}}}, Life: 8 * time.Hour,
		}})
		t.Cleanup(opt.SignIn.Close)
	}
}

// post is what the console sends to the address that browsers know.
func post(t *testing.T, base, path, body string, cookies ...string) (status int, header http.Header, text string) {
	t.Helper()
	h := jsonType.Clone()
	if len(cookies) > 0 {
		h.Set("Cookie", strings.Join(cookies, "; "))
	}
	return request{method: "POST", path: path, body: body, header: h, host: consoleHost}.do(t, base)
}

// beginLogin is the cookie of a login that was begun, and its state.
func beginLogin(t *testing.T, base string, idp *signintest.IDP) (cookie, state string) {
	t.Helper()
	status, header, body := post(t, base, "/v1/login/oidc", "{}")
	var to adminapi.Begun
	if err := json.Unmarshal([]byte(body), &to); err != nil || status != 201 {
		t.Fatalf("%d %s", status, body)
	}
	set := header.Get("Set-Cookie")
	for _, want := range []string{"__Host-gridway-console-https-login-", "HttpOnly", "Secure", "SameSite=Strict", "Path=/;", "Max-Age=600"} {
		if !strings.Contains(set, want) {
			t.Errorf("the cookie lacks %s: %s", want, set)
		}
	}
	cookie, _, _ = strings.Cut(set, ";")
	return cookie, idp.Expect(to.Next)
}

func TestOIDCLogin(t *testing.T) {
	opt := newProcess().options()
	idp := withLogin(t, &opt)
	base := start(t, opt)
	if status, _, body := (request{path: "/v1/login", host: consoleHost}).do(t, base); status != 200 || strings.TrimSpace(body) != `{"token":false,"oidc":{"name":"Example","console":"https://gw.example/console/"}}` {
		t.Errorf("%d %s", status, body)
	}
	// Whoever reaches the address is not trusted any more.
	if status, _, _ := (request{path: "/v1/status"}).do(t, base); status != 401 {
		t.Errorf("without a session: status %d", status)
	}
	attempt, state := beginLogin(t, base, idp)
	answer := `{"code":"good","state":"` + state + `"}`
	if status, _, body := post(t, base, "/v1/session/oidc", answer); status != 400 || !strings.Contains(body, "not begun by this browser") {
		t.Errorf("without the cookie: %d %s", status, body)
	}
	status, header, body := post(t, base, "/v1/session/oidc", answer, attempt)
	var s adminapi.Session
	if err := json.Unmarshal([]byte(body), &s); err != nil || status != 201 || s.Role != access.Viewer || s.Name != "ada (oidc:"+idp.URL+"#1815)" {
		t.Fatalf("%d %s", status, body)
	}
	if left := time.Until(s.Expires); left < 7*time.Hour || left > 8*time.Hour {
		t.Errorf("the session ends in %s", left)
	}
	var cookie string
	for _, set := range header.Values("Set-Cookie") {
		name, value, _ := strings.Cut(strings.SplitN(set, ";", 2)[0], "=")
		switch {
		case strings.Contains(name, "-login-"):
			if !strings.Contains(set, "Max-Age=0") {
				t.Errorf("the attempt stays: %s", set)
			}
		case name == "__Host-gridway-console-https" && strings.Contains(set, "Secure") && strings.Contains(set, "SameSite=Strict") && strings.Contains(set, "Max-Age=28800"):
			cookie = name + "=" + value
		default:
			t.Errorf("a cookie %s", set)
		}
	}
	as := func(method, path string, h http.Header) (int, string) {
		status, _, body := request{method: method, path: path, header: h, host: consoleHost}.do(t, base)
		return status, body
	}
	if status, body := as("GET", "/v1/whoami", halves(cookie, s.PageKey)); status != 200 || !strings.Contains(body, `"role":"viewer"`) || !strings.Contains(body, "ada (oidc:") {
		t.Errorf("%d %s", status, body)
	}
	for name, h := range map[string]http.Header{"the cookie alone": halves(cookie, ""), "the key alone": halves("", s.PageKey)} {
		if status, _ := as("GET", "/v1/whoami", h); status != 401 {
			t.Errorf("%s: status %d", name, status)
		}
	}
	h := halves(cookie, s.PageKey)
	h.Set("Content-Type", "application/json")
	if status, _, body := (request{method: "PUT", path: "/v1/log/level", body: `{"level":"debug"}`, header: h, host: consoleHost}).do(t, base); status != 403 || !strings.Contains(body, "needs the role operator") {
		t.Errorf("a viewer changes something: %d %s", status, body)
	}
	// The answer is good for one session.
	if status, _, body := post(t, base, "/v1/session/oidc", answer, attempt); status != 400 || !strings.Contains(body, "ended already") {
		t.Errorf("twice: %d %s", status, body)
	}
	status, body = as("DELETE", "/v1/session", halves(cookie, s.PageKey))
	var end adminapi.Ended
	if err := json.Unmarshal([]byte(body), &end); err != nil || status != 200 || !strings.HasPrefix(end.Next, idp.URL+"/logout?") || !strings.Contains(end.Next, "id_token_hint=ey") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := as("GET", "/v1/whoami", halves(cookie, s.PageKey)); status != 401 {
		t.Errorf("after the logout: status %d", status)
	}
}

func TestOIDCLoginRefusals(t *testing.T) {
	opt := newProcess().options()
	opt.Token = token(t)
	idp := withLogin(t, &opt)
	base := start(t, opt)
	attempt, state := beginLogin(t, base, idp)
	for name, c := range map[string]struct {
		q      request
		status int
		want   string
	}{
		"begun elsewhere":  {request{method: "POST", path: "/v1/login/oidc", body: "{}", header: jsonType}, 421, "Example leads back to https://gw.example/console/ alone; log in there"},
		"by a form":        {request{method: "POST", path: "/v1/login/oidc", host: consoleHost}, 415, "application/json"},
		"by another site":  {request{method: "POST", path: "/v1/login/oidc", body: "{}", host: consoleHost, header: http.Header{"Content-Type": {"application/json"}, "Origin": {"https://evil.example"}}}, 403, "cross-origin"},
		"not let in":       {request{method: "POST", path: "/v1/session/oidc", host: consoleHost, body: `{"state":"` + state + `","error":"access_denied"}`, header: http.Header{"Content-Type": {"application/json"}, "Cookie": {attempt}}}, 403, "has not let you in"},
		"with odd letters": {request{method: "POST", path: "/v1/session/oidc", host: consoleHost, body: `{"state":"a;b\r\nc=d;e=f"}`, header: jsonType}, 400, "begin again"},
		"with more":        {request{method: "POST", path: "/v1/session/oidc", host: consoleHost, body: `{"state":"x","target":"//evil.example"}`, header: jsonType}, 400, "target"},
	} {
		if status, _, body := c.q.do(t, base); status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	idp.Set(func() { idp.Gone = true })
	// Tokens go on working at an address that the provider does not know.
	logIn(t, base, tokenText)
	if status, _, body := (request{path: "/v1/login"}).do(t, base); status != 200 || !strings.Contains(body, `"token":true`) {
		t.Errorf("%d %s", status, body)
	}
}

func TestOIDCAttemptsOfABrowserAreBounded(t *testing.T) {
	opt := newProcess().options()
	withLogin(t, &opt)
	base := start(t, opt)
	var cookies []string
	for _, c := range "abcdefg" {
		cookies = append(cookies, "__Host-gridway-console-https-login-"+strings.Repeat(string(c), 8)+"=x")
	}
	_, header, _ := post(t, base, "/v1/login/oidc", "{}", cookies...)
	if gone := strings.Count(strings.Join(header.Values("Set-Cookie"), "\n"), "Max-Age=0"); gone != 3 {
		t.Errorf("of seven that there were %d go, and there are to be five with the new one", gone)
	}
}

func TestNoProvider(t *testing.T) {
	opt := newProcess().options()
	opt.Token = token(t)
	base := start(t, opt)
	for _, path := range []string{"/v1/login/oidc", "/v1/session/oidc"} {
		if status, _, body := (request{method: "POST", path: path, body: "{}", header: jsonType}).do(t, base); status != 409 || !strings.Contains(body, "--console-oidc") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _, body := (request{path: "/v1/login"}).do(t, base); status != 200 || strings.TrimSpace(body) != `{"token":true}` {
		t.Errorf("%d %s", status, body)
	}
}
