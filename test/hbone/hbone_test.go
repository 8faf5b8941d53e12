package hbone_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"istio.io/istio/pkg/hbone"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/wire/tlsx"
	"github.com/gridway/gridway/internal/wire/tlsx/meshtest"
)

const (
	clientID = "spiffe://example.org/ns/default/sa/client"
	serverID = "spiffe://example.org/ns/default/sa/server"
	patience = 30 * time.Second
)

// echo answers what it gets, and says goodbye when the client has said all.
func echo(t *testing.T) netip.AddrPort {
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
			go func() {
				defer c.Close()
				io.WriteString(c, "welcome ") // servers that speak first
				io.Copy(c, c)
				io.WriteString(c, " goodbye")
			}()
		}
	}()
	return netip.MustParseAddrPort(ln.Addr().String())
}

// run starts a proxy with one listener and one stream route to an endpoint.
func run(t *testing.T, ids tlsx.Identities, l *ir.Listener, e ir.Endpoint) string {
	t.Helper()
	l.Name, l.Address = "127.0.0.1:0", "127.0.0.1"
	l.Client = ir.ClientPolicy{HandshakeTimeout: patience, HeaderTimeout: patience, IdleTimeout: time.Minute, MaxHeaderBytes: 32 << 10, MaxHeaderCount: 100}
	l.Sections[0].Name = "Gateway/default/mesh/app"
	l.Sections[0].Streams = []ir.Attachment{{Route: "TCPRoute/default/app", Hostnames: []string{""}}}
	cluster := &ir.Cluster{Name: "app", Protocol: ir.TCP, ConnectTimeout: patience, Balance: ir.Balance{Algorithm: ir.RoundRobin}, Endpoints: []ir.Endpoint{e}, Hash: 1}
	p := proxy.New(proxy.Options{Identities: ids})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		p.Shutdown(ctx)
	})
	if err := p.Apply(t.Context(), &ir.Config{
		Listeners: []*ir.Listener{l}, Clusters: []*ir.Cluster{cluster},
		Streams: []*ir.StreamRoute{{Name: "TCPRoute/default/app", ID: "TCPRoute/default/app/rules/0", Backends: []ir.BackendRef{{Cluster: "app", Weight: 1}}}},
	}); err != nil {
		t.Fatal(err)
	}
	for _, at := range p.Listening() {
		return at.String()
	}
	t.Fatal("nothing listens")
	return ""
}

// talk says a megabyte over a connection and hears it again.
func talk(c net.Conn, half bool) error {
	c.SetDeadline(time.Now().Add(patience))
	want := "welcome "
	b := make([]byte, len(want))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != want {
		return fmt.Errorf("the greeting is %q: %w", b, err)
	}
	const size = 1 << 20
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, size))
		if err == nil && half {
			err = c.(*net.TCPConn).CloseWrite()
		}
		sent <- err
	}()
	if _, err := io.ReadFull(c, make([]byte, size)); err != nil {
		return fmt.Errorf("the echo: %w", err)
	}
	if err := <-sent; err != nil || !half {
		return err
	}
	if rest, err := io.ReadAll(c); err != nil || string(rest) != " goodbye" {
		return fmt.Errorf("the end is %q: %w", rest, err)
	}
	return nil
}

// Istio's client gets to an application behind a proxy of Gridway.
func TestIstioClient(t *testing.T) {
	a := meshtest.NewAuthority(t)
	app := echo(t)
	at := run(t, meshtest.New(a, serverID), &ir.Listener{
		Protocol: ir.HTTPS, Mesh: true, Sections: []*ir.Section{{Protocol: ir.TCP, ServerNames: []string{"9080.app.default.mesh"}}},
	}, ir.Endpoint{Address: app.String(), Weight: 1})
	dialer := func(id string) hbone.Dialer {
		return hbone.NewDialer(hbone.Config{ProxyAddress: at, TLS: &tls.Config{
			ServerName: "9080.app.default.mesh", InsecureSkipVerify: true, NextProtos: []string{"h2"},
			Certificates: []tls.Certificate{*a.Issue(id, time.Hour)},
			VerifyConnection: func(s tls.ConnectionState) error {
				if got := tlsx.PeerOf(&s).ID; got != serverID {
					return errors.New("the server is " + got)
				}
				return nil
			},
		}})
	}
	d := dialer(clientID)
	for range 3 {
		c, err := d.Dial("tcp", "10.0.0.1:9080")
		if err != nil {
			t.Fatal(err)
		}
		if err := talk(c, false); err != nil {
			t.Error(err)
		}
		c.Close()
	}
	foreign := meshtest.NewAuthority(t)
	a = foreign
	if c, err := dialer(clientID).Dial("tcp", "10.0.0.1:9080"); err == nil {
		c.Close()
		t.Error("an identity of another authority was let in")
	}
}

// A proxy of Gridway gets to an application behind Istio's server.
func TestIstioServer(t *testing.T) {
	a := meshtest.NewAuthority(t)
	app := echo(t)
	roots := x509.NewCertPool()
	roots.AddCert(a.Root())
	srv := hbone.NewServer()
	srv.Protocols.SetHTTP2(true)
	srv.TLSConfig = &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*a.Issue(serverID, time.Hour)},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots,
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); srv.ServeTLS(ln, "", "") }()
	t.Cleanup(func() { srv.Close(); <-served })
	at := run(t, meshtest.New(a, clientID), &ir.Listener{Protocol: ir.TCP, Sections: []*ir.Section{{Protocol: ir.TCP}}}, ir.Endpoint{
		Address: ln.Addr().String(), Weight: 1, Identity: serverID, ServerName: fmt.Sprintf("%d.app.default.mesh", app.Port()),
	})
	for range 3 {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		if err := talk(c, true); err != nil {
			t.Error(err)
		}
		c.Close()
	}
}
