package adminapi_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

// jsonType is what the console sends.
var jsonType = http.Header{"Content-Type": {"application/json"}}

// logIn returns both halves of a session.
func logIn(t *testing.T, base, token string) (cookie, page string) {
	t.Helper()
	status, header, body := request{method: "POST", path: "/v1/session", header: jsonType, body: fmt.Sprintf(`{"token":%q}`, token)}.do(t, base)
	if status != 201 {
		t.Fatalf("login: %d %s", status, body)
	}
	var s adminapi.Session
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		t.Fatal(err)
	}
	if left := time.Until(s.Expires); left < 11*time.Hour || left > 12*time.Hour {
		t.Errorf("the session ends in %s", left)
	}
	set := header.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"} {
		if !strings.Contains(set, want) {
			t.Errorf("the cookie lacks %s: %s", want, set)
		}
	}
	if strings.Contains(set, token) || strings.Contains(body, token) || strings.Contains(set, s.PageKey) {
		t.Error("the reply gives something away")
	}
	cookie, _, _ = strings.Cut(set, ";")
	return cookie, s.PageKey
}

func halves(cookie, page string) http.Header {
	h := http.Header{}
	if cookie != "" {
		h.Set("Cookie", cookie)
	}
	if page != "" {
		h.Set("X-Gridway-Page-Key", page)
	}
	return h
}

func TestSessionNeedsBothHalves(t *testing.T) {
	opt := newProcess().options()
	opt.Token = token(t)
	base := start(t, opt)
	c1, p1 := logIn(t, base, tokenText)
	c2, p2 := logIn(t, base, tokenText)
	for name, c := range map[string]struct {
		cookie, page string
		want         int
	}{
		"both":              {c1, p1, 200},
		"the other's both":  {c2, p2, 200},
		"cookie alone":      {c1, "", 401},
		"key alone":         {"", p1, 401},
		"of two sessions":   {c1, p2, 401},
		"half of a key":     {c1, p1[:20], 401},
		"no key":            {c1, "!!!", 401},
		"no cookie of ours": {c1 + "A", p1, 401},
	} {
		if status, _, body := (request{path: "/v1/status", header: halves(c.cookie, c.page)}).do(t, base); status != c.want {
			t.Errorf("%s: status %d, want %d: %s", name, status, c.want, body)
		}
	}
	// A token that is presented counts, also where there is a session.
	h := halves(c1, p1)
	h.Set("Authorization", "Bearer wrong")
	if status, _, _ := (request{path: "/v1/status", header: h}).do(t, base); status != 401 {
		t.Errorf("with a wrong token beside: status %d", status)
	}
}

func TestLogout(t *testing.T) {
	opt := newProcess().options()
	opt.Token = token(t)
	base := start(t, opt)
	cookie, page := logIn(t, base, tokenText)
	// With one half nobody can end another's session.
	if status, _, _ := (request{method: "DELETE", path: "/v1/session", header: halves(cookie, "")}).do(t, base); status != 200 {
		t.Errorf("status %d", status)
	}
	if status, _, _ := (request{path: "/v1/status", header: halves(cookie, page)}).do(t, base); status != 200 {
		t.Errorf("after a logout without the key: status %d", status)
	}
	status, header, _ := request{method: "DELETE", path: "/v1/session", header: halves(cookie, page)}.do(t, base)
	if status != 200 || !strings.Contains(header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("status %d, %v", status, header)
	}
	if status, _, _ := (request{path: "/v1/status", header: halves(cookie, page)}).do(t, base); status != 401 {
		t.Errorf("after the logout: status %d", status)
	}
}

