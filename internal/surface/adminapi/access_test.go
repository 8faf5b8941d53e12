package adminapi_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

func token(t *testing.T) adminapi.Token {
	t.Helper()
	tok, err := adminapi.NewToken(tokenText)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestAddressesBeyondLoopbackNeedAToken(t *testing.T) {
	for address, needs := range map[string]bool{
		"127.0.0.1:0": false, "localhost:0": false, "127.9.9.9:0": false, "[::1]:0": false,
		"0.0.0.0:0": true, ":0": true, "[::]:0": true,
	} {
		t.Run(address, func(t *testing.T) {
			opt := newProcess().options()
			opt.Address = address
			for _, with := range []bool{false, true} {
				opt.AllowPlain = true
				if with {
					opt.Token = token(t)
				}
				s, err := adminapi.New(t.Context(), opt)
				if refused := errors.Is(err, adminapi.ErrTokenNeeded); refused != (needs && !with) {
					t.Errorf("with a token %v: %v", with, err)
				}
				if err == nil {
					if err := s.Close(); err != nil {
						t.Errorf("Close: %v", err)
					}
				} else if strings.HasPrefix(address, "[::") && !errors.Is(err, adminapi.ErrTokenNeeded) {
					t.Skip("no IPv6 here")
				}
			}
		})
	}
}

func TestTokenGuardsEverythingButHealth(t *testing.T) {
	opt := newProcess().options()
	opt.Token = token(t)
	base := start(t, opt)
	bearer := func(s string) http.Header { return http.Header{"Authorization": {s}} }
	paths := []string{
		"/metrics", "/openapi.json", "/v1/status", "/v1/config", "/v1/objects", "/v1/routes", "/v1/clusters",
		"/v1/top", "/v1/log/level", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/nonsense",
	}
	for _, path := range paths {
		for _, auth := range []string{
			"", "Bearer", "Bearer ", "Bearer wrong", "Basic " + tokenText, tokenText,
			"Bearer " + tokenText[:31], "Bearer " + tokenText + "0", "Bearer " + strings.ToUpper(tokenText),
		} {
			h := bearer(auth)
			if auth == "" {
				h = nil
			}
			status, header, body := request{path: path, header: h}.do(t, base)
			if status != 401 || !strings.HasPrefix(header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s with %q: status %d", path, auth, status)
			}
			if strings.Contains(body, "gridway_ready") || strings.Contains(body, "revision") {
				t.Errorf("%s with %q says %s", path, auth, body)
			}
		}
		want := 200
		if path == "/nonsense" {
			want = 404
		}
		for _, scheme := range []string{"Bearer ", "bearer  "} {
			if status, _, _ := (request{path: path, header: bearer(scheme + tokenText)}).do(t, base); status != want {
				t.Errorf("%s with the token: status %d", path, status)
			}
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, _, _ := (request{path: path}).do(t, base); status != 200 {
			t.Errorf("%s without a token: status %d", path, status)
		}
		if status, _, _ := (request{method: "POST", path: path}).do(t, base); status != 401 {
			t.Errorf("POST %s without a token: status %d", path, status)
		}
	}
}

func TestHostGuardsAgainstRebinding(t *testing.T) {
	opt := newProcess().options()
	opt.Hosts = []string{"Admin.Internal"}
	base := start(t, opt)
	for host, want := range map[string]int{
		"localhost": 200, "localhost:9901": 200, "LOCALHOST.": 200, "127.0.0.1": 200, "[::1]:80": 200, "[::1]": 200, "10.0.0.1:9901": 200,
		"admin.internal": 200, "admin.internal:9901": 200,
		"attacker.example": 421, "attacker.example:9901": 421, "127.0.0.1.attacker.example": 421, "localhost.attacker.example": 421,
		"127.0.0.1:80:90": 421, "2130706433": 421,
	} {
		for _, path := range []string{"/v1/status", "/healthz", "/nonsense"} {
			w := want
			if path == "/nonsense" && want == 200 {
				w = 404
			}
			if status, _, _ := (request{path: path, host: host}).do(t, base); status != w {
				t.Errorf("Host %q, %s: status %d, want %d", host, path, status, w)
			}
		}
	}
}

func TestPagesInBrowsersAreRefused(t *testing.T) {
	base := start(t, newProcess().options())
	level := `{"level":"debug"}`
	for name, c := range map[string]struct {
		q    request
		want int
	}{
		"no browser":           {request{method: "PUT", header: http.Header{"Content-Type": {"application/json"}}}, 200},
		"cross-site":           {request{method: "PUT", header: http.Header{"Sec-Fetch-Site": {"cross-site"}, "Content-Type": {"application/json"}}}, 403},
		"same-site":            {request{method: "PUT", header: http.Header{"Sec-Fetch-Site": {"same-site"}, "Content-Type": {"application/json"}}}, 403},
		"foreign origin":       {request{method: "PUT", header: http.Header{"Origin": {"https://attacker.example"}, "Content-Type": {"application/json"}}}, 403},
		"reading, cross-site":  {request{method: "GET", header: http.Header{"Sec-Fetch-Site": {"cross-site"}}}, 403},
		"form content type":    {request{method: "PUT", header: http.Header{"Content-Type": {"text/plain"}}}, 415},
		"preflight gets no ok": {request{method: "OPTIONS", header: http.Header{"Origin": {"https://a.example"}, "Access-Control-Request-Method": {"PUT"}}}, 405},
	} {
		t.Run(name, func(t *testing.T) {
			c.q.path, c.q.body = "/v1/log/level", level
			if c.q.method == "GET" {
				c.q.body = ""
			}
			status, header, body := c.q.do(t, base)
			if status != c.want {
				t.Errorf("status %d, want %d: %s", status, c.want, body)
			}
			for k := range header {
				if strings.HasPrefix(k, "Access-Control-") {
					t.Errorf("there is a CORS header: %s", k)
				}
			}
		})
	}
}

func TestFaults(t *testing.T) {
	base := start(t, newProcess().options())
	j := http.Header{"Content-Type": {"application/json"}}
	for name, c := range map[string]struct {
		q      request
		status int
		detail string
	}{
		"no such path":     {request{path: "/v1/nonsense"}, 404, "openapi.json"},
		"wrong method":     {request{method: "DELETE", path: "/v1/log/level"}, 405, "GET, HEAD, PUT"},
		"post to status":   {request{method: "POST", path: "/v1/status"}, 405, "GET, HEAD"},
		"no such object":   {request{path: "/v1/objects/HTTPRoute/default/none"}, 404, "none"},
		"unknown field":    {request{method: "PUT", path: "/v1/log/level", header: j, body: `{"lvl":"debug"}`}, 400, "lvl"},
		"not JSON":         {request{method: "PUT", path: "/v1/log/level", header: j, body: `{`}, 400, ""},
		"two values":       {request{method: "PUT", path: "/v1/log/level", header: j, body: `{"level":"info"} {}`}, 400, "more than one"},
		"wrong level":      {request{method: "PUT", path: "/v1/log/level", header: j, body: `{"level":"loud"}`}, 400, "debug, info"},
		"too large":        {request{method: "POST", path: "/v1/explain", header: j, body: `{"method":"` + strings.Repeat("x", 1<<20) + `"}`}, 413, "1048576"},
		"cannot explain":   {request{method: "POST", path: "/v1/explain", header: j, body: `{}`}, 422, "URL is missing"},
		"no content type":  {request{method: "POST", path: "/v1/explain", body: `{}`}, 415, "application/json"},
		"path not climbed": {request{path: "/v1/objects/HTTPRoute/default/..%2f..%2fSecret"}, 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, header, body := c.q.do(t, base)
			if status != c.status || header.Get("Content-Type") != "application/problem+json" {
				t.Fatalf("status %d, %s: %s", status, header.Get("Content-Type"), body)
			}
			if !strings.Contains(body, c.detail) || !strings.Contains(body, fmt.Sprintf(`"status":%d`, status)) {
				t.Errorf("body %s", body)
			}
		})
	}
}

func TestHeadersAreBounded(t *testing.T) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, start(t, newProcess().options()), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X", strings.Repeat("x", 24<<10))
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close() // cut off by the server
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestUnixSocketIsItsOwnersOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	opt := newProcess().options()
	opt.Address = "unix:" + path
	// A socket that a dead process left behind.
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = l.Close()
	start(t, opt)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := adminapi.New(t.Context(), opt); !errors.Is(err, adminapi.ErrTaken) {
		t.Errorf("the socket of a live process: %v", err)
	}
	c := newClient(t, client.Options{Address: opt.Address})
	if s, err := c.Status(t.Context()); err != nil || s.Revision.Number != 7 {
		t.Errorf("%+v, %v", s, err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	opt.Address = "unix:" + file
	if _, err := adminapi.New(t.Context(), opt); err == nil {
		t.Error("a file was replaced by a socket")
	}
	if text, _ := os.ReadFile(file); string(text) != "precious" {
		t.Error("the file is gone")
	}
}

func TestTokens(t *testing.T) {
	for _, text := range []string{"", "short", strings.Repeat(" ", 40), "0123456789abcde", "0123456789 abcdef", "0123456789abcd\u00e9f", strings.Repeat("x", 5000)} {
		if _, err := adminapi.NewToken(text); err == nil {
			t.Errorf("NewToken(%q) succeeds", text)
		}
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(tokenText+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tok, err := adminapi.ReadToken(file)
	if err != nil || tok != token(t) {
		t.Errorf("ReadToken: %v", err)
	}
	if s := fmt.Sprintf("%v %+v %s", tok, tok, tok); strings.Contains(s, tokenText) || !strings.Contains(s, "hidden") {
		t.Errorf("formatted as %s", s)
	}
	if _, err := adminapi.ReadToken(file + "x"); err == nil {
		t.Error("a token was read from no file")
	}
}

func TestRefusalsAreLoggedWithoutTheToken(t *testing.T) {
	var log bytes.Buffer
	opt := newProcess().options()
	opt.Token = token(t)
	opt.Log = slog.New(slog.NewTextHandler(&log, nil))
	s, err := adminapi.New(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	_, _, _ = request{path: "/v1/status", header: http.Header{"Authorization": {"Bearer wrong-wrong-wrong"}}}.do(t, "http://"+s.Addr().String())
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if text := log.String(); !strings.Contains(text, "/v1/status") || strings.Contains(text, "wrong-wrong") {
		t.Errorf("log %q", text)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	base := start(t, newProcess().options())
	address := strings.TrimPrefix(base, "http://")
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	ask := func(c net.Conn) {
		if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 12)
	for range 128 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
		ask(c)
		if _, err := io.ReadFull(c, buf); err != nil {
			t.Fatal(err)
		}
	}
	late, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	ask(late)
	answered := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(late, make([]byte, 12))
		answered <- err
	}()
	// The server had all the time it needed to serve others.
	for range 20 {
		ask(conns[1])
		if _, err := bufio.NewReader(conns[1]).ReadString('}'); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-answered:
		t.Fatal("one connection too many was served")
	default:
	}
	_ = conns[0].Close() // makes room
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
}
