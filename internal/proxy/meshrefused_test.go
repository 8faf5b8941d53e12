package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/tlsx"
	"github.com/gridway/gridway/internal/wire/tlsx/meshtest"
)

// lines is a log that tests look into.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), text)
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func sayHello(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }

// Whoever is not who the other side wants gets no request through, and both logs say
// who was wanted and who came.
func TestMeshRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		change         func(m *meshPair, foreign *meshtest.Authority)
		client, server string // what their logs say
	}{
		"another identity": {
			change: func(m *meshPair, _ *meshtest.Authority) {
				m.svcID.Add(reviewsID, m.authority.Issue(ratingsID, time.Hour))
			},
			client: "the peer is " + ratingsID + ", not " + reviewsID,
		},
		"the server's has expired": {
			change: func(m *meshPair, _ *meshtest.Authority) {
				m.svcID.Add(reviewsID, m.authority.Issue(reviewsID, -time.Minute))
			},
			client: "certificate has expired",
		},
		"the client's has expired": {
			change: func(m *meshPair, _ *meshtest.Authority) {
				m.clientID.Add(shopID, m.authority.Issue(shopID, -time.Minute))
			},
			client: "it does not accept this proxy's identity", server: "identity=" + shopID + " error=\"x509: certificate has expired",
		},
		"the server is foreign": {
			change: func(m *meshPair, foreign *meshtest.Authority) {
				m.svcID.Add(reviewsID, foreign.Issue(reviewsID, time.Hour))
			},
			client: "who is to be " + reviewsID + " and shows the certificate of " + reviewsID,
		},
		"the client is foreign": {
			change: func(m *meshPair, foreign *meshtest.Authority) {
				m.clientID.Add(shopID, foreign.Issue(shopID, time.Hour))
			},
			client: "it does not accept this proxy's identity", server: "a peer was refused",
		},
		"the client is denied": {
			change: func(m *meshPair, _ *meshtest.Authority) { m.svcID.Deny(shopID) },
			client: "it does not accept this proxy's identity", server: "it is denied",
		},
		"the server is denied": {
			change: func(m *meshPair, _ *meshtest.Authority) { m.clientID.Deny(reviewsID) },
			client: "it is denied",
		},
		"another service is asked for": {
			change: func(m *meshPair, _ *meshtest.Authority) {
				m.client.edit().Clusters[0].Endpoints[0].ServerName = "9080.ratings.default.mesh"
				m.client.apply()
			},
			client: "unrecognized name", server: "server_name=9080.ratings.default.mesh",
		},
		"no SVID": {
			change: func(m *meshPair, _ *meshtest.Authority) { m.clientID.Add(shopID, nil) },
			client: "no certificate for this proxy: there is no SVID of",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var client, server lines
			m := startLoggedMesh(t, serve(t, sayHello), client.logger(), server.logger())
			c.change(m, meshtest.NewAuthority(t))
			resp, _ := m.client.get("/")
			if resp.StatusCode != 502 || resp.Header.Get("X-Gridway-Reason") != "MeshTLSFailure" {
				t.Errorf("%s %s", resp.Status, resp.Header.Get("X-Gridway-Reason"))
			}
			if !client.has(c.client) {
				t.Errorf("the client's log:\n%s", client.b.String())
			}
			waitFor(t, "the server's log", func() bool { return server.has(c.server) })
		})
	}
}

