package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// duplex is a connection of which each direction ends by itself.
type duplex interface {
	net.Conn
	CloseWrite() error
}

// trickle writes pieces for about a second and a half, and ends the stream.
func trickle(c duplex) error {
	tick := time.NewTicker(pieceTick)
	defer tick.Stop()
	for i := range pieces {
		<-tick.C
		if _, err := fmt.Fprintf(c, "%04d", i); err != nil {
			return err
		}
	}
	return c.CloseWrite()
}

// halfway is a server of which, as the first line asks for, the client's stream
// or its own ends long before the other. It tells what it got.
func halfway(t *testing.T, config *tls.Config, got chan<- string) string {
	t.Helper()
	return serveTCP(t, func(raw *net.TCPConn) {
		_ = raw.SetDeadline(time.Now().Add(6 * patience))
		c := duplex(raw)
		if config != nil {
			c = tls.Server(raw, config)
		}
		r := bufio.NewReader(c)
		line, err := r.ReadString('\n')
		if err != nil {
			got <- err.Error()
			return
		}
		if line == "server first\n" {
			fmt.Fprint(c, "bye")
			err = c.CloseWrite()
		}
		b, rerr := io.ReadAll(r)
		if line == "client first\n" && rerr == nil {
			err = trickle(c)
		}
		if err == nil {
			err = rerr
		}
		got <- fmt.Sprintf("%s %v", b, err)
		_, _ = io.Copy(io.Discard, raw) // the end of the connection is the other side's
	})
}

// The end of either direction is kept whatever is TLS, with data in the other
// for as long as there is some.
func TestHalfCloseOfEveryKind(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "ca")
	cert, key := ca.issue("db.test")
	pair := ca.pair("db.test")
	serverTLS := &tls.Config{Certificates: []tls.Certificate{pair}}
	got := map[string]chan string{}
	ports := map[string]int{}
	docs := []string{caDoc("ca", ca.pem), secretDoc("db", cert, key)}
	var listeners []string
	kinds := []struct{ name, listener, upstream, client string }{
		{"plain", "TCP", "", ""},
		{"plain-tls", "TCP", "tls", ""},
		{"passed", "TLS, hostname: db.test, tls: {mode: Passthrough}", "inside", "tls"},
		{"ended", "TLS, hostname: db.test, tls: {mode: Terminate, certificateRefs: [{name: db}]}", "", "tls"},
		{"ended-tls", "TLS, hostname: db.test, tls: {mode: Terminate, certificateRefs: [{name: db}]}", "tls", "tls"},
	}
	for _, k := range kinds {
		got[k.name], ports[k.name] = make(chan string, 1), ownPort(t)
		listeners = append(listeners, on(k.name, k.listener, ports[k.name]))
		config := serverTLS
		if k.upstream == "" {
			config = nil
		}
		backend := backendDoc(k.name, halfway(t, config, got[k.name]))
		if k.upstream == "tls" {
			backend += "  protocol: https\n  tls: {serverName: db.test, caCertificateRefs: [{group: \"\", kind: ConfigMap, name: ca}]}\n"
		}
		kind, more := "TCPRoute", ""
		if k.client == "tls" {
			kind, more = "TLSRoute", "hostnames: [db.test]\n"
		}
		docs = append(docs, backend, streamRoute(kind, k.name, more, k.name))
	}
	start(t, documents(append(docs, gatewayOn("", listeners...))...))
	var sent strings.Builder
	for i := range pieces {
		fmt.Fprintf(&sent, "%04d", i)
	}
	for _, k := range kinds {
		connect := func(t *testing.T, version uint16) duplex {
			raw, err := net.DialTimeout("tcp", "127.0.0.1:"+strconv.Itoa(ports[k.name]), patience)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { raw.Close() })
			_ = raw.SetDeadline(time.Now().Add(6 * patience))
			if k.client == "tls" {
				return tls.Client(raw, &tls.Config{ServerName: "db.test", RootCAs: ca.pool, MaxVersion: version})
			}
			return raw.(duplex)
		}
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			for _, version := range []uint16{tls.VersionTLS13, tls.VersionTLS12} {
				c := connect(t, version)
				fmt.Fprint(c, "client first\nquestion")
				if err := c.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if b, err := io.ReadAll(c); err != nil || string(b) != sent.String() {
					t.Errorf("TLS %x, the client first: it got %q, %v", version, b, err)
				}
				c.Close()
				if s := <-got[k.name]; s != "question <nil>" {
					t.Errorf("TLS %x, the client first: the server got %q", version, s)
				}
				c = connect(t, version)
				fmt.Fprint(c, "server first\n")
				if b, err := io.ReadAll(c); err != nil || string(b) != "bye" {
					t.Errorf("TLS %x, the server first: the client got %q, %v", version, b, err)
				}
				if err := trickle(c); err != nil {
					t.Errorf("TLS %x, the server first: %v", version, err)
				}
				if s := <-got[k.name]; s != sent.String()+" <nil>" {
					t.Errorf("TLS %x, the server first: the server got %q", version, s)
				}
				c.Close()
				if k.client == "" {
					break
				}
			}
		})
	}
}
