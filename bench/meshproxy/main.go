// Command meshproxy is the data plane of one sidecar, for the benchmark: it has the
// configuration and the identity that a control plane would give it, and nothing else
// of one. Only bench runs it.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy"
)

// What both sides agree on.
const (
	server     = "spiffe://bench/ns/bench/sa/server"
	serverName = "80.server.bench.mesh"
)

type options struct {
	listen, to, kind, cert, key, ca, profiles string
	inbound                         bool
	services                        int
}

func main() {
	var o options
	flag.StringVar(&o.listen, "listen", "", "IP:PORT to listen at")
	flag.StringVar(&o.to, "to", "", "IP:PORT of the application, or of the other sidecar")
	flag.StringVar(&o.kind, "kind", "http", "http, http2 or tcp: what the application speaks")
	flag.BoolVar(&o.inbound, "inbound", false, "beside the application that is called, not the one that calls")
	flag.StringVar(&o.cert, "cert", "", "file with the SVID")
	flag.StringVar(&o.key, "key", "", "file with its key")
	flag.StringVar(&o.ca, "ca", "", "file with the trust bundle")
	flag.StringVar(&o.profiles, "profiles", "", "Unix socket at which to give CPU profiles")
	flag.IntVar(&o.services, "services", 1, "services to know, for its memory")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "meshproxy:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	ids, err := load(o)
	if err != nil {
		return err
	}
	cfg, err := config(o)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := proxy.New(proxy.Options{Identities: ids})
	if err := p.Apply(ctx, cfg); err != nil {
		return err
	}
	if o.profiles != "" {
		var lc net.ListenConfig
		ln, err := lc.Listen(ctx, "unix", o.profiles)
		if err != nil {
			return err
		}
		s := &http.Server{Handler: http.HandlerFunc(pprof.Profile), ReadHeaderTimeout: time.Second}
		defer s.Close()
		go func() { _ = s.Serve(ln) }() // until it is closed
	}
	<-ctx.Done()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = p.Shutdown(ctx) // connections of the load may be left
	return nil
}

// config is a listener with one way through it, beside services that nobody asks for.
func config(o options) (*ir.Config, error) {
	host, text, err := net.SplitHostPort(o.listen)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, err
	}
	section := &ir.Section{Name: "Gateway/bench/mesh/app", Protocol: ir.HTTP}
	l := &ir.Listener{
		Name: o.listen, Address: host, Port: uint16(port), Protocol: ir.HTTP, Sections: []*ir.Section{section},
		Client: ir.ClientPolicy{
			MaxHeaderBytes: 32 << 10, MaxHeaderCount: 100, MaxConcurrentStreams: 1024,
			HeaderTimeout: time.Minute, IdleTimeout: time.Hour, HandshakeTimeout: 10 * time.Second, BodyIdleTimeout: time.Minute,
		},
	}
	end := ir.Endpoint{Address: o.to, Weight: 1}
	if o.inbound {
		l.Protocol, l.Mesh = ir.HTTPS, true
		section.ServerNames = []string{serverName}
	} else {
		end.Identity, end.ServerName = server, serverName
	}
	cfg := &ir.Config{Revision: 1, Listeners: []*ir.Listener{l}}
	for i := range max(o.services, 1) {
		c := &ir.Cluster{
			Name: "Service/bench/server-" + strconv.Itoa(i), Protocol: ir.HTTP, HTTP2: o.kind == "http2", ConnectTimeout: 5 * time.Second, Hash: 1,
			Balance: ir.Balance{Algorithm: ir.RoundRobin}, Pool: ir.Pool{IdleTimeout: time.Hour}, Endpoints: []ir.Endpoint{end},
		}
		if i > 0 {
			c.Endpoints = []ir.Endpoint{{Address: "127.0.0.1:1", Weight: 1, Identity: server, ServerName: strconv.Itoa(i) + ".other.bench.mesh"}}
		}
		cfg.Clusters = append(cfg.Clusters, c)
		backends := []ir.BackendRef{{Cluster: c.Name, Weight: 1}}
		name := "HTTPRoute/bench/server-" + strconv.Itoa(i)
		if o.kind == "tcp" {
			c.Protocol = ir.TCP
			cfg.Streams = append(cfg.Streams, &ir.StreamRoute{Name: name, ID: name, Backends: backends})
			continue
		}
		match := ir.Match{Path: ir.PathMatch{Type: ir.Prefix, Value: "/"}}
		cfg.Routes = append(cfg.Routes, &ir.Route{Name: name, Rules: []*ir.Rule{{ID: name, Matches: []ir.Match{match}, Backends: backends}}})
	}
	if o.kind == "tcp" {
		section.Protocol = ir.TCP
		section.Streams = []ir.Attachment{{Route: cfg.Streams[0].Name, Hostnames: []string{""}}}
		if !o.inbound {
			l.Protocol = ir.TCP
		}
		return cfg, nil
	}
	for i, r := range cfg.Routes {
		hostname := ""
		if i > 0 {
			hostname = fmt.Sprintf("server-%d.bench", i)
		}
		section.Routes = append(section.Routes, ir.Attachment{Route: r.Name, Hostnames: []string{hostname}})
	}
	return cfg, nil
}

// identities are one SVID and one root.
type identities struct {
	own   *tls.Certificate
	roots *x509.CertPool
}

func load(o options) (*identities, error) {
	cert, err := tls.LoadX509KeyPair(o.cert, o.key)
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(o.ca)
	if err != nil {
		return nil, err
	}
	ids := &identities{own: &cert, roots: x509.NewCertPool()}
	if !ids.roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s has no certificate", o.ca)
	}
	return ids, nil
}

// Certificate implements tlsx.Identities, as do the methods that follow.
func (i *identities) Certificate(string) (*tls.Certificate, error) { return i.own, nil }

func (i *identities) VerifyPeer(chain []*x509.Certificate) (string, error) {
	if len(chain[0].URIs) != 1 {
		return "", errors.New("an SVID has one URI")
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: i.roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return chain[0].URIs[0].String(), err
}

func (i *identities) WatchDenied(func(func(id, serial string) bool)) func() { return func() {} }
