package peers

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gridway/gridway/bench/load"
)

// BesideServer is what the label of a pair's second sidecar ends with.
const BesideServer = "-server"

// Mesh is what the application behind a pair of sidecars speaks.
type Mesh string

// What pairs carry; empty is no pair.
const (
	MeshHTTP Mesh = "http"
	MeshGRPC Mesh = "http2"
	MeshTCP  Mesh = "tcp"
)

// Sidecar is the program of one of Gridway's sidecars.
const Sidecar Kind = "meshproxy"

// meshParams are what the templates of sidecars see.
type meshParams struct {
	params
	// Inbound is beside the application that is called. To is that, or the other sidecar.
	Inbound bool
	To      string
	// Name is of the files, and CA, Cert, Key and Both are files.
	Name, CA, Cert, Key, Both string
	ServerName                string
}

// meshServerName is what sidecars ask each other for.
const meshServerName = "80.server.bench.mesh"

// startMesh starts a pair of sidecars, both on the same core, and returns the one that
// clients speak to.
func (l *Lab) startMesh(ctx context.Context, s Spec) (*Process, error) {
	if err := l.meshCertificates(); err != nil {
		return nil, err
	}
	inbound, err := l.address()
	if err != nil {
		return nil, err
	}
	outbound, err := l.address()
	if err != nil {
		return nil, err
	}
	argv, err := l.sidecar(s, true, inbound, s.Backend)
	if err != nil {
		return nil, err
	}
	server, err := l.begin(s.Label+BesideServer, argv, l.Core)
	if err != nil {
		return nil, err
	}
	if argv, err = l.sidecar(s, false, outbound, inbound); err != nil {
		server.Stop()
		return nil, err
	}
	path := "/1k"
	if s.GRPC() {
		path = "/bench.Echo/Unary"
	}
	client, err := l.Launch(ctx, s.Label, argv, load.Target{Addr: outbound, Path: path, Traffic: s.Traffic}, l.Core)
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, server.Output())
		server.Stop()
		return nil, err
	}
	server.Addr = inbound
	client.beside, client.paired = server, true
	return client, nil
}

// sidecar is the command line of one of a pair.
func (l *Lab) sidecar(s Spec, inbound bool, listen, to string) ([]string, error) {
	who := "client"
	if inbound {
		who = "server"
	}
	file := func(end string) string { return filepath.Join(l.Dir, "mesh-"+who+end) }
	ca := filepath.Join(l.Dir, "mesh-ca.pem")
	p := meshParams{
		params: params{Spec: s, Dir: l.Dir, Addr: listen, Root: os.Geteuid() == 0}, Inbound: inbound, To: to, Name: s.Label + "-" + who,
		CA: ca, Cert: file(".pem"), Key: file(".key"), Both: file("-both.pem"), ServerName: meshServerName,
	}
	switch s.Kind {
	case NGINX:
		path, err := l.renderAny("mesh-nginx.conf.tmpl", p.Name+".conf", p)
		return []string{find("nginx"), "-c", path, "-p", l.Dir, "-e", filepath.Join(l.Dir, "nginx-start.log")}, err
	case HAProxy:
		path, err := l.renderAny("mesh-haproxy.cfg.tmpl", p.Name+".cfg", p)
		return []string{find("haproxy"), "-db", "-f", path}, err
	}
	argv := []string{l.Tools[Sidecar], "-listen", listen, "-to", to, "-kind", string(s.Mesh), "-ca", ca, "-cert", p.Cert, "-key", p.Key}
	if inbound {
		argv = append(argv, "-inbound")
	}
	if l.Profiled {
		label := s.Label
		if inbound {
			label += BesideServer
		}
		argv = append(argv, "-profiles", l.Admin(label))
	}
	if s.Services > 0 {
		argv = append(argv, "-services", strconv.Itoa(s.Services))
	}
	return argv, nil
}

// meshCertificates writes an authority and what it has signed for both sides.
func (l *Lab) meshCertificates() error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench mesh"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(l.Dir, "mesh-ca.pem"), certificatePEM(der), 0o600); err != nil {
		return err
	}
	for i, who := range []string{"client", "server"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		leaf := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 2)), NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, DNSNames: []string{meshServerName},
			Subject: pkix.Name{CommonName: who},
			URIs:    []*url.URL{{Scheme: "spiffe", Host: "bench", Path: "/ns/bench/sa/" + who}},
		}
		der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
		if err != nil {
			return err
		}
		pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return err
		}
		cert, private := certificatePEM(der), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
		for end, text := range map[string][]byte{".pem": cert, ".key": private, "-both.pem": append(append([]byte{}, cert...), private...)} {
			if err := os.WriteFile(filepath.Join(l.Dir, "mesh-"+who+end), text, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
