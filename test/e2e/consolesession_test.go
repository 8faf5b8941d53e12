package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gridway/gridway/internal/statedb/statetest"
	"github.com/gridway/gridway/internal/testport"
)

// Who logs in to the console at one process is logged in at all that share its state
// store, also at one that starts when the others have ended.
func TestASessionOfTheConsoleOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	place := statetest.Postgres(t)
	app := serve(t, func(http.ResponseWriter, *http.Request) {})
	dir := t.TempDir()
	const secret = "an-admin-token-of-this-test-alone"
	token, key := filepath.Join(dir, "token"), filepath.Join(dir, "key")
	for file, text := range map[string]string{token: secret, key: strings.Repeat("0123456789abcdef", 4)} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	gateway := func() *process {
		return start(t, documents(plainOn(testport.Free(t)), routeDoc("app", ""), backendDoc("app", app.addr)), "--state-dir", t.TempDir(), "--state", place, "--state-key-file", key, "--admin-token-file", token)
	}
	// As through a load balancer, which passes on what the browser asks.
	ask := func(p *process, method, path, body, cookie, page string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:9901"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		if cookie != "" {
			req.Header.Set("Cookie", cookie)
			req.Header.Set("X-Gridway-Page-Key", page)
		}
		resp, err := p.api.Do(req)
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
	login := func(p *process) (cookie, page string) {
		t.Helper()
		resp, body := ask(p, "POST", "/v1/session", fmt.Sprintf(`{"token":%q}`, secret), "", "")
		var s struct{ PageKey string }
		if err := json.Unmarshal([]byte(body), &s); err != nil || resp.StatusCode != 201 {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
		cookie, _, _ = strings.Cut(resp.Header.Get("Set-Cookie"), ";")
		return cookie, s.PageKey
	}
	status := func(p *process, cookie, page string) int {
		t.Helper()
		resp, _ := ask(p, "GET", "/v1/audit", "", cookie, page)
		return resp.StatusCode
	}
	first, second := gateway(), gateway()
	cookie, page := login(first)
	other, otherPage := login(second)
	if at := status(second, cookie, page); at != 200 {
		t.Errorf("at the other process: %d", at)
	}
	for _, p := range []*process{first, second} {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		<-p.done
	}
	third := gateway()
	if at := status(third, cookie, page); at != 200 {
		t.Errorf("at a process that starts afterwards: %d", at)
	}
	if resp, body := ask(third, "DELETE", "/v1/session?everywhere=true", "", cookie, page); resp.StatusCode != 200 || !strings.Contains(body, `"sessions":2`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	for _, s := range [][2]string{{cookie, page}, {other, otherPage}} {
		if at := status(third, s[0], s[1]); at != 401 {
			t.Errorf("after the logout everywhere: %d", at)
		}
	}
}
