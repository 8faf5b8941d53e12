package proxy_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/ir"
)

// outbound makes the listener an outbound one, with a section of HTTP for the
// authorities web, and one of TCP, whose endpoint is at, for the authorities tcp.
func outbound(egress ir.Egress, web []string, at string, tcp ...string) func(*ir.Config) {
	return func(cfg *ir.Config) {
		l := cfg.Listeners[0]
		l.Protocol, l.Egress = ir.Detect, egress
		l.Sections[0].Protocol, l.Sections[0].Authorities = ir.HTTP, web
		if at == "" {
			return
		}
		c := *cfg.Clusters[0]
		c.Name, c.Protocol, c.Hash = "Backend/default/db/tcp", ir.TCP, 2
		c.Endpoints = []ir.Endpoint{{Address: at, Weight: 1}}
		cfg.Clusters = append(cfg.Clusters, &c)
		cfg.Streams = []*ir.StreamRoute{{
			Name: "TCPRoute/default/db", ID: "TCPRoute/default/db/rules/0",
			Backends: []ir.BackendRef{{Cluster: c.Name, Weight: 1}},
		}}
		l.Sections = append(l.Sections, &ir.Section{
			Name: "db", Protocol: ir.TCP, Authorities: tcp,
			Streams: []ir.Attachment{{Route: "TCPRoute/default/db", Hostnames: []string{""}}},
		})
	}
}

// through is a client that has the harness as its HTTP proxy.
func (h *harness) through() *http.Client {
	proxy := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: h.addr}),
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	h.t.Cleanup(proxy.CloseIdleConnections)
	return &http.Client{Transport: proxy}
}

func (h *harness) fetch(c *http.Client, url string) (status int, reason, body string) {
	h.t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("X-Gridway-Reason"), string(b)
}

// connectTo asks for a tunnel, and returns the connection and the status.
func (h *harness) connectTo(authority, early string) (*bufio.Reader, *net.TCPConn, int) {
	h.t.Helper()
	c := h.connect()
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n%s", authority, authority, early)
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		h.t.Fatal(err)
	}
	return r, c, resp.StatusCode
}

func says(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s %s%s", name, r.Host, r.URL) }
}

func TestOutboundByAuthority(t *testing.T) {
	outside := serve(t, says("outside"))
	h := start(t, []string{serve(t, says("mesh"))}, outbound(ir.EgressDeny,
		[]string{"reviews", "reviews.shop:9080", "[fd00::1]:80"}, named(t, "db"), "db:5432"))
	c := h.through()
	for url, want := range map[string]string{
		"http://reviews/a":           "mesh reviews/a",
		"http://REVIEWS:1234/":       "mesh reviews:1234/",
		"http://reviews.shop:9080/":  "mesh reviews.shop:9080/",
		"http://[fd00::1]/":          "mesh [fd00::1]/",
		"http://reviews.shop:9081/":  "502 EgressDenied",
		"http://reviews.shop/":       "502 EgressDenied",
		"http://" + outside + "/":    "502 EgressDenied",
		"http://db:5432/":            "502 ProtocolNotServed",
		"http://[fd00::1]:8080/":     "502 EgressDenied",
		"http://other.reviews:9080/": "502 EgressDenied",
	} {
		status, reason, body := h.fetch(c, url)
		if status != 200 {
			body = fmt.Sprintf("%d %s", status, reason)
		}
		if body != want {
			t.Errorf("%s: %q, want %q", url, body, want)
		}
	}
}

func TestOutboundTunnels(t *testing.T) {
	h := start(t, []string{serve(t, says("mesh"))}, outbound(ir.EgressDeny, []string{"reviews"}, named(t, "db"), "db:5432"))
	t.Run("server speaks first", func(t *testing.T) {
		r, _, status := h.connectTo("db:5432", "")
		if line, _ := r.ReadString('\n'); status != 200 || line != "db\n" {
			t.Errorf("%d %q", status, line)
		}
	})
	t.Run("client does not wait", func(t *testing.T) {
		r, c, status := h.connectTo("db:5432", "early")
		c.CloseWrite()
		if b, err := io.ReadAll(r); status != 200 || string(b) != "db\nearly" || err != nil {
			t.Errorf("%d %q %v", status, b, err)
		}
	})
	t.Run("HTTP inside", func(t *testing.T) {
		r, c, status := h.connectTo("reviews:9080", "GET /1 HTTP/1.1\r\nHost: whatever\r\n\r\n")
		for _, want := range []string{"mesh whatever/1", "mesh whatever/2"} {
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if b, _ := io.ReadAll(resp.Body); status != 200 || string(b) != want {
				t.Errorf("%d %q, want %q", status, b, want)
			}
			io.WriteString(c, "GET /2 HTTP/1.1\r\nHost: whatever\r\n\r\n")
		}
	})
	t.Run("elsewhere", func(t *testing.T) {
		if _, _, status := h.connectTo("other:443", ""); status != 502 {
			t.Error(status)
		}
	})
}

