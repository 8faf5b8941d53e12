package e2e

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// h3Server is an endpoint that speaks HTTP/3 alone. It counts connections.
func h3Server(t *testing.T, h http.HandlerFunc) (addr string, conns *atomic.Int64) {
	t.Helper()
	return h3ServerOf(t, 20, h)
}

// h3ServerOf takes that many requests at a time.
func h3ServerOf(t *testing.T, streams int64, h http.HandlerFunc) (addr string, conns *atomic.Int64) {
	t.Helper()
	srv := &http3.Server{Handler: h}
	addr, conns = h3Accept(t, streams, func(conn *quic.Conn, _ int64) { srv.ServeQUICConn(conn) })
	t.Cleanup(func() { srv.Close() })
	return addr, conns
}

// h3Accept has each connection, which it numbers from 1, served by serve.
func h3Accept(t *testing.T, streams int64, serve func(conn *quic.Conn, number int64)) (addr string, conns *atomic.Int64) {
	t.Helper()
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	conns = new(atomic.Int64)
	cert := newAuthority(t, "endpoints").pair("endpoint.example")
	ln, err := quic.ListenEarly(socket, http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{cert}}), &quic.Config{MaxIncomingStreams: streams})
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept(t.Context())
			if err != nil {
				return
			}
			number := conns.Add(1)
			serving.Go(func() { serve(conn, number) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		socket.Close()
		serving.Wait()
	})
	return socket.LocalAddr().String(), conns
}

func h3Backend(name, more string, addrs ...string) string {
	return strings.Replace(backendDoc(name, addrs...), "spec:\n", "spec:\n  protocol: h3\n  tls: {insecureSkipVerify: true}\n"+more, 1)
}

// TestHTTP3Endpoints sends what clients of HTTP/1, 2 and 3 send to an endpoint that
// speaks HTTP/3, and takes fewer streams than there are requests.
func TestHTTP3Endpoints(t *testing.T) {
	t.Parallel()
	addr, conns := h3Server(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("X-Got", fmt.Sprintf("%s %s %s %s %d end=%s", r.Proto, r.Method, r.Host, r.URL, len(body), r.Trailer.Get("X-End")))
		w.Write(body)
		w.Header().Set("X-Sum", fmt.Sprint(len(body)))
	})
	g := http3Edge(t, "http3: {}", routeDoc("app", ""), h3Backend("app", "", addr))
	config := &tls.Config{ServerName: "a.example", InsecureSkipVerify: true}
	one := &http.Transport{TLSClientConfig: config.Clone(), Protocols: new(http.Protocols)}
	one.Protocols.SetHTTP1(true)
	t.Cleanup(one.CloseIdleConnections)
	for name, client := range map[string]*http.Client{
		"h1": {Transport: one, Timeout: 4 * patience}, "h2": overHTTP2(t, config), "h3": overHTTP3(t, "a.example"),
	} {
		t.Run(name, func(t *testing.T) {
			var all sync.WaitGroup
			for i := range 40 {
				all.Go(func() {
					size := []int{0, 1, 1000, 70_000, 700_000}[i%5]
					body := bytes.Repeat([]byte{byte(i)}, size)
					r, _ := http.NewRequest("POST", "https://"+g.addr+fmt.Sprintf("/p%d?x=1", i), bytes.NewReader(body))
					r.Host = "a.example"
					if i%2 == 0 {
						r.ContentLength = -1
						r.Body = io.NopCloser(bytes.NewReader(body))
						r.Trailer = http.Header{"X-End": {"yes"}}
					}
					resp, err := client.Do(r)
					if err != nil {
						t.Error(err)
						return
					}
					defer resp.Body.Close()
					got, err := io.ReadAll(resp.Body)
					if err != nil || !bytes.Equal(got, body) {
						t.Errorf("%d of %d bytes came back: %v", len(got), size, err)
					}
					want := fmt.Sprintf("HTTP/3.0 POST a.example /p%d?x=1 %d end=", i, size)
					if i%2 == 0 {
						want += "yes"
					}
					if h := resp.Header.Get("X-Got"); h != want {
						t.Errorf("the server got %q, not %q", h, want)
					}
					// HTTP/1 has trailers with chunked content only.
					if resp.Trailer.Get("X-Sum") != fmt.Sprint(size) && (name != "h1" || resp.ContentLength < 0) {
						t.Errorf("trailer %v", resp.Trailer)
					}
				})
			}
			all.Wait()
		})
	}
	if n := conns.Load(); n > 3 {
		t.Errorf("%d connections to the endpoint", n)
	}
}

