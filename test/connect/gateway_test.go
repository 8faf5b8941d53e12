package connect

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// patience is how long a gateway may take to be ready; the suite gives servers ten
// seconds.
const patience = 30 * time.Second

// pair is a certificate and its key, in PEM.
type pair struct{ cert, key []byte }

// gateway is a running `gridway run` before one of the suite's servers.
type gateway struct {
	version      uint64 // of HTTP, with the server; with clients it is both
	tls          bool   // on both sides
	cert         pair   // for clients
	clientCA     []byte // that clients' certificates must come from; none are wanted without
	upstreamPort int
	upstreamCA   []byte
	own          pair // shown to the server
	bridge       bool // the server speaks gRPC without TLS, whatever clients do

	port int
	dir  string
	cmd  *exec.Cmd
	done chan error
}

func (g *gateway) start() (err error) {
	if g.dir, err = os.MkdirTemp("", "connect"); err != nil {
		return err
	}
	for range 3 { // somebody else may have taken the port
		if g.port, err = freePort(); err != nil {
			return err
		}
		if err = g.run(); err == nil {
			return nil
		}
	}
	return err
}

func (g *gateway) run() error {
	file, socket := filepath.Join(g.dir, "gridway.yaml"), filepath.Join(g.dir, "admin")
	if err := os.WriteFile(file, []byte(g.documents()), 0o600); err != nil {
		return err
	}
	g.cmd = child(os.Getenv("GRIDWAY"), "run", file, "--admin", "unix:"+socket, "--access-log", "off", "--log-level", "error",
		"--state-dir", g.dir)
	g.done = make(chan error, 1)
	if err := g.cmd.Start(); err != nil {
		return err
	}
	go func() { g.done <- g.cmd.Wait() }()
	api := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for {
		resp, err := api.Get("http://localhost/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-g.done:
			return fmt.Errorf("gridway ended: %w", err)
		case <-late:
			g.cmd.Process.Kill()
			return errors.New("gridway is not ready")
		case <-tick.C:
		}
	}
}

// stop ends the gateway, which must have been there until then. Clients of the
// suite may still hold connections.
func (g *gateway) stop() error {
	defer os.RemoveAll(g.dir)
	select {
	case err := <-g.done:
		return fmt.Errorf("gridway ended: %w", err)
	default:
	}
	g.cmd.Process.Kill()
	<-g.done
	return nil
}

// documents are the configuration: one listener, one route, one backend.
func (g *gateway) documents() string {
	var b strings.Builder
	listener := fmt.Sprintf("{name: http, port: %d, protocol: HTTP}", g.port)
	frontend := ""
	if g.tls {
		listener = fmt.Sprintf("{name: https, port: %d, protocol: HTTPS, tls: {certificateRefs: [{name: edge}]}}", g.port)
		secret(&b, "edge", g.cert)
	}
	if len(g.clientCA) > 0 {
		frontend = "  tls: {frontend: {default: {validation: {caCertificateRefs: [{group: '', kind: ConfigMap, name: clients}]}}}}\n"
		authority(&b, "clients", g.clientCA)
	}
	fmt.Fprintf(&b, `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: gridway
  listeners:
  - %s
%s---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: conformance}
spec:
  parentRefs: [{name: edge}]
  rules:
  - backendRefs: [{group: gridway.dev, kind: Backend, name: conformance}]
---
`, listener, frontend)
	protocol := map[bool]map[uint64]string{
		false: {http1: "http", http2: "h2c"},
		true:  {http1: "https", http2: "h2"},
	}[g.tls && !g.bridge][g.version]
	tls := ""
	if g.bridge {
		b.WriteString(`
apiVersion: gridway.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: bridge}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: conformance}]
  bridge: {}
---
`)
	} else if g.tls {
		authority(&b, "servers", g.upstreamCA)
		own := ""
		if g.own.cert != nil {
			secret(&b, "own", g.own)
			own = ", clientCertificateRef: {name: own}"
		}
		tls = "  tls: {serverName: localhost, caCertificateRefs: [{group: '', kind: ConfigMap, name: servers}]" + own + "}\n"
	}
	fmt.Fprintf(&b, `
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: conformance}
spec:
  protocol: %s
  endpoints: [{address: "127.0.0.1:%d"}]
%s`, protocol, g.upstreamPort, tls)
	return b.String()
}

func secret(b *strings.Builder, name string, p pair) {
	fmt.Fprintf(b, "apiVersion: v1\nkind: Secret\nmetadata: {name: %s}\ntype: kubernetes.io/tls\nstringData:\n  tls.crt: |\n%s  tls.key: |\n%s---\n",
		name, indent(p.cert), indent(p.key))
}

func authority(b *strings.Builder, name string, cert []byte) {
	fmt.Fprintf(b, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata:\n  ca.crt: |\n%s---\n", name, indent(cert))
}

func indent(text []byte) string {
	return "    " + string(bytes.ReplaceAll(bytes.TrimSpace(text), []byte("\n"), []byte("\n    "))) + "\n"
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// selfSigned makes a certificate of this machine that is its own authority.
func selfSigned() (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gridway"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		IsCA:        true, BasicConstraintsValid: true,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return pair{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return pair{}, err
	}
	return pair{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}, nil
}