// What is inside a tunnel goes on after a reload as long as its section is there.
func TestOutboundReload(t *testing.T) {
	h := start(t, []string{serve(t, says("mesh"))}, outbound(ir.EgressDeny, []string{"reviews"}, ""))
	r, c, _ := h.connectTo("reviews:9080", "")
	get := func() int {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: reviews\r\n\r\n")
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	if s := get(); s != 200 {
		t.Fatal(s)
	}
	next := *h.cfg.Listeners[0].Sections[0]
	h.cfg = clone(h.cfg)
	h.cfg.Listeners[0].Sections = []*ir.Section{{Name: "other", Protocol: ir.HTTP, Authorities: []string{"other"}}, &next}
	h.apply()
	if s := get(); s != 200 {
		t.Error("the section is there, and", s)
	}
	h.cfg = clone(h.cfg)
	h.cfg.Listeners[0].Sections = h.cfg.Listeners[0].Sections[:1]
	h.apply()
	if s := get(); s != 404 {
		t.Error("the section is gone, and", s)
	}
}

func TestEgressAllowed(t *testing.T) {
	outside := serve(t, says("outside"))
	secure := httptest.NewTLSServer(says("secure"))
	t.Cleanup(secure.Close)
	h := start(t, []string{serve(t, says("mesh"))}, outbound(ir.EgressAllow, []string{"reviews"}, ""))
	c := h.through()
	for url, want := range map[string]string{
		"http://reviews/":          "mesh reviews/",
		"http://" + outside + "/x": "outside " + outside + "/x",
		secure.URL + "/y":          "secure " + secure.Listener.Addr().String() + "/y",
	} {
		if _, _, body := h.fetch(c, url); body != want {
			t.Errorf("%s: %q, want %q", url, body, want)
		}
	}
	_, port, _ := net.SplitHostPort(outside)
	if _, _, body := h.fetch(c, "http://localhost:"+port+"/z"); body != "outside localhost:"+port+"/z" {
		t.Errorf("by name: %q", body)
	}
	if status, reason, _ := h.fetch(c, "http://"+closed(t)+"/"); status != 502 || reason != "UpstreamConnectFailure" {
		t.Error("nobody there:", status, reason)
	}
	if status, reason, _ := h.fetch(c, "http://no-such-host.invalid/"); status != 502 || reason != "UpstreamConnectFailure" {
		t.Error("no such host:", status, reason)
	}
	r, _, status := h.connectTo(named(t, "first"), "")
	if line, _ := r.ReadString('\n'); status != 200 || line != "first\n" {
		t.Errorf("tunnel: %d %q", status, line)
	}
	if _, _, status := h.connectTo(closed(t), ""); status != 502 {
		t.Error("tunnel to nobody:", status)
	}
}

// What leads back to the listener is refused at once and not at the end of all sockets.
func TestEgressLoops(t *testing.T) {
	h := start(t, []string{serve(t, says("mesh"))}, outbound(ir.EgressAllow, []string{"reviews"}, ""))
	if status, reason, _ := h.fetch(h.through(), "http://"+h.addr+"/"); status != 502 || reason != "LoopDetected" {
		t.Error(status, reason)
	}
	if _, _, status := h.connectTo(h.addr, ""); status != 502 {
		t.Error("tunnel:", status)
	}
}

// Without redirection nothing is captured: a listener that is no proxy refuses it.
func TestNotCaptured(t *testing.T) {
	h := start(t, []string{serve(t, says("mesh"))}, func(cfg *ir.Config) {
		l := cfg.Listeners[0]
		l.Captured = true
		l.Sections[0].Destinations = []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:80")}
	})
	if !h.refused() {
		t.Error("a connection to the listener itself was taken")
	}
}

// Requests that were sent whole to a proxy keep nothing of what was for the proxy.
func TestProxyHeadersStay(t *testing.T) {
	var got http.Header
	outside := serve(t, func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Clone() })
	h := start(t, []string{serve(t, says("mesh"))}, outbound(ir.EgressAllow, []string{"reviews"}, ""))
	c := h.connect()
	fmt.Fprintf(c, "GET http://%s/ HTTP/1.1\r\nHost: %s\r\nProxy-Authorization: Basic eDp5\r\nProxy-Connection: keep-alive\r\n\r\n", outside, outside)
	if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
		t.Fatal(err)
	}
	for name := range got {
		if strings.HasPrefix(name, "Proxy-") {
			t.Error("sent on:", name)
		}
	}
}
