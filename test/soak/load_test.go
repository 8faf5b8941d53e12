package soak

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// config is the nth variant: endpoints move, routes and settings come and go.
func (s *soak) config(n int) string {
	var b strings.Builder
	b.WriteString(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: gridway
  listeners: [{name: http, port: 8080, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app}
spec:
  parentRefs: [{name: edge}]
  rules:
`)
	for i := range n % 5 {
		fmt.Fprintf(&b, "  - {matches: [{path: {value: /unused-%d}}], backendRefs: [{group: gridway.dev, kind: Backend, name: stable}]}\n", i)
	}
	for _, r := range []struct{ name, backend string }{{"stable", "stable"}, {"retried", "mortal"}, {"hedged", "mortal"}, {"bare", []string{"mortal", "multiplexed"}[n%2]}} {
		fmt.Fprintf(&b, "  - {name: %s, matches: [{path: {value: /%s}}], backendRefs: [{group: gridway.dev, kind: Backend, name: %s}]", r.name, r.name, r.backend)
		if r.name == "stable" && n%3 == 0 {
			b.WriteString(", filters: [{type: RequestMirror, requestMirror: {percent: 20, backendRef: {group: gridway.dev, kind: Backend, name: mortal}}}]")
		}
		b.WriteString("}\n")
	}
	policy := func(rule, spec string) {
		fmt.Fprintf(&b, `---
apiVersion: gridway.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: %s}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: app, sectionName: %s}]
  %s