// TestHTTP3EndpointFailures: what is wrong with an endpoint is said as with the
// other protocols, and a retry goes elsewhere.
func TestHTTP3EndpointFailures(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	good, _ := h3Server(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			select {
			case <-r.Context().Done():
			case <-release:
			}
		case "/abort":
			w.Write([]byte("part"))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "/head":
			w.Header().Set("Content-Length", "7")
		default:
			io.WriteString(w, "fine")
		}
	})
	defer close(release)
	silent, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	g := serveYAML(t, documents(gatewayDoc,
		ruleDoc(`- matches: [{path: {type: PathPrefix, value: /silent}}]
  backendRefs: [{group: gridway.dev, kind: Backend, name: silent}]
- matches: [{path: {type: PathPrefix, value: /unknown}}]
  backendRefs: [{group: gridway.dev, kind: Backend, name: unknown}]
- matches: [{path: {type: PathPrefix, value: /slow}}]
  timeouts: {request: 300ms}
  backendRefs: [{group: gridway.dev, kind: Backend, name: good}]
- backendRefs: [{group: gridway.dev, kind: Backend, name: good}]
`), h3Backend("good", "", good), h3Backend("silent", "", silent.LocalAddr().String()),
		strings.Replace(h3Backend("unknown", "", good), "insecureSkipVerify: true", "subjectAltNames: [{type: Hostname, hostname: other.example}], wellKnownCACertificates: System", 1),
		`apiVersion: gridway.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: quick}
spec:
  targetRefs: [{group: gridway.dev, kind: Backend, name: silent}]
  timeouts: {connect: 300ms}
`))
	resp, body := g.get("/")
	if resp.StatusCode != 200 || body != "fine" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	resp, _, err = g.do(g.request("HEAD", "/head", nil))
	if err != nil || resp.ContentLength != 7 {
		t.Errorf("HEAD: %v", err)
	}
	resp, _ = g.get("/slow")
	want(t, resp, 504, "UpstreamTimeout")
	resp, _ = g.get("/silent")
	want(t, resp, 502, "UpstreamConnectFailure")
	resp, _ = g.get("/unknown")
	want(t, resp, 502, "UpstreamTLSFailure")
	if _, _, err := g.do(g.request("GET", "/abort", nil)); err == nil {
		t.Error("a response that was cut off looks whole")
	}
}

// TestHTTP3EndpointGone: an endpoint that ends its connection gets a new one, and no
// request is lost.
func TestHTTP3EndpointGone(t *testing.T) {
	t.Parallel()
	addr, conns := h3Server(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "fine") })
	g := serveYAML(t, documents(gatewayDoc, routeDoc("app", ""), h3Backend("app", "", addr), `apiVersion: gridway.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: pool}
spec:
  targetRefs: [{group: gridway.dev, kind: Backend, name: app}]
  connectionPool: {idleTimeout: 100ms}
`))
	if resp, body := g.get("/"); resp.StatusCode != 200 || body != "fine" {
		t.Fatalf("%d %q", resp.StatusCode, body)
	}
	eventually(t, "an idle connection to be closed, and another to be made", func() bool {
		pause := time.NewTimer(150 * time.Millisecond)
		<-pause.C
		resp, _ := g.get("/")
		return resp.StatusCode == 200 && conns.Load() > 1
	})
}
