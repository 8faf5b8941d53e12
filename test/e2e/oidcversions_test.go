package e2e

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// A session that began over HTTP/1.1 is one over HTTP/2, which brings each cookie in
// a field of its own, and over HTTP/3; its cookies are for https and this host alone.
func TestSessionOverTLS(t *testing.T) {
	t.Parallel()
	p, addr := newProvider(t), headersSeen(t)
	g := http3Edge(t, "http3: {}", routeDoc("app", ""), backendDoc("app", addr), p.policy(""))
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
			if strings.HasPrefix(to, "a.example:") {
				to = g.addr
			}
			return (&net.Dialer{}).DialContext(ctx, network, to)
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	jar, _ := cookiejar.New(nil)
	b := &browser{&http.Client{Jar: jar, Transport: tr, Timeout: 4 * patience}, t, g, jar}
	page := func(c *http.Client, at string) (*http.Response, string) {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", at, nil)
		req.Header.Set("Accept", "text/html")
		req.Host = "a.example"
		for _, one := range jar.Cookies(&url.URL{Scheme: "https", Host: "a.example", Path: "/"}) {
			if c != b.Client {
				req.AddCookie(one)
			}
		}
		return (&browser{c, t, g, jar}).send(req)
	}
	resp, body := page(b.Client, "https://a.example/page")
	in(t, resp, body)
	for _, c := range jar.Cookies(&url.URL{Scheme: "https", Host: "a.example", Path: "/"}) {
		if !strings.HasPrefix(c.Name, "__Host-gridway-") {
			t.Errorf("a cookie is called %s", c.Name)
		}
	}
	if c := jar.Cookies(&url.URL{Scheme: "http", Host: "a.example", Path: "/"}); len(c) > 0 {
		t.Errorf("by http, %v is sent", c)
	}
	for version, c := range map[string]*http.Client{
		"HTTP/2.0": overHTTP2(t, &tls.Config{ServerName: "a.example", InsecureSkipVerify: true}), "HTTP/3.0": overHTTP3(t, "a.example"),
	} {
		resp, body := page(c, "https://"+g.addr+"/page")
		in(t, resp, body)
		if resp.Proto != version || strings.Contains(body, "gridway-") {
			t.Errorf("%s, want %s: %s", resp.Proto, version, body)
		}
	}
	if n := p.logins.Load(); n != 1 {
		t.Errorf("%d logins", n)
	}
}
