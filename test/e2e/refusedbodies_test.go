package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// What comes behind a request that is refused is understood as what it is: bodies
// are not taken for requests, requests in a row have each an answer of their own.
func TestRefusedInARow(t *testing.T) {
	t.Parallel()
	var seen atomic.Int32
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", r.URL.Path, body)
	})
	g := serveYAML(t, documents(edge("", app.addr), authenticationDoc("keys", "Gateway", "edge", "anyOf: [{apiKey: {}}]"), keyed("acme", "", "k", keyA)))
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\nX-API-Key: " + keyA + "\r\n\r\n"
	head := func(path, fields string) string { return "POST " + path + " HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" }
	key := "X-API-Key: " + keyA + "\r\n"
	refused := func(fields, body string) string { return head("/refused", fields) + body }
	for name, first := range map[string]string{
		"no body":             refused("Content-Length: 0\r\n", ""),
		"a body":              refused(fmt.Sprintf("Content-Length: %d\r\n", len(smuggled)), smuggled),
		"chunks":              refused("Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled)),
		"chunks and trailers": refused("Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\nX-API-Key: %s\r\n\r\n", len(smuggled), smuggled, keyA)),
	} {
		before := seen.Load()
		c := g.dial()
		c.send(first + head("/second", key+"Content-Length: 4\r\n") + "body" + refused("Content-Length: 0\r\n", "") + head("/fourth", key+"Content-Length: 0\r\n"))
		for i, want := range []string{"401", "200 /second body", "401", "200 /fourth "} {
			resp, body, err := c.response("POST")
			if err != nil && i > 0 && c.rest() == "" {
				break // closed after a refusal, which is sound
			}
			if err != nil {
				t.Errorf("%s: answer %d: %v", name, i+1, err)
				break
			}
			got := fmt.Sprint(resp.StatusCode)
			if resp.StatusCode == 200 {
				got += " " + body
			}
			if got != want {
				t.Errorf("%s: answer %d is %s, want %s", name, i+1, got, want)
			}
			if resp.Close {
				if rest := c.rest(); rest != "" {
					t.Errorf("%s: after the last answer: %q", name, rest)
				}
				break
			}
		}
		if n := seen.Load() - before; n != 0 && n != 2 {
			t.Errorf("%s: the endpoint saw %d requests", name, n)
		}
	}
}

// Who waits for 100 (Continue) and is refused is not asked for the body; a client
// that then sends another request on the connection gets its answer, or the
// connection is closed.
func TestRefusedBeforeContinue(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s", body)
	})
	g := serveYAML(t, documents(edge("", app.addr), authenticationDoc("keys", "Gateway", "edge", "anyOf: [{apiKey: {}}]"), keyed("acme", "", "k", keyA)))
	c := g.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n")
	resp, _ := c.mustRespond("POST")
	want(t, resp, 401, "Unauthenticated")
	if !resp.Close {
		t.Error("the connection is kept though nobody knows whether the body comes")
	}
	if rest := c.rest(); rest != "" {
		t.Errorf("then came %q", rest)
	}
	c = g.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nX-API-Key: " + keyA + "\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
	if resp, _ = c.mustRespond("POST"); resp.StatusCode != 100 {
		t.Fatalf("got %d, want 100", resp.StatusCode)
	}
	c.send("body")
	if resp, body := c.mustRespond("POST"); resp.StatusCode != 200 || body != "body" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
}

// Shields are the same in every version of HTTP, and a connection that has carried
// what was refused goes on.
func TestShieldVersions(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			fmt.Fprint(w, "ok")
		}
	})
	g := http3Edge(t, "http3: {}, forwarded: {trustedProxies: [127.0.0.0/8]}", routeDoc("app", ""), backendDoc("app", app.addr),
		shieldDoc("p", "Gateway", "edge", `
addresses: {deny: [{cidrs: [198.51.100.0/24, "2001:db8::/32"]}]}
userAgents: {deny: [{values: [BadBot]}], missing: Deny}
csrf: {}
body: {json: {maxDepth: 4}}
securityHeaders: {}`))
	config := &tls.Config{ServerName: "a.example", InsecureSkipVerify: true}
	first := &http.Client{Transport: &http.Transport{TLSClientConfig: config}, Timeout: 4 * patience}
	t.Cleanup(first.CloseIdleConnections)
	for version, client := range map[string]*http.Client{"1.1": first, "2": overHTTP2(t, config.Clone()), "3": overHTTP3(t, "a.example")} {
		for _, c := range []struct {
			body   string
			edit   edit
			status int
			reason string
		}{
			{"", header("X-Forwarded-For", "198.51.100.7"), 403, "AddressDenied"},
			{"", header("X-Forwarded-For", "::ffff:198.51.100.7"), 403, "AddressDenied"},
			{"", header("X-Forwarded-For", "[2001:db8::1]:443"), 403, "AddressDenied"},
			{"", header("User-Agent", "badbot"), 403, "UserAgentDenied"},
			{"", header("User-Agent", ""), 403, "UserAgentDenied"},
			{"x", header("Origin", "https://evil.example"), 403, "CrossOriginRequest"},
			{"x", header("Origin", "null"), 403, "CrossOriginRequest"},
			{"x", header("Sec-Fetch-Site", "cross-site"), 403, "CrossOriginRequest"},
			{"x", header("Origin", "https://a.example"), 200, ""},
			{"[[[[[1]]]]]", header("Content-Type", "application/json"), 400, "JSONLimit"},
			{"[[[[1]]]]", header("Content-Type", "application/json"), 200, ""},
			{strings.Repeat("x", 20_000), header("Sec-Fetch-Site", "cross-site"), 403, "CrossOriginRequest"},
			{"", header("X", "y"), 200, ""},
		} {
			method, body := "GET", io.Reader(nil)
			if c.body != "" {
				method, body = "POST", strings.NewReader(c.body)
			}
			req := g.request(method, "/", body, host("a.example"), c.edit)
			req.URL.Scheme, req.URL.Host = "https", g.addr
			resp, err := client.Do(req)
			if err != nil {
				t.Errorf("HTTP/%s: %v, want %d %s", version, err, c.status, c.reason)
				continue
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if reason := resp.Header.Get("X-Gridway-Reason"); resp.StatusCode != c.status || reason != c.reason {
				t.Errorf("HTTP/%s: %s %v: %d %s, want %d %s", version, method, req.Header, resp.StatusCode, reason, c.status, c.reason)
			}
			if resp.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("HTTP/%s: no security headers in %v", version, resp.Header)
			}
		}
	}
}
