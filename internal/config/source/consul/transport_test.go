package consul_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/config/source/consul"
	"github.com/gridway/gridway/internal/config/source/consul/consultest"
	"github.com/gridway/gridway/internal/config/source/discovery"
	"github.com/gridway/gridway/internal/ir"
)

// ask has one service asked for over a real connection, until it is known or an
// attempt has failed.
func ask(t *testing.T, agent *ir.ConsulAgent) (found []ir.EndpointUpdate, state discovery.State) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	h := discovery.New(discovery.Options{
		Sources: []discovery.Source{consul.New(consul.Options{Log: log, First: 300 * time.Millisecond})}, Update: func(ir.EndpointUpdate) {}, Log: log,
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { h.Run(ctx); close(done) }()
	defer func() { cancel(); <-done }()
	found = h.Prepare(ctx, []*ir.Cluster{clusterOf("c", ir.ConsulService{Service: "web", Agent: agent})})
	return found, h.States()[0]
}

func TestUnixSocket(t *testing.T) {
	agent := &consultest.Agent{Token: "t"}
	agent.Register(web("a", 1))
	path := filepath.Join(t.TempDir(), "consul.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(agent)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	defer s.Close()
	found, st := ask(t, &ir.ConsulAgent{Address: "unix:" + path, Token: "t"})
	if len(found) != 1 || told(found[0]) != "c: 127.0.0.1:1" || !st.Up() {
		t.Errorf("found %v, %+v", found, st)
	}
}

// A token goes to the agent that it is for, not where that leads.
func TestRedirectIsNotFollowed(t *testing.T) {
	elsewhere := make(chan string, 10)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { elsewhere <- r.Header.Get("X-Consul-Token") }))
	defer other.Close()
	s := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer s.Close()
	_, st := ask(t, &ir.ConsulAgent{Address: s.URL, Token: "t"})
	if len(elsewhere) > 0 || !strings.Contains(st.Err, "307") {
		t.Errorf("%d followed it, %+v", len(elsewhere), st)
	}
}

func TestTLS(t *testing.T) {
	agent := &consultest.Agent{}
	agent.Register(web("a", 1))
	s := httptest.NewUnstartedServer(agent)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.EnableHTTP2 = true
	client, pool := clientCertificate(t)
	s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	defer s.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	for name, c := range map[string]struct {
		tls *ir.UpstreamTLS
		err string // a part of it; "?" is whatever the transport makes of it
	}{
		"verified both ways":    {&ir.UpstreamTLS{CA: ca, ServerName: "example.com", Certificate: client}, ""},
		"by another name":       {&ir.UpstreamTLS{CA: ca, ServerName: "other.example", Certificate: client}, "other.example"},
		"by the system's roots": {&ir.UpstreamTLS{System: true, Certificate: client}, "certificate"},
		"without a certificate": {&ir.UpstreamTLS{CA: ca, ServerName: "example.com"}, "?"},
		"no key":                {&ir.UpstreamTLS{CA: ca, Certificate: &ir.Certificate{Chain: client.Chain}}, "client certificate"},
		"no CA":                 {&ir.UpstreamTLS{CA: []byte("none")}, "no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			found, st := ask(t, &ir.ConsulAgent{Address: s.URL, TLS: c.tls})
			if (len(found) == 1) != (c.err == "") || c.err != "?" && !strings.Contains(st.Err, c.err) || st.Up() != (c.err == "") {
				t.Errorf("found %v, %+v", found, st)
			}
		})
	}
}

// clientCertificate makes one, and the pool that it is verified with.
func clientCertificate(t *testing.T) (*ir.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &ir.Certificate{
		Chain: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
	}, pool
}
