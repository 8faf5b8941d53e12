package proxy_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/netx"
)

// server accepts connections and gives each to serve.
func server(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); serve(c) }()
		}
	}()
	return ln.Addr().String()
}

// named greets with its name, and then sends back what it gets.
func named(t *testing.T, name string) string {
	return server(t, func(c net.Conn) {
		io.WriteString(c, name+"\n")
		io.Copy(c, c)
	})
}

// closed is an address that nobody listens at.
func closed(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// streams turns the configuration into one of TCP, with a backend of weight 1 for
// each list of endpoints.
func streams(backends ...[]string) func(*ir.Config) {
	return func(cfg *ir.Config) {
		l := cfg.Listeners[0]
		l.Protocol = ir.TCP
		l.Sections[0].Routes = nil
		l.Sections[0].Streams = []ir.Attachment{{Route: "TCPRoute/default/app", Hostnames: []string{""}}}
		proto := *cfg.Clusters[0]
		cfg.Routes, cfg.Clusters = nil, nil
		r := &ir.StreamRoute{Name: "TCPRoute/default/app", ID: "TCPRoute/default/app/rules/0", Attempts: 1}
		for i, endpoints := range backends {
			c := proto
			c.Name, c.Protocol, c.Hash = "Backend/default/"+itoa(i)+"/tcp", ir.TCP, uint64(i+1)
			c.Endpoints = nil
			for _, e := range endpoints {
				c.Endpoints = append(c.Endpoints, ir.Endpoint{Address: e, Weight: 1})
			}
			cfg.Clusters = append(cfg.Clusters, &c)
			r.Backends = append(r.Backends, ir.BackendRef{Cluster: c.Name, Weight: 1})
		}
		cfg.Streams = []*ir.StreamRoute{r}
	}
}

func (h *harness) connect() *net.TCPConn {
	h.t.Helper()
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c.(*net.TCPConn)
}

// refused connects and tells whether that, or the connection, was reset.
func (h *harness) refused() bool {
	h.t.Helper()
	c, err := net.Dial("tcp", h.addr)
	if err == nil {
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		_, err = c.Read(make([]byte, 1))
	}
	return netx.IsReset(err)
}

// greeting reads the first line, "" if there is none.
func greeting(c net.Conn) string {
	line, _ := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSuffix(line, "\n")
}

func TestStreamServerSpeaksFirst(t *testing.T) {
	h := start(t, nil, streams([]string{named(t, "one")}))
	c := h.connect()
	if got := greeting(c); got != "one" {
		t.Fatalf("got %q", got)
	}
	io.WriteString(c, "hello")
	c.CloseWrite() // and still hears the answer
	if b, err := io.ReadAll(c); string(b) != "hello" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

func TestStreamWeights(t *testing.T) {
	h := start(t, nil, streams([]string{named(t, "a")}, []string{named(t, "b")}, []string{named(t, "c")}), func(cfg *ir.Config) {
		r := cfg.Streams[0]
		r.Backends[0].Weight, r.Backends[1].Weight, r.Backends[2].Weight = 3, 0, 1
		r.Backends[2].Cluster = "" // does not resolve: its share is refused
	})
	count := map[string]int{}
	for range 200 {
		c, err := net.Dial("tcp", h.addr)
		if err != nil { // refused while it was made
			count[""]++
			continue
		}
		count[greeting(c)]++
		c.Close()
	}
	if count["b"] != 0 || count["c"] != 0 || count["a"] < 110 || count[""] < 20 {
		t.Errorf("%v", count)
	}
}

// A refused connection is reset, not ended.
func TestStreamRefusals(t *testing.T) {
	gone := closed(t)
	for name, change := range map[string]func(*ir.Config){
		"no endpoint":    streams(nil),
		"nobody listens": streams([]string{gone}),
		"nobody, twice":  streams([]string{gone, closed(t)}),
		"no route":       func(cfg *ir.Config) { streams()(cfg); cfg.Listeners[0].Sections[0].Streams = nil },
		"no backend":     streams(),
		"too many of all": func(cfg *ir.Config) {
			streams([]string{gone})(cfg)
			cfg.Clusters[0].Breaker = &ir.Breaker{MaxConnections: 1, MaxPending: 1}
		},
	} {
		t.Run(name, func(t *testing.T) {
			if !start(t, nil, change).refused() {
				t.Error("not refused")
			}
		})
	}
}

func TestStreamTriesAnotherEndpoint(t *testing.T) {
	h := start(t, nil, streams([]string{closed(t), named(t, "well")}))
	for range 20 {
		if got := greeting(h.connect()); got != "well" {
			t.Fatalf("got %q", got)
		}
	}
}

func TestStreamLimits(t *testing.T) {
	h := start(t, nil, streams([]string{named(t, "one")}), func(cfg *ir.Config) {
		cfg.Streams[0].Idle = 100 * time.Millisecond
		cfg.Clusters[0].Breaker = &ir.Breaker{MaxRequests: 1}
	})
	first := h.connect()
	greeting(first)
	if !h.refused() {
		t.Error("two at once")
	}
	if _, err := first.Read(make([]byte, 1)); err != io.EOF {
		t.Error("idle:", err)
	}
	waitFor(t, "a place", func() bool { return !h.refused() })
}

// What is open goes on when the configuration changes, also without its route.
func TestStreamOutlivesItsRoute(t *testing.T) {
	h := start(t, nil, streams([]string{named(t, "one")}))
	c := h.connect()
	greeting(c)
	next := *h.cfg
	section := *next.Listeners[0].Sections[0]
	section.Streams = nil
	l := *next.Listeners[0]
	l.Sections = []*ir.Section{&section}
	next.Listeners, next.Streams, next.Clusters = []*ir.Listener{&l}, nil, nil
	h.cfg = &next
	h.apply()
	io.WriteString(c, "still")
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		t.Error(err)
	}
	if !h.refused() {
		t.Error("a new one was let in")
	}
}

// Shutdown waits for streams until its time is over, and then cuts them.
func TestStreamsAreCutAtTheEndOfADrain(t *testing.T) {
	h := start(t, nil, streams([]string{named(t, "one")}))
	c := h.connect()
	greeting(c)
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if err := h.proxy.Shutdown(ctx); err == nil {
		t.Error("nothing was cut")
	}
	if _, err := c.Read(make([]byte, 1)); !netx.IsReset(err) {
		t.Error(err)
	}
}

// secured adds sections with TLS: end.example ends here, *.pass.example at the
// endpoint, and web.example is HTTPS.
func secured(t *testing.T, plain, pass, web string) func(*ir.Config) {
	cert, key := selfSigned(t, "end.example", "a.pass.example", "web.example")
	return func(cfg *ir.Config) {
		httpRoutes, httpClusters := cfg.Routes, cfg.Clusters
		httpClusters[0].Endpoints = []ir.Endpoint{{Address: web, Weight: 1}}
		streams([]string{plain}, []string{pass})(cfg)
		cfg.Routes, cfg.Clusters = httpRoutes, append(cfg.Clusters, httpClusters...)
		two := *cfg.Streams[0]
		two.Name, two.Backends = "TLSRoute/default/pass", cfg.Streams[0].Backends[1:]
		cfg.Streams[0].Backends = cfg.Streams[0].Backends[:1]
		cfg.Streams = append(cfg.Streams, &two)
		tls := &ir.ServerTLS{Certificates: []*ir.Certificate{{Name: "c", Chain: cert, Key: key}}}
		l := cfg.Listeners[0]
		l.Protocol = ir.TLS
		l.Sections = []*ir.Section{
			{Name: "end", Protocol: ir.TLS, Hostname: "end.example", TLS: tls, Streams: []ir.Attachment{{Route: cfg.Streams[0].Name, Hostnames: []string{""}}}},
			{Name: "pass", Protocol: ir.TLS, Hostname: "*.pass.example", Passthrough: true, Streams: []ir.Attachment{{Route: two.Name, Hostnames: []string{"a.pass.example"}}}},
			{Name: "web", Protocol: ir.HTTPS, Hostname: "web.example", TLS: tls, Routes: []ir.Attachment{{Route: httpRoutes[0].Name, Hostnames: []string{"web.example"}}}},
		}
	}
}

func TestStreamTLS(t *testing.T) {
	cert, key := selfSigned(t, "a.pass.example")
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	pass := server(t, func(c net.Conn) {
		s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair}})
		if s.Handshake() != nil {
			return
		}
		io.WriteString(s, "inside "+s.ConnectionState().ServerName+"\n")
		io.Copy(s, s)
		s.CloseWrite()
	})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "web\n") }))
	t.Cleanup(web.Close)
	change := secured(t, named(t, "plain"), pass, web.Listener.Addr().String())
	h := start(t, nil, change)
	secure := func(name string, protos ...string) (*tls.Conn, error) {
		c := tls.Client(h.connect(), &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: protos})
		return c, c.Handshake()
	}
	for name, want := range map[string]string{"end.example": "plain", "A.Pass.example": "inside a.pass.example"} {
		c, err := secure(name, "postgresql") // ALPN of its own does not hurt
		if err != nil {
			t.Fatal(name, err)
		}
		if got := greeting(c); strings.ToLower(got) != want {
			t.Errorf("%s: got %q", name, got)
		}
		big := strings.Repeat("x", 1<<20)
		go func() { io.WriteString(c, big); c.CloseWrite() }()
		if b, err := io.ReadAll(c); len(b) != len(big) || err != nil {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
	c, err := secure("web.example")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: web.example\r\nConnection: close\r\n\r\n")
	if b, _ := io.ReadAll(c); !strings.HasPrefix(string(b), "HTTP/1.1 200") || !strings.HasSuffix(string(b), "web\n") {
		t.Errorf("HTTPS beside streams: %q", b)
	}
	for _, name := range []string{"b.pass.example", "other.example", ""} {
		if _, err := secure(name); !netx.IsReset(err) {
			t.Errorf("%q: %v", name, err)
		}
	}
	// What is not TLS, and a hello that is broken.
	for _, b := range []string{"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x00\x00"} {
		c := h.connect()
		io.WriteString(c, b)
		if _, err := io.ReadAll(c); err != nil && !netx.IsReset(err) {
			t.Errorf("%q: %v", b, err)
		}
	}
	// A hello in many segments.
	slow := tls.Client(slowly{h.connect()}, &tls.Config{ServerName: "a.pass.example", InsecureSkipVerify: true})
	if err := slow.Handshake(); err != nil {
		t.Error("in segments:", err)
	}
}

// slowly writes a few bytes at a time.
type slowly struct{ net.Conn }

func (s slowly) Write(b []byte) (int, error) {
	for part := range slices.Chunk(b, 50) {
		if _, err := s.Conn.Write(part); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func TestDetection(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "web\n") }))
	t.Cleanup(web.Close)
	change := secured(t, named(t, "plain"), named(t, "pass"), web.Listener.Addr().String())
	h := start(t, nil, change, func(cfg *ir.Config) {
		l := cfg.Listeners[0]
		l.Protocol, l.Client.DetectTimeout = ir.Detect, 50*time.Millisecond
		l.Sections = append(l.Sections,
			&ir.Section{Name: "http", Protocol: ir.HTTP, Routes: []ir.Attachment{{Route: cfg.Routes[0].Name, Hostnames: []string{""}}}},
			&ir.Section{Name: "tcp", Protocol: ir.TCP, Streams: []ir.Attachment{{Route: cfg.Streams[0].Name, Hostnames: []string{""}}}})
	})
	for text, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n": "HTTP/1.1 200 OK\r",
		"*1\r\n$4\r\nPING\r\n": "plain",
		"":                     "plain", // waits for the server
		"G":                    "plain", // and this one, too
	} {
		c := h.connect()
		io.WriteString(c, text)
		begun := time.Now()
		if got := greeting(c); got != want {
			t.Errorf("%q: got %q after %v", text, got, time.Since(begun))
		}
	}
	for _, text := range []string{"", "GE", "\x16"} { // says no more, and waits for the server
		c := h.connect()
		io.WriteString(c, text)
		c.CloseWrite()
		if b, err := io.ReadAll(c); string(b) != "plain\n"+text || err != nil {
			t.Errorf("%q and the end: %q, %v", text, b, err)
		}
	}
	c := tls.Client(h.connect(), &tls.Config{ServerName: "end.example", InsecureSkipVerify: true})
	if got := greeting(c); got != "plain" {
		t.Errorf("TLS: got %q", got)
	}
	c = tls.Client(h.connect(), &tls.Config{ServerName: "web.example", InsecureSkipVerify: true})
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: web.example\r\nConnection: close\r\n\r\n")
	if got := greeting(c); got != "HTTP/1.1 200 OK\r" {
		t.Errorf("HTTPS: got %q", got)
	}
}

// selfSigned makes a certificate for hostnames, as PEM.
func selfSigned(t *testing.T, hostnames ...string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: hostnames, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}
