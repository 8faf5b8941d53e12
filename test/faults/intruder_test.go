package faults

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/join"
	"github.com/gridway/gridway/test/netns"
)

// authority is one that a test has the key of.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, trustDomain string) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key = sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "a root of these tests"}, URIs: []*url.URL{{Scheme: "spiffe", Host: trustDomain}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, nil, nil)
	return a
}

func sign(t *testing.T, c, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if parent == nil {
		parent, by = c, key
	}
	if c.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made, key
}

// svid is one of an identity, from and until a time from now.
func (a *authority) svid(id string, from, until time.Duration) tls.Certificate {
	a.t.Helper()
	u, err := url.Parse(id)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, key := sign(a.t, &x509.Certificate{
		URIs: []*url.URL{u}, NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(until), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, a.key)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}
}

// files has the control plane sign by it.
func (a *authority) files(dir string) (flags []string) {
	a.t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, f := range []struct {
		flag, kind string
		content    []byte
	}{{"--ca-cert", "CERTIFICATE", a.cert.Raw}, {"--ca-key", "PRIVATE KEY", key}, {"--ca-root", "CERTIFICATE", a.cert.Raw}} {
		path := filepath.Join(dir, f.flag[2:])
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.content}), 0o600); err != nil {
			a.t.Fatal(err)
		}
		flags = append(flags, f.flag, path)
	}
	return flags
}

// handshake shows a certificate to a member's port for others, and returns what that says.
func handshake(from, to *netns.Host, c *tls.Certificate) error {
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: programPort + ".ratings.default.mesh", NextProtos: []string{"h2"},
		InsecureSkipVerify: true, //nolint:gosec // it is the other end that is tested
	}
	if c != nil {
		config.Certificates = []tls.Certificate{*c}
	}
	var conn net.Conn
	var err error
	from.Do(func() { conn, err = net.DialTimeout("tcp", net.JoinHostPort(to.IP4.String(), "15008"), 5*time.Second) })
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	secure := tls.Client(conn, config)
	if err := secure.Handshake(); err != nil {
		return err
	}
	// In TLS 1.3 the client is done before the server has judged: an HTTP/2 server that lets
	// it in sends its settings first.
	_, err = secure.Read(make([]byte, 1))
	return err
}

const reviewsID = "spiffe://cluster.local/ns/default/sa/reviews"

// Who has a certificate that is forged, over, not begun, or of another trust domain, or none,
// is not let in; and the log of the server says why.
func TestSVIDsThatAreNone(t *testing.T) {
	m := newMesh(t, "")
	ours, theirs := newAuthority(t, "cluster.local"), newAuthority(t, "cluster.local")
	m.flags = ours.files(m.dir)
	m.control()
	one := m.ratings("one", "--log-level", "debug")
	stranger := m.net.Host("stranger")
	good := ours.svid(reviewsID, -time.Minute, time.Hour)
	if err := handshake(stranger, one.host, &good); err != nil {
		t.Fatalf("a genuine one is refused: %v", err)
	}
	for _, x := range []struct {
		name string
		c    tls.Certificate
	}{
		{"forged", theirs.svid(reviewsID, -time.Minute, time.Hour)},
		{"over", ours.svid(reviewsID, -time.Hour, -time.Minute)},
		{"not begun", ours.svid(reviewsID, time.Hour, 2*time.Hour)},
		{"foreign", ours.svid("spiffe://elsewhere.example/ns/default/sa/reviews", -time.Minute, time.Hour)},
		{"no workload", ours.svid("https://cluster.local/ns/default/sa/reviews", -time.Minute, time.Hour)},
	} {
		if err := handshake(stranger, one.host, &x.c); err == nil || !strings.Contains(err.Error(), "remote error") {
			t.Errorf("%s: %v", x.name, err)
		}
	}
	if err := handshake(stranger, one.host, nil); err == nil || !strings.Contains(err.Error(), "remote error") {
		t.Errorf("without any: %v", err)
	}
}

// dialer opens connections of gRPC from a host.
func dialer(h *netns.Host, address string, c credentials.TransportCredentials) func(string) (*grpc.ClientConn, error) {
	return func(string) (*grpc.ClientConn, error) {
		return grpc.NewClient("passthrough:///"+address, append(distrib.ClientOptions(), grpc.WithTransportCredentials(c),
			grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
				return h.Dial(ctx, "tcp", address)
			}))...)
	}
}

// nothing serves nothing.
type nothing struct{}

func (nothing) Apply(*ir.Config) error      { return nil }
func (nothing) Endpoints(ir.EndpointUpdate) {}
func (nothing) Trust(_, _ []byte)           {}

// A workload that says it is another service than its certificate does gets no traffic of
// that service, and neither does one that asks to join as another.
func TestAnothersName(t *testing.T) {
	m := newMesh(t, "")
	c := m.control()
	m.ratings("one")
	client := m.reviews()
	client.served("one")
	l := client.load()
	h := m.net.Host("thief")
	token := c.joinToken(`{"services":["thief"],"reusable":true}`)
	if as, _ := joiner(t, m, h, "ratings", token); as.Join(t.Context()) == nil {
		t.Error("a token for one service let in another")
	}
	as, keys := joiner(t, m, h, "thief", token)
	if err := as.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Genuine as a thief, it offers itself as ratings, by the very protocol of proxies.
	thief, err := distrib.NewClient(distrib.ClientConfig{
		Proxy: distrib.Proxy{
			Name: "default/thief/" + h.IP4.String() + ":15008", Role: distrib.RoleSidecar, Version: "test",
			Workloads: []distrib.Workload{{
				Namespace: "default", Service: "ratings", Address: h.IP4.String(), Weight: 1000, MeshPort: 15008,
				Ports: []distrib.Port{{Number: 9080, Protocol: "http"}},
			}},
		},
		Targets: []string{"control"}, Applier: nothing{}, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Dial: dialer(h, m.at(), credentials.NewTLS(join.ClientTLS(keys))),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = thief.Run(ctx)
	}()
	thief.SetHealth("default", "ratings", "", true)
	c.says("sa/thief may not speak for spiffe://cluster.local/ns/default/sa/ratings")
	l.goesOn(300)
	stop()
	<-ended
	l.clean()
}