// Nobody comes in without a certificate, or with another version of TLS.
func TestMeshStrangers(t *testing.T) {
	m := startMesh(t, serve(t, sayHello))
	for name, c := range map[string]*tls.Config{
		"no certificate": {ServerName: reviewsAt, NextProtos: []string{"h2"}},
		"TLS 1.2":        {ServerName: reviewsAt, NextProtos: []string{"h2"}, MaxVersion: tls.VersionTLS12},
		"HTTP/1.1":       {ServerName: reviewsAt, NextProtos: []string{"http/1.1"}, Certificates: []tls.Certificate{*m.authority.Issue(shopID, time.Hour)}},
		"no ALPN":        {ServerName: reviewsAt, Certificates: []tls.Certificate{*m.authority.Issue(shopID, time.Hour)}},
	} {
		t.Run(name, func(t *testing.T) {
			c.InsecureSkipVerify = true
			conn, err := tls.Dial("tcp", m.server.addr, c)
			if err != nil {
				return
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			conn.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
			if b, err := io.ReadAll(conn); bytes.Contains(b, []byte("HTTP/1.1 200")) {
				t.Errorf("served: %q %v", b, err)
			}
		})
	}
	conn, err := net.Dial("tcp", m.server.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if b, _ := io.ReadAll(conn); bytes.Contains(b, []byte("200 OK")) {
		t.Errorf("plain HTTP was served: %q", b)
	}
}

// A connection is cut when its peer is denied, whichever side hears of it.
func TestMeshDeniedInFlight(t *testing.T) {
	for name, deny := range map[string]func(m *meshPair){
		"the client, at the server":   func(m *meshPair) { m.svcID.Deny(shopID) },
		"the server, at the client":   func(m *meshPair) { m.clientID.Deny(reviewsID) },
		"the client's serial number":  func(m *meshPair) { m.svcID.Deny(serialOf(t, m.clientID, shopID)) },
		"the server's, and by itself": func(m *meshPair) { m.clientID.Deny(serialOf(t, m.svcID, reviewsID)) },
	} {
		t.Run(name, func(t *testing.T) {
			m := startMesh(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "first\n")
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			}))
			resp, err := http.Get("http://" + m.client.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			r := bufio.NewReader(resp.Body)
			if line, err := r.ReadString('\n'); err != nil {
				t.Fatal(line, err)
			}
			deny(m)
			if _, err := r.ReadByte(); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("the rest: %v", err)
			}
			resp, _ = m.client.get("/")
			if reason := resp.Header.Get("X-Gridway-Reason"); reason != "MeshTLSFailure" {
				t.Errorf("afterwards: %s %s", resp.Status, reason)
			}
		})
	}
}

// Renewed certificates and new roots change nothing for whoever is under way, and
// serve the handshakes that come.
func TestMeshRotationUnderLoad(t *testing.T) {
	m := startMesh(t, serve(t, sayHello), func(client, _ *ir.Config) {
		client.Clusters[0].Pool.MaxRequests = 20 // so that there are handshakes
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for ctx.Err() == nil {
				resp, err := http.Get("http://" + m.client.addr)
				if err != nil {
					t.Error(err)
					return
				}
				if resp.StatusCode != 200 {
					t.Error(resp.Status, resp.Header.Get("X-Gridway-Reason"))
				}
				resp.Body.Close()
			}
		})
	}
	old := m.authority
	for range 3 {
		next := meshtest.NewAuthority(t)
		for _, ids := range []*meshtest.Identities{m.clientID, m.svcID} {
			ids.Trust(old, next)
		}
		m.svcID.Add(reviewsID, next.Issue(reviewsID, time.Hour))
		m.some(t, 50)
		m.clientID.Add(shopID, next.Issue(shopID, time.Hour))
		for _, ids := range []*meshtest.Identities{m.clientID, m.svcID} {
			ids.Trust(next)
		}
		m.some(t, 50)
		old = next
	}
	cancel()
	load.Wait()
}

// some makes requests one after another.
func (m *meshPair) some(t *testing.T, n int) {
	t.Helper()
	for range n {
		if resp, _ := m.client.get("/"); resp.StatusCode != 200 {
			t.Error(resp.Status, resp.Header.Get("X-Gridway-Reason"))
		}
	}
}

func serialOf(t *testing.T, ids *meshtest.Identities, id string) string {
	cert, err := ids.Certificate(id)
	if err != nil {
		t.Fatal(err)
	}
	return tlsx.Serial(cert.Leaf)
}
