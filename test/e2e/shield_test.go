package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

func shieldDoc(name, kind, target, spec string) string {
	return strings.Replace(policyDoc(name, kind, target, spec), "kind: TrafficPolicy", "kind: ShieldPolicy", 1)
}

// What a Gateway denies stays denied, and the rest is the most specific policy's.
func TestShield(t *testing.T) {
	t.Parallel()
	g := serveYAML(t, documents(
		edgeWith("client: {forwarded: {trustedProxies: [127.0.0.0/8]}}", "", []string{serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Server", "app")
			w.Header().Set("Referrer-Policy", "no-referrer")
		}).addr}),
		shieldDoc("edge", "Gateway", "edge", `addresses: {deny: [{cidrs: [198.51.100.0/24]}]}
userAgents: {deny: [{values: [BadBot]}], missing: Deny}
securityHeaders: {contentSecurityPolicy: "default-src 'self'"}
`),
		shieldDoc("app", "HTTPRoute", "app", `addresses: {allow: [{cidrs: [127.0.0.1, 198.51.100.0/24, "2001:db8::/32"]}]}
csrf: {trustedOrigins: ["https://partner.example"]}
`),
	))
	client := func(address string) edit { return header("X-Forwarded-For", address) }
	resp, _ := g.get("/", client("2001:db8::1"), header("X-Forwarded-Proto", "https"))
	want(t, resp, 200, "")
	for name, value := range map[string]string{
		"Content-Security-Policy": "default-src 'self'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Strict-Transport-Security": "max-age=31536000", "X-Frame-Options": "SAMEORIGIN",
	} {
		if got := resp.Header.Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	refused, body := g.get("/denied", client("198.51.100.7"))
	want(t, refused, 403, "AddressDenied")
	if refused.Header.Get("X-Content-Type-Options") != "nosniff" || refused.Header.Get("Strict-Transport-Security") != "" || strings.Contains(body, "198.51") {
		t.Errorf("%v: %s", refused.Header, body)
	}
	g.logged(`"path":"/denied"`, `"reason":"AddressDenied"`, `"policy":"default/edge"`, `"policy_rule":"addresses.deny"`)
	refused, _ = g.get("/", client("203.0.113.1"))
	want(t, refused, 403, "AddressDenied")
	refused, _ = g.get("/", header("User-Agent", "a badbot/1"))
	want(t, refused, 403, "UserAgentDenied")
	refused, _ = g.get("/", header("User-Agent", ""))
	want(t, refused, 403, "UserAgentDenied")
	for origin, status := range map[string]int{"https://evil.example": 403, "https://partner.example": 200, "": 200} {
		req := g.request("POST", "/", strings.NewReader("x"))
		if origin != "" {
			req.Header.Set("Origin", origin)
		}
		resp, _, err := g.do(req)
		if err != nil || resp.StatusCode != status {
			t.Errorf("from %q: %v, %v; want %d", origin, resp, err, status)
		}
	}
	for policy, n := range map[string]float64{"ShieldPolicy/default/edge": 3, "ShieldPolicy/default/app": 2} {
		if got := g.metric("gridway_policy_decisions_total", `policy="`+policy+`"`, `decision="denied"`); got != n {
			t.Errorf("%s has denied %v, want %v", policy, got, n)
		}
	}
}