`, rule, rule, spec)
	}
	retry := fmt.Sprintf("retry: {attempts: 4, retryOn: [ConnectFailure, Reset], methods: [GET, POST], maxReplayBytes: 1048576, backoff: {base: %dms}}", 2+n%4)
	policy("retried", retry)
	policy("hedged", retry+"\n  hedge: {delay: 20ms}")
	policy("bare", "retry: {attempts: 0}")
	policy("stable", []string{"compression: {}", "loadBalancer: {algorithm: PeakEWMA}", "buffer: {responseBytes: 10000000}"}[n%3])
	for name, targets := range map[string][]*target{"stable": s.stable, "mortal": s.mortal, "multiplexed": s.mortal} {
		fmt.Fprintf(&b, "---\napiVersion: gridway.dev/v1alpha1\nkind: Backend\nmetadata: {name: %s}\nspec:\n", name)
		if name == "multiplexed" || name == "stable" && n%2 == 1 {
			b.WriteString("  protocol: h2c\n")
		}
		b.WriteString("  endpoints:\n")
		for i, m := range targets {
			if name == "stable" && n%4 == i { // moves out and back again
				continue
			}
			fmt.Fprintf(&b, "  - {address: %q}\n", m.addr)
		}
	}
	return b.String()
}

// target is a server that can be taken down.
type target struct {
	t    *testing.T
	addr string
	mu   sync.Mutex
	srv  *http.Server // guarded by mu; nil while down
}

func startTarget(t *testing.T) *target {
	m := &target{t: t, addr: "127.0.0.1:0"}
	m.on()
	t.Cleanup(m.off)
	return m
}

func (m *target) on() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		l, err := net.Listen("tcp", m.addr)
		if err != nil {
			pause(context.Background(), 5*time.Millisecond)
			continue
		}
		if m.srv == nil && m.addr == "127.0.0.1:0" { // never changes again: it is read without the lock
			m.addr = l.Addr().String()
		}
		m.srv = &http.Server{Handler: http.HandlerFunc(answer), Protocols: protocols(true, true)}
		go func(srv *http.Server) {
			if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				m.t.Error(err)
			}
		}(m.srv)
		return
	}
}

func (m *target) off() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.srv != nil {
		m.srv.Close()
		m.srv = nil
	}
}

var bulk = bytes.Repeat([]byte("0123456789abcdef"), 64<<10)

// answer returns ?size bytes, or the checksum of the body.
func answer(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		h := crc32.NewIEEE()
		if _, err := io.Copy(h, r.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintf(w, "%08x", h.Sum32())
		return
	}
	size, _ := strconv.Atoi(r.URL.Query().Get("size"))
	w.Header().Set("Content-Type", "text/plain")
	if r.URL.Query().Get("chunked") == "" {
		w.Header().Set("Content-Length", strconv.Itoa(size))
	}
	w.Write(bulk[:size])
}

// newClient speaks HTTP/1.1 or HTTP/2.
func newClient(http2 bool) *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32, Protocols: protocols(!http2, http2)}, Timeout: 30 * time.Second}
}

func protocols(http1, http2 bool) *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(http1)
	p.SetUnencryptedHTTP2(http2)
	return &p
}

// traffic sends requests of all shapes, one after the other. A target that dies
// in the middle of a response cannot be replaced, so that bodies of mortal
// routes are short enough to come in one piece.
func (s *soak) traffic(ctx context.Context, client *http.Client, path string) {
	for ctx.Err() == nil {
		err := s.exchange(client, path)
		s.requests.Add(1)
		switch {
		case err == nil:
		case path == "/bare":
			s.excused.Add(1)
		default:
			if s.failed.Add(1) == 1 {
				s.firstFailure.Store(fmt.Sprintf("%s: %v", path, err))
			}
		}
	}
}

func (s *soak) exchange(client *http.Client, path string) error {
	size := rand.IntN(3000)
	if path == "/stable" && rand.IntN(20) == 0 {
		size = len(bulk)
	}
	if rand.IntN(4) == 0 {
		var body io.Reader = bytes.NewReader(bulk[:size])
		if rand.IntN(2) == 0 {
			body = io.MultiReader(body) // chunked
		}
		return s.check(client.Post("http://"+s.addr+path, "application/octet-stream", body))(fmt.Sprintf("%08x", crc32.ChecksumIEEE(bulk[:size])))
	}
	url := fmt.Sprintf("http://%s%s?size=%d", s.addr, path, size)
	if rand.IntN(2) == 0 {
		url += "&chunked=1"
	}
	return s.check(client.Get(url))(string(bulk[:size]))
}

func (s *soak) check(resp *http.Response, err error) func(want string) error {
	return func(want string) error {
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		switch {
		case err != nil:
			return fmt.Errorf("after %d bytes: %w", len(got), err)
		case resp.StatusCode != http.StatusOK:
			return fmt.Errorf("%d %s: %s", resp.StatusCode, resp.Header.Get("X-Gridway-Reason"), got)
		case string(got) != want:
			return fmt.Errorf("wrong body: %d bytes of %d", len(got), len(want))
		}
		return nil
	}
}

// slowReader takes a long response in small steps.
func (s *soak) slowReader(ctx context.Context) {
	for ctx.Err() == nil {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			s.t.Error(err)
			return
		}
		s.slow.Add(1)
		fmt.Fprintf(c, "GET /stable?size=%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", len(bulk))
		buf := make([]byte, 16<<10)
		for pause(ctx, time.Millisecond) {
			if _, err := c.Read(buf); err != nil {
				break
			}
		}
		c.Close()
	}
}

// slowWriter sends a request in small steps.
func (s *soak) slowWriter(ctx context.Context) {
	body := bulk[:2000]
	for ctx.Err() == nil {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			s.t.Error(err)
			return
		}
		s.slow.Add(1)
		text := fmt.Sprintf("POST /stable HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
		whole := true
		for len(text) > 0 && whole {
			n := min(100, len(text))
			c.Write([]byte(text[:n]))
			text = text[n:]
			whole = pause(ctx, 5*time.Millisecond)
		}
		if whole {
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err := s.check(resp, err)(fmt.Sprintf("%08x", crc32.ChecksumIEEE(body))); err != nil && s.failed.Add(1) == 1 {
				s.firstFailure.Store(fmt.Sprintf("slow writer: %v", err))
			}
		}
		c.Close()
	}
}

// goer goes away in the middle of things.
func (s *soak) goer(ctx context.Context) {
	for pause(ctx, 10*time.Millisecond) {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			s.t.Error(err)
			return
		}
		switch rand.IntN(6) {
		case 0:
			io.WriteString(c, "GET /stable HTTP/1.1\r\nHo")
		case 1:
			fmt.Fprintf(c, "GET /stable?size=%d HTTP/1.1\r\nHost: a\r\n\r\n", len(bulk))
		case 2:
			io.WriteString(c, "POST /retried HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\nonly some of it")
		case 3:
			io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM")
		case 4: // the request is GET http://a/stable, and its answer nobody's
			io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+"\x00\x00\x00\x04\x00\x00\x00\x00\x00"+
				"\x00\x00\x0e\x01\x05\x00\x00\x00\x01\x82\x86\x04\x07/stable\x41\x01a")
		}
		if rand.IntN(2) == 0 {
			c.(*net.TCPConn).SetLinger(0)
		}
		c.Close()
	}
}
