package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// Listeners, certificates, hostnames, routes, endpoints and settings change
// while requests are under way on what stays: none fails.
func TestChangesUnderLoad(t *testing.T) { // not parallel: it takes the whole machine
	ca := newAuthority(t, "servers")
	apps, addrs := several(t, 2)
	plain, secure, extra := ownPort(t), ownPort(t), ownPort(t)
	cert, key := ca.issue("a.example")
	yaml := func(n int) string {
		if n%3 == 1 {
			cert, key = ca.issue("a.example", fmt.Sprintf("n%d.example", n))
		}
		hostname := []string{"", ", hostname: a.example", `, hostname: "*.example"`}[n%3]
		listeners := []string{
			fmt.Sprintf("{name: http, port: %d, protocol: HTTP%s}", plain, hostname),
			fmt.Sprintf("{name: https, port: %d, protocol: HTTPS, hostname: a.example, tls: {certificateRefs: [{name: a}]}}", secure),
		}
		if n%2 == 1 {
			listeners = append(listeners, fmt.Sprintf("{name: extra, port: %d, protocol: HTTP}", extra),
				fmt.Sprintf("{name: other, port: %d, protocol: HTTP, hostname: other.example}", plain),
				fmt.Sprintf("{name: more, port: %d, protocol: HTTPS, hostname: \"*.example\", tls: {certificateRefs: [{name: a}]}}", secure))
		}
		rules := ""
		for i := range n % 4 {
			rules += fmt.Sprintf("- {matches: [{path: {value: /unused-%d}}], backendRefs: [{group: gridway.dev, kind: Backend, name: app}]}\n", i)
		}
		rules += "- {matches: [{path: {value: /app}}], backendRefs: [{group: gridway.dev, kind: Backend, name: app}]}\n"
		docs := []string{
			gatewayOn("", listeners...), secretDoc("a", cert, key), ruleDoc(rules), backendDoc("app", addrs[n%2], addrs[(n/2)%2]),
			policyDoc("edge", "Gateway", "edge", fmt.Sprintf("client: {limits: {bodyBytes: %d, headerCount: %d}, tls: {minVersion: \"1.%d\"}}", 1000+n, 50+n%7, 2+n%2)),
		}
		if n%5 == 0 {
			docs = append(docs, policyDoc("route", "HTTPRoute", "app", "loadBalancer: {algorithm: LeastRequest}\nretry: {attempts: 0}"))
		}
		return documents(docs...)
	}
	p := start(t, yaml(0))
	l := newLoad(t)
	config := &tls.Config{RootCAs: ca.pool, ServerName: "a.example", ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	const get, post = "GET /app HTTP/1.1\r\nHost: a.example\r\n\r\n", "POST /app HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
	for _, keep := range []bool{true, false} {
		for _, request := range []string{get, post} {
			l.add(keep, plain, nil, request, saying("a", "b"))
			l.add(keep, secure, config, request, saying("a", "b"))
		}
	}
	for n := 1; n <= 12 && l.failed.Load() == 0; n++ {
		p.reload(yaml(n))
		l.passed(20)
	}
	if n := l.end(); n < 200 || apps[0].requests.Load() == 0 || apps[1].requests.Load() == 0 {
		t.Errorf("%d requests, %d and %d at the endpoints", n, apps[0].requests.Load(), apps[1].requests.Load())
	}
}

// What a listener has begun it ends when it is removed, and its port can be
// opened again at once.
func TestRemovedListenerEndsItsWork(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			w.Write([]byte("begun,"))
			w.(http.Flusher).Flush()
			select {
			case <-release:
			case <-r.Context().Done():
				return
			}
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s", body)
	})
	stays, goes := ownPort(t), ownPort(t)
	yaml := func(both bool) string {
		listeners := []string{fmt.Sprintf("{name: stays, port: %d, protocol: HTTP}", stays)}
		if both {
			listeners = append(listeners, fmt.Sprintf("{name: goes, port: %d, protocol: HTTP}", goes))
		}
		return documents(gatewayOn("", listeners...), routeDoc("app", ""), backendDoc("app", app.addr))
	}
	p := start(t, yaml(true))
	long, upload := dialPort(t, goes), dialPort(t, goes)
	long.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	upload.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf,")
	eventually(t, "both are under way", func() bool { return app.requests.Load() == 2 })
	p.reload(yaml(false))
	eventually(t, "the port is closed", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", goes))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	p.reload(yaml(true))
	fresh := dialPort(t, goes)
	fresh.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nnew")
	if resp, body := fresh.mustRespond("POST"); resp.StatusCode != 200 || body != "new" || resp.Close {
		t.Errorf("the port opened again answers %d %q", resp.StatusCode, body)
	}
	upload.send("done.")
	if resp, body := upload.mustRespond("POST"); body != "half,done." || !resp.Close {
		t.Errorf("the upload got %d %q, close %v", resp.StatusCode, body, resp.Close)
	}
	close(release)
	if resp, body := long.mustRespond("GET"); body != "begun," {
		t.Errorf("the long response is %d %q", resp.StatusCode, body)
	}
	for name, c := range map[string]*wire{"long": long, "upload": upload} {
		if rest := c.rest(); rest != "" {
			t.Errorf("%s: then %q", name, rest)
		}
	}
}

// A port that changes its protocol speaks the new one with everybody: nothing
// is served without TLS any more, not even on connections that were open.
func TestProtocolChangeOfAPort(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "servers")
	cert, key := ca.issue("a.example")
	app := serve(t, forwarded)
	port := ownPort(t)
	yaml := func(protocol string) string {
		return documents(gatewayOn("", fmt.Sprintf("{name: l, port: %d, protocol: %s}", port, protocol)),
			secretDoc("a", cert, key), routeDoc("app", ""), backendDoc("app", app.addr))
	}
	const https = "HTTPS, tls: {certificateRefs: [{name: a}]}"
	p := start(t, yaml("HTTP"))
	const request = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
	open := dialPort(t, port)
	open.send(request)
	open.mustRespond("GET")
	p.reload(yaml(https))
	if _, err := exchangeOver(t, port, &tls.Config{RootCAs: ca.pool, ServerName: "a.example"}); err != nil {
		t.Errorf("TLS after the change: %v", err)
	}
	before := app.requests.Load()
	io.WriteString(open, request)
	resp, _ := open.mustRespond("GET")
	want(t, resp, 421, "MisdirectedRequest")
	if !resp.Close || app.requests.Load() != before {
		t.Error("a plain connection goes on on an HTTPS port")
	}
	tc, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{RootCAs: ca.pool, ServerName: "a.example"})
	if err != nil {
		t.Fatal(err)
	}
	secure := newWire(t, tc)
	secure.send(request)
	secure.mustRespond("GET")
	p.reload(yaml("HTTP"))
	plain := dialPort(t, port)
	plain.send(request)
	if resp, body := plain.mustRespond("GET"); resp.StatusCode != 200 || !strings.Contains(body, "proto=http ") {
		t.Errorf("HTTP after the change: %d %q", resp.StatusCode, body)
	}
}
