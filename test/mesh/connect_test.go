package mesh

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// connectProgram is the name of a program that reaches others by CONNECT over HTTP/2.
const connectProgram = "connect"

// connectTo asks the proxy of the program's environment for tunnels, all of them over one
// connection of HTTP/2 with prior knowledge, and prints what comes through.
func connectTo(authorities string) error {
	proxy, err := url.Parse(os.Getenv("http_proxy"))
	if err != nil || proxy.Host == "" {
		return fmt.Errorf("http_proxy: %q, %w", os.Getenv("http_proxy"), err)
	}
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	c := &http.Client{Transport: &http.Transport{Protocols: &p}}
	for authority := range strings.SplitSeq(authorities, ",") {
		body, up := io.Pipe()
		resp, err := c.Do(&http.Request{Method: "CONNECT", URL: &url.URL{Scheme: "http", Host: proxy.Host}, Host: authority, Header: http.Header{}, Body: body, ContentLength: -1})
		if err != nil {
			return err
		}
		if resp.StatusCode != 200 {
			fmt.Println(authority, resp.Proto, resp.StatusCode, resp.Header.Get("X-Gridway-Reason"))
			_ = resp.Body.Close()
			continue
		}
		go fmt.Fprintf(up, "GET /inside HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", authority)
		inner, err := http.ReadResponse(bufio.NewReader(resp.Body), nil)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(inner.Body)
		if err != nil {
			return err
		}
		fmt.Println(authority, resp.Proto, inner.StatusCode, string(text))
		_ = resp.Body.Close()
	}
	return nil
}

// A program whose HTTP proxy is the sidecar opens tunnels by CONNECT over HTTP/2: requests
// inside get routes and policies, other protocols go as they are, and what is nowhere is
// refused.
func TestConnectOverHTTP2(t *testing.T) {
	m := newMesh(t, `apiVersion: gridway.dev/v1alpha1
kind: MeshPolicy
metadata: {name: closed, namespace: gridway-system}
spec: {egress: Deny}
---
apiVersion: gridway.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: forbidden}
spec:
  targetRefs: [{group: "", kind: Service, name: forbidden}]
  action: Deny
  rules: [{name: all, methods: [GET]}]
`)
	web, raw, forbidden := m.sidecar("ratings", "one"), m.speaking("tcp", "raw", "two"), m.sidecar("forbidden", "three")
	at := strings.Join([]string{"ratings:" + web.port, "raw:" + raw.port, "forbidden:" + forbidden.port, "nowhere:80"}, ",")
	p := run(t, []string{asProgram + "=" + connectProgram + " " + at, "GRIDWAY_JOIN_TOKEN=" + m.token}, "sidecar", "--service", "reports",
		"--control", m.address, "--http-proxy", "--state-dir", filepath.Join(m.dir, "reports"), "--", os.Args[0])
	if code := p.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{
		"ratings:" + web.port + ` HTTP/2.0 200 {"header"`, `"name":"one","path":"/inside"`, `"name":"two","path":"/inside"`,
		"forbidden:" + forbidden.port + " HTTP/2.0 403", "nowhere:80 HTTP/2.0 502 EgressDenied",
	} {
		if !strings.Contains(p.log.String(), want) {
			t.Errorf("%q is missing in %s", want, p.log)
		}
	}
}