func TestLoginRefusals(t *testing.T) {
	opt := newProcess().options()
	opt.Token = token(t)
	base := start(t, opt)
	cross := http.Header{"Content-Type": {"application/json"}, "Sec-Fetch-Site": {"cross-site"}}
	for name, c := range map[string]struct {
		q    request
		want int
	}{
		"a wrong token":  {request{body: `{"token":"0123456789abcdef0123456789abcdeX"}`, header: jsonType}, 401},
		"no token":       {request{body: `{}`, header: jsonType}, 401},
		"a long token":   {request{body: `{"token":"` + strings.Repeat("a", 5000) + `"}`, header: jsonType}, 401},
		"no JSON":        {request{body: `token=x`, header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}, 415},
		"unknown fields": {request{body: `{"tokens":"x"}`, header: jsonType}, 400},
		"another site":   {request{body: `{"token":"` + tokenText + `"}`, header: cross}, 403},
		"another host":   {request{body: `{"token":"` + tokenText + `"}`, header: jsonType, host: "attacker.example"}, 421},
	} {
		c.q.method, c.q.path = "POST", "/v1/session"
		status, header, body := c.q.do(t, base)
		if status != c.want || header.Get("Set-Cookie") != "" {
			t.Errorf("%s: status %d, want %d: %s", name, status, c.want, body)
		}
	}
	open := start(t, newProcess().options())
	if status, _, body := (request{method: "POST", path: "/v1/session", header: jsonType, body: `{"token":"x"}`}).do(t, open); status != 409 {
		t.Errorf("where no token is asked for: %d %s", status, body)
	}
}

// A session lives no longer than its token, and may no more.
func TestSessionOfARevokedToken(t *testing.T) {
	opt := newProcess().options()
	tokens := withStore(t, &opt)
	base := start(t, opt)
	cookie, page := logIn(t, base, tokens[access.Viewer])
	who := func() (int, string) {
		status, _, body := request{path: "/v1/whoami", header: halves(cookie, page)}.do(t, base)
		return status, body
	}
	if status, body := who(); status != 200 || !strings.Contains(body, `"role":"viewer"`) {
		t.Fatalf("%d %s", status, body)
	}
	if status, _, _ := (request{path: "/v1/audit", header: halves(cookie, page)}).do(t, base); status != 403 {
		t.Errorf("a viewer reads the audit log: status %d", status)
	}
	_, body := who()
	id := body[strings.Index(body, "(")+1 : strings.Index(body, ")")]
	admin := http.Header{"Authorization": {"Bearer " + tokens[access.Admin]}}
	if status, _, text := (request{method: "DELETE", path: "/v1/tokens/" + id, header: admin}).do(t, base); status != 204 {
		t.Fatalf("%d %s", status, text)
	}
	if status, _ := who(); status != 401 {
		t.Errorf("after the revocation: status %d", status)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	opt := newProcess().options()
	opt.Token = token(t)
	base := start(t, opt)
	first, firstPage := logIn(t, base, tokenText)
	var cookie, page string
	for range access.MaxSessionsOfOne {
		cookie, page = logIn(t, base, tokenText)
	}
	if status, _, _ := (request{path: "/v1/status", header: halves(first, firstPage)}).do(t, base); status != 401 {
		t.Errorf("the oldest of 65: status %d", status)
	}
	if status, _, _ := (request{path: "/v1/status", header: halves(cookie, page)}).do(t, base); status != 200 {
		t.Errorf("the newest of 65: status %d", status)
	}
}

func TestConsoleIsServedBesideTheAPI(t *testing.T) {
	opt := newProcess().options()
	opt.Token = token(t)
	opt.Console = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "page "+r.URL.Path) })
	base := start(t, opt)
	browser := http.Header{"Accept": {"text/html,application/xhtml+xml"}, "Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}}
	for name, c := range map[string]struct {
		q      request
		status int
		want   string
	}{
		"a page":                     {request{path: "/console/routes"}, 200, "page /routes"},
		"from a link of another":     {request{path: "/console/", header: browser}, 200, "page /"},
		"without the slash":          {request{path: "/console"}, 307, ""},
		"a browser at the root":      {request{path: "/", header: browser}, 302, ""},
		"a program at the root":      {request{path: "/"}, 401, ""},
		"a name that is not ours":    {request{path: "/console/", host: "attacker.example"}, 421, "Host"},
		"the root by another's name": {request{path: "/", host: "attacker.example", header: browser}, 421, "Host"},
		"a change":                   {request{method: "POST", path: "/console/"}, 405, "GET"},
	} {
		status, header, body := c.q.do(t, base)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %s", name, status, body)
		}
		if status == 302 && header.Get("Location") != "/console/" {
			t.Errorf("%s: to %s", name, header.Get("Location"))
		}
	}
	opt = newProcess().options()
	opt.Console, opt.ProbesOnly = http.NotFoundHandler(), true
	if status, _, body := (request{path: "/console/"}).do(t, start(t, opt)); status != 404 || !strings.Contains(body, "alone") {
		t.Errorf("where there are probes alone: %d %s", status, body)
	}
}
