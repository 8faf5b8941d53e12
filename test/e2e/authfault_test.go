package e2e

import (
	"strings"
	"testing"
	"time"
)

// Operators see what is wrong with a credential, in the access log and in metrics; the
// client is told the same of all.
func TestFaultsOfCredentials(t *testing.T) {
	t.Parallel()
	s, addr := newIssuer(t), headersSeen(t)
	g := serveYAML(t, documents(edge("", addr), authenticationDoc("both", "Gateway", "edge", `
anyOf:
- name: tokens
  jwt:
    issuers: [{issuer: "`+s.URL+`", audiences: [shop], keys: {discovery: {}}}]
- apiKey: {}`), keyed("acme", "", "first", keyA)))
	expired := s.token(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()})
	for _, c := range []struct {
		path   string
		edits  []edit
		faults string
		method string
		fault  string
	}{
		{"/expired", []edit{bearer(expired)}, "tokens:expired", "tokens", "expired"},
		{"/audience", []edit{bearer(s.token(map[string]any{"aud": "bank"}))}, "tokens:audience", "tokens", "audience"},
		{"/both", []edit{bearer(expired), header("X-API-Key", keyA+"x")}, "tokens:expired,apiKey:unknown", "apiKey", "unknown"},
	} {
		resp, body := g.get(c.path, c.edits...)
		want(t, resp, 401, "InvalidCredential")
		if body != "" && !strings.Contains(body, "the credential is not accepted") {
			t.Errorf("%s: %s", c.path, body)
		}
		g.logged(`"path":"`+c.path+`"`, `"auth_faults":"`+c.faults+`"`)
		if n := g.metric("gridway_authentication_faults_total", `policy="default/both"`, `method="`+c.method+`"`, `fault="`+c.fault+`"`); n == 0 {
			t.Errorf("%s is not counted", c.fault)
		}
	}
	token := s.token(map[string]any{"azp": "web"})
	for range 3 {
		resp, _ := g.get("/token", bearer(token))
		want(t, resp, 200, "")
	}
	for result, n := range map[string]float64{"hit": 2, "miss": 4} {
		if got := g.metric("gridway_authentication_memory_total", `method="tokens"`, `result="`+result+`"`); got != n {
			t.Errorf("%v times %s, want %v", got, result, n)
		}
	}
	g.logged(`"path":"/token"`, `"auth_method":"tokens"`, `"subject":"ada"`, `"issuer":"`+s.URL+`"`, `"client_id":"web"`)
	resp, _ := g.get("/good", bearer(expired), header("X-API-Key", keyA))
	want(t, resp, 200, "")
	if line := g.logged(`"path":"/good"`, `"auth_method":"apiKey"`); strings.Contains(line, "auth_faults") {
		t.Error(line)
	}
}
