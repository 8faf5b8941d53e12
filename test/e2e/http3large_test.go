package e2e

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// largeContent is 10 MiB that look different everywhere.
var largeContent = sync.OnceValue(func() []byte {
	b := make([]byte, 10<<20)
	_, _ = rand.NewChaCha8([32]byte{'h', '3'}).Read(b)
	return b
})

// TestHTTP3Large sends 10 MiB up and down through every pair of protocols that has
// HTTP/3 in it.
func TestHTTP3Large(t *testing.T) {
	t.Parallel()
	content := largeContent()
	sum := fmt.Sprintf("%x", sha256.Sum256(content))
	handler := func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		if _, err := io.Copy(h, r.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("X-Sum", fmt.Sprintf("%x", h.Sum(nil)))
		w.Write(content)
	}
	h3, _ := h3Server(t, handler)
	config := &tls.Config{ServerName: "a.example", InsecureSkipVerify: true}
	one := &http.Transport{TLSClientConfig: config.Clone(), Protocols: new(http.Protocols)}
	one.Protocols.SetHTTP1(true)
	t.Cleanup(one.CloseIdleConnections)
	three := overHTTP3(t, "a.example")
	three.Timeout = 24 * patience
	for i, c := range []struct {
		name, app string
		client    *http.Client
	}{
		{"h3 to h1", backendDoc("app", serve(t, handler).addr), three},
		{"h3 to h2", h2cBackend(t, handler), three},
		{"h3 to h3", h3Backend("app", "", h3), three},
		{"h1 to h3", h3Backend("app", "", h3), &http.Client{Transport: one, Timeout: 24 * patience}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := http3Edge(t, "http3: {}", routeDoc("app", ""), c.app)
			r, _ := http.NewRequest("POST", "https://"+g.addr+"/", bytes.NewReader(content))
			r.Host = "a.example"
			if i%2 == 0 { // without Content-Length
				r.ContentLength, r.Body = -1, io.NopCloser(bytes.NewReader(content))
			}
			resp, err := c.client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes came down: %v", len(got), err)
			}
			if resp.Header.Get("X-Sum") != sum {
				t.Error("something else arrived")
			}
		})
	}
}

// TestHTTP3SlowReaders: responses that nobody takes wait at their endpoint, and
// neither take memory nor hold up others on the same connection.
func TestHTTP3SlowReaders(t *testing.T) { // not parallel: it measures the heap
	const slow, size = 20, 64 << 20
	var written atomic.Int64
	piece := make([]byte, 64<<10)
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/endless" {
			io.WriteString(w, "fine")
			return
		}
		for range size / len(piece) {
			n, err := w.Write(piece)
			written.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	g := http3Edge(t, "http3: {}, timeouts: {bodyIdle: 0s}", routeDoc("app", ""), backendDoc("app", app.addr))
	conn, err := quic.DialAddr(t.Context(), g.addr, h3TLS(nil), &quic.Config{
		MaxIdleTimeout: 4 * patience, InitialStreamReceiveWindow: 32 << 10, MaxStreamReceiveWindow: 32 << 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseWithError(0x100, "")
	client := new(http3.Transport).NewClientConn(conn)
	get := func(path string) *http.Response {
		t.Helper()
		r, _ := http.NewRequestWithContext(t.Context(), "GET", "https://a.example"+path, nil)
		resp, err := client.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	get("/").Body.Close()
	before := heapInUse()
	for range slow {
		get("/endless")
	}
	var at int64 // all stand still
	for still := 0; still < 20; {
		for range 10 {
			resp := get("/")
			if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "fine" {
				t.Fatalf("a neighbour got %q, %v", b, err)
			}
		}
		if now := written.Load(); now != at || now == 0 {
			at, still = now, 0
		} else {
			still++
		}
	}
	if grown := int64(heapInUse()) - int64(before); grown > 32<<20 {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
	if at > slow*size/4 {
		t.Errorf("%d MiB of what nobody takes were taken from the endpoint", at>>20)
	}
	t.Logf("%d KiB of each response were taken from the endpoint", at/slow>>10)
}