// A list in a file is read again when it changes. One with a bad line is told,
// with file and line, and the one before it goes on; so it does when it is gone.
func TestShieldListReloads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	list := filepath.Join(dir, "drop.txt")
	put := func(text string) {
		if err := os.WriteFile(list+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(list+".new", list); err != nil {
			t.Fatal(err)
		}
	}
	var large strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&large, "%d.%d.%d.0/25 ; SBL%d\n", 11+i/65536, i/256%256, i%256, i)
	}
	put("# nothing yet\n192.0.2.1\n")
	port := ownPort(t)
	p := start(t, documents(
		strings.Replace(gatewayDoc, "port: 8080", fmt.Sprintf("port: %d", port), 1), routeDoc("app", ""), backendDoc("app", "127.0.0.1:1"),
		policyDoc("direct", "HTTPRoute", "app", "directResponse: {status: 200}"),
		fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: drop, annotations: {gridway.dev/files: \"list=%s\"}}\n", list),
		shieldDoc("edge", "Gateway", "edge", "addresses: {deny: [{configMapRef: {name: drop}}]}"),
	))
	status := func() int {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
		if err != nil {
			t.Fatal(err, p.log.String())
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := status(); got != 200 {
		t.Fatalf("%d before the list has us", got)
	}
	put(large.String() + "127.0.0.0/8\n")
	eventually(t, "the new list", func() bool { return status() == 403 })
	put("192.0.2.1\n127.0.0.one\n")
	eventually(t, "the bad line is told", func() bool { return strings.Contains(p.log.String(), "drop.txt:2") })
	if got := status(); got != 403 {
		t.Errorf("%d with a bad line in the new list: the one before is not in force", got)
	}
	if err := os.Remove(list); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the missing file is told", func() bool { return strings.Contains(p.log.String(), "no such file") })
	if got := status(); got != 403 {
		t.Errorf("%d without the list: the one before is not in force", got)
	}
	put("192.0.2.1\n")
	eventually(t, "the good list", func() bool { return status() == 200 })
}

// A shield with a mistake from the start closes its targets, and so does one whose
// list is not there.
func TestShieldFailsClosed(t *testing.T) {
	t.Parallel()
	g := serveYAML(t, documents(edge("", saysOK(t)), shieldDoc("app", "HTTPRoute", "app", "addresses: {deny: [{configMapRef: {name: gone}}]}")))
	resp, _ := g.get("/")
	want(t, resp, 503, "ShieldUnavailable")
}

// Bodies of JSON are looked at as they pass, whatever brings them: the endpoint
// never sees a whole one that is refused, and nothing of a small one.
func TestShieldBodies(t *testing.T) {
	t.Parallel()
	var complete atomic.Int64
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			complete.Add(1)
			_, _ = w.Write(body)
		}
	})
	g := serveYAML(t, documents(edge("", app.addr),
		policyDoc("gzip", "HTTPRoute", "app", "compression: {algorithms: [], decompress: {requests: true}}"),
		shieldDoc("app", "HTTPRoute", "app", `body: {contentTypes: [application/json, text/plain], json: {maxDepth: 3, maxBytes: 30000}}`)))
	post := func(media, coding string, body []byte) (*http.Response, string) {
		t.Helper()
		req := g.request("POST", "/", bytes.NewReader(body))
		req.Header.Set("Content-Type", media)
		if coding != "" {
			req.Header.Set("Content-Encoding", coding)
		}
		resp, text, err := g.do(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp, text
	}
	zip := func(s string) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(s))
		_ = w.Close()
		return b.Bytes()
	}
	long := `{"a":[` + strings.Repeat(`"0123456789",`, 2_000) + `1]}`
	for _, good := range []string{`{"a":[[1]]}`, long} {
		for _, coding := range []string{"", "gzip"} {
			body := []byte(good)
			if coding != "" {
				body = zip(good)
			}
			if resp, text := post("application/json", coding, body); resp.StatusCode != 200 || text != good {
				t.Errorf("%.20s %s: %d %.200s", good, coding, resp.StatusCode, text)
			}
		}
	}
	complete.Store(0)
	for _, bad := range []struct {
		media, coding, body, reason string
		status                      int
	}{
		{"application/json", "", `[[[[1]]]]`, "JSONLimit", 400},
		{"application/json", "gzip", string(zip(`[[[[1]]]]`)), "JSONLimit", 400},
		{"application/json", "", `{"a":1,"a":2}`, "BadRequest", 400},
		{"application/json", "", long[:len(long)-1] + `,]}`, "BadRequest", 400},
		{"application/json", "", `[` + strings.Repeat(`"0123456789",`, 2_400), "BodyTooLarge", 413},
		{"application/json", "br", "x", "BadRequest", 400},
		{"application/xml", "", "<a/>", "ContentTypeDenied", 415},
	} {
		resp, text := post(bad.media, bad.coding, []byte(bad.body))
		want(t, resp, bad.status, bad.reason)
		if resp.StatusCode != bad.status {
			t.Errorf("%.20q: %s", bad.body, text)
		}
	}
	if n := complete.Load(); n != 0 {
		t.Errorf("the endpoint has read %d bodies that are refused", n)
	}
	g.logged(`"reason":"JSONLimit"`, `"policy":"default/app"`, `"policy_rule":"body.json"`)
	if resp, _ := post("text/plain", "", []byte("[[[[")); resp.StatusCode != 200 {
		t.Errorf("a text: %d", resp.StatusCode)
	}
}
