package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/test/harness"
	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// settings of an authority.
type settings struct {
	// httpPort and tlsPort are where it looks for answers to challenges.
	httpPort, tlsPort int
	// life of its certificates; zero is a day.
	life time.Duration
	// binding is a key that accounts must be bound with, in base64url, under the
	// ID "kid".
	binding string
}

// authority is pebble on a port of its own, which can be taken down.
type authority struct {
	t       *testing.T
	address string
	server  *httptest.Server
	handler http.Handler
	root    *x509.CertPool
	dns     string
	s       settings

	mu     sync.Mutex
	seen   map[string]int // guarded by mu; requests that succeeded, by their path's first part
	before func(w http.ResponseWriter, r *http.Request) (done bool)
}

func newAuthority(t *testing.T, s settings) *authority {
	t.Helper()
	a := &authority{t: t, s: s, seen: map[string]int{}, dns: nameServer(t)}
	a.reset()
	a.up()
	t.Cleanup(func() { a.down() })
	return a
}

// reset forgets all accounts, orders and certificates, and makes new keys.
func (a *authority) reset() {
	life := a.s.life
	if life == 0 {
		life = 24 * time.Hour
	}
	logger := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	profiles := map[string]ca.Profile{"default": {Description: "the usual", ValidityPeriod: uint64(life / time.Second)}}
	issuer := ca.New(logger, store, "", "ecdsa", 0, 1, profiles)
	validator := va.New(logger, a.s.httpPort, a.s.tlsPort, false, a.dns, store)
	if a.s.binding != "" {
		if err := store.AddExternalAccountKeyByID("kid", a.s.binding); err != nil {
			a.t.Fatal(err)
		}
	}
	front := wfe.New(logger, store, validator, issuer, []string{"pebble.test"}, false, a.s.binding != "", 0, 0)
	handler := front.Handler()
	root := x509.NewCertPool()
	root.AddCert(issuer.GetRootCert(0).Cert)
	a.mu.Lock()
	a.handler, a.root = handler, root
	a.mu.Unlock()
}

// up listens; the second time on the port of the first.
func (a *authority) up() {
	a.t.Helper()
	address := a.address
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		a.t.Fatal(err)
	}
	a.server = httptest.NewUnstartedServer(a)
	a.server.Listener.Close()
	a.server.Listener = l
	a.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	a.server.StartTLS()
	a.address = l.Addr().String()
}

func (a *authority) down() {
	a.server.CloseClientConnections()
	a.server.Close()
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	a.mu.Lock()
	before, handler := a.before, a.handler
	a.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	rec := &statusRecorder{ResponseWriter: w}
	handler.ServeHTTP(rec, r)
	if rec.status < 300 {
		a.mu.Lock()
		a.seen[first]++
		a.mu.Unlock()
	}
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// intercept lets f answer requests in the authority's place.
func (a *authority) intercept(f func(w http.ResponseWriter, r *http.Request) (done bool)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.before = f
}

// requests counts those that succeeded whose path begins so, for example "order-plz".
func (a *authority) requests(first string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.seen[first]
}

// Paths of pebble.
const (
	newOrder   = "order-plz"
	newAccount = "sign-me-up"
	ariPath    = "draft-ietf-acme-ari-03"
)

// roots verify what the authority issues.
func (a *authority) roots() *x509.CertPool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.root
}

// caYAML is a ConfigMap with the certificate of the authority's own server.
func (a *authority) caYAML() string {
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.server.Certificate().Raw})
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ca}\ndata:\n  ca.crt: |\n    " +
		strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n    ") + "\n---\n"
}

func (a *authority) directory() string { return "https://" + a.address + "/dir" }

// nameServer answers that every name below test is this machine, but for
// nowhere.test, which does not exist.
func nameServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		name := q.Question[0].Name
		switch {
		case name == "nowhere.test.":
			m.Rcode = dns.RcodeNameError
		case q.Question[0].Qtype == dns.TypeA:
			m.Answer = append(m.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(127, 0, 0, 1),
			})
		}
		w.WriteMsg(m)
	})}
	served := make(chan error, 1)
	started := make(chan struct{})
	server.NotifyStartedFunc = func() { close(started) }
	go func() { served <- server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
		defer cancel()
		server.ShutdownContext(ctx)
		<-served
	})
	return l.Addr().String()
}

// handshake returns the certificate that a listener shows for a name, verified
// with the authority's root.
func (a *authority) handshake(port int, name string, change ...func(*tls.Config)) (*x509.Certificate, error) {
	config := &tls.Config{ServerName: name, RootCAs: a.roots()}
	for _, f := range change {
		f(config)
	}
	return handshake(port, config)
}

func handshake(port int, config *tls.Config) (*x509.Certificate, error) {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: harness.Patience}, Config: config}
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	conn, err := d.DialContext(ctx, "tcp", local(port))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// issued waits until a listener shows a certificate of the authority.
func (a *authority) issued(port int, name string) *x509.Certificate {
	a.t.Helper()
	var cert *x509.Certificate
	var err error
	if !harness.Soon(func() bool {
		cert, err = a.handshake(port, name)
		return err == nil
	}) {
		a.t.Fatalf("no certificate for %s: %v", name, err)
	}
	return cert
}

// certID is the end of a certificate's ID for renewal information, RFC 9773 §4.1.
func certID(t *testing.T, cert *x509.Certificate) string {
	t.Helper()
	der, err := asn1.Marshal(cert.SerialNumber)
	if err != nil {
		t.Fatal(err)
	}
	return "." + base64.RawURLEncoding.EncodeToString(der[2:])
}
