package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// mustStaple is the extension of RFC 7633 with the feature status_request.
var mustStaple = pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: []byte{0x30, 3, 2, 1, 5}}

// stapled is a certificate that asks for a staple from the responder, with the
// chain that says who issued it.
func stapled(ca *authority, responder, name string) (chain, key string, serial *big.Int) {
	cert, key := ca.issueAs(func(c *x509.Certificate) {
		c.OCSPServer = []string{responder}
		c.ExtraExtensions = []pkix.Extension{mustStaple}
		serial = c.SerialNumber
	}, name)
	return cert + ca.pem, key, serial
}

func httpsOn(port int, hostname, secret string) string {
	return gatewayOn("", fmt.Sprintf("{name: https, port: %d, protocol: HTTPS, hostname: %s, tls: {certificateRefs: [{name: %s}]}}", port, hostname, secret))
}

// staple is what the gateway shows in a handshake.
func staple(t *testing.T, ca *authority, port int, name string) []byte {
	t.Helper()
	c, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{RootCAs: ca.pool, ServerName: name})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.OCSPResponse()
}

// openssl's responder gives a response that openssl's client sees and verifies.
func TestStapleFromOpenSSL(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "staple CA")
	responder := ownPort(t)
	chain, key, serial := stapled(ca, fmt.Sprintf("http://127.0.0.1:%d/", responder), "a.example")
	dir := t.TempDir()
	index := fmt.Sprintf("V\t%s\t\t%X\tunknown\t/CN=a.example\n", time.Now().Add(time.Hour).UTC().Format("060102150405Z"), serial)
	if len(fmt.Sprintf("%X", serial))%2 == 1 {
		index = strings.Replace(index, "\t\t", "\t\t0", 1)
	}
	for name, text := range map[string]string{"index.txt": index, "index.txt.attr": "unique_subject = no\n", "ca.pem": ca.pem, "ca.key": keyPEM(t, ca.key)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	backgroundSaying(t, "waiting for OCSP client", "openssl", "ocsp", "-port", fmt.Sprint(responder), "-index", in("index.txt"), "-CA", in("ca.pem"),
		"-rsigner", in("ca.pem"), "-rkey", in("ca.key"), "-ndays", "1", "-ignore_err")

	port := ownPort(t)
	start(t, documents(httpsOn(port, "a.example", "a"), secretDoc("a", chain, key), routeDoc("app", ""), backendDoc("app", named(t, "ok").addr)))
	eventually(t, "a staple", func() bool { return staple(t, ca, port, "a.example") != nil })
	var out string
	eventually(t, "openssl sees a good status", func() bool {
		out = run(t, "", "openssl", "s_client", "-connect", fmt.Sprintf("127.0.0.1:%d", port), "-servername", "a.example",
			"-status", "-CAfile", in("ca.pem"), "-verify_return_error")
		return strings.Contains(out, "OCSP Response Status: successful")
	})
	if !strings.Contains(out, "Cert Status: good") || !strings.Contains(out, "Verify return code: 0 (ok)") {
		t.Error(out)
	}
}

// responder is an OCSP responder whose answers live for seconds.
type responder struct {
	t      *testing.T
	ca     *authority
	life   time.Duration
	mu     sync.Mutex
	status int // guarded by mu; ocsp.ServerFailed is an answer of 500
	asked  int // guarded by mu
}

func (r *responder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	in, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	q, err := ocsp.ParseRequest(in)
	if err != nil {
		r.t.Error(err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	if r.status == ocsp.ServerFailed {
		w.WriteHeader(500)
		return
	}
	now := time.Now()
	out, err := ocsp.CreateResponse(r.ca.cert, r.ca.cert, ocsp.Response{
		Status: r.status, SerialNumber: q.SerialNumber, ThisUpdate: now, NextUpdate: now.Add(r.life), RevokedAt: now,
	}, r.ca.key)
	if err != nil {
		r.t.Error(err)
	}
	w.Write(out)
}

func (r *responder) set(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func (r *responder) times() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// The staple is renewed before it ends, outlives a short outage of the
// responder but not its own end, comes back, and goes as soon as the
// certificate is known to be revoked.
func TestStapleIsKeptFresh(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "staple CA")
	r := &responder{t: t, ca: ca, life: 3 * time.Second}
	chain, key, _ := stapled(ca, "http://"+serve(t, r.ServeHTTP).addr, "a.example")
	plain, plainKey := ca.issueAs(func(c *x509.Certificate) { c.OCSPServer = []string{"http://127.0.0.1:1"} }, "b.example")
	port := ownPort(t)
	p := start(t, documents(
		gatewayOn("",
			fmt.Sprintf("{name: a, port: %d, protocol: HTTPS, hostname: a.example, tls: {certificateRefs: [{name: a}]}}", port),
			fmt.Sprintf("{name: b, port: %d, protocol: HTTPS, hostname: b.example, tls: {certificateRefs: [{name: b}]}}", port)),
		secretDoc("a", chain, key), secretDoc("b", plain+ca.pem, plainKey), routeDoc("app", ""), backendDoc("app", named(t, "ok").addr)))

	var first []byte
	eventually(t, "a staple", func() bool { first = staple(t, ca, port, "a.example"); return first != nil })
	if staple(t, ca, port, "b.example") != nil {
		t.Error("a staple for a certificate that does not ask for one")
	}
	var second []byte
	eventually(t, "a newer staple", func() bool {
		second = staple(t, ca, port, "a.example")
		if second == nil {
			t.Fatal("no staple while it is renewed")
		}
		return !bytes.Equal(first, second)
	})
	r.set(ocsp.ServerFailed)
	asked := r.times()
	eventually(t, "the responder is asked in vain", func() bool { return r.times() > asked })
	if staple(t, ca, port, "a.example") == nil {
		t.Error("the last good staple is gone although it is valid")
	}
	p.said("no OCSP response to staple", "a.example", "status 500")
	eventually(t, "no staple after its end", func() bool { return staple(t, ca, port, "a.example") == nil })
	r.set(ocsp.Good)
	eventually(t, "a staple again", func() bool { return staple(t, ca, port, "a.example") != nil })

	r.set(ocsp.Revoked)
	eventually(t, "no staple for a revoked certificate", func() bool { return staple(t, ca, port, "a.example") == nil })
	p.said("revoked", "a.example")
}

// A response of the user's own is stapled as it is.
func TestStapleFromTheSecret(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "staple CA")
	cert, key := ca.issue("a.example")
	port := ownPort(t)
	own := strings.Replace(secretDoc("a", cert, key), "data: {tls.crt", "data: {tls.ocsp-staple: b3Vycw==, tls.crt", 1)
	start(t, documents(httpsOn(port, "a.example", "a"), own, routeDoc("app", ""), backendDoc("app", named(t, "ok").addr)))
	if got := staple(t, ca, port, "a.example"); string(got) != "ours" {
		t.Errorf("stapled %q", got)
	}
}

// A certificate that clients will refuse is told of before it serves.
func TestCheckTellsOfAMissingIssuer(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "staple CA")
	chain, key, _ := stapled(ca, "http://127.0.0.1:1/", "a.example")
	alone := strings.TrimSuffix(chain, ca.pem)
	file := filepath.Join(t.TempDir(), "a.yaml")
	check := func(chain string) string {
		yaml := documents(httpsOn(8443, "a.example", "a"), secretDoc("a", chain, key), routeDoc("app", ""), backendDoc("app", "127.0.0.1:1"))
		if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		path, err := binary()
		if err != nil {
			t.Fatal(err)
		}
		out, _ := exec.Command(path, "check", file).CombinedOutput()
		return string(out)
	}
	if out := check(alone); !strings.Contains(out, "NoStaple") || !strings.Contains(out, "issuer is not in tls.crt") {
		t.Error(out)
	}
	if out := check(chain); strings.Contains(out, "NoStaple") {
		t.Error(out)
	}
}

// A certificate that demands a staple is never shown without one, once it has had
// one: not by the processes after an upgrade, though the responder is down, and
// not when it is renewed.
func TestStaplesOverUpgradesAndRenewals(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "staple CA")
	r := &responder{t: t, ca: ca, life: time.Hour}
	at := "http://" + serve(t, r.ServeHTTP).addr
	port := ownPort(t)
	config := func() string {
		chain, key, _ := stapled(ca, at, "a.example")
		return documents(httpsOn(port, "a.example", "a"), secretDoc("a", chain, key), routeDoc("app", ""), backendDoc("app", named(t, "ok").addr))
	}
	g := startLineage(t, config())
	eventually(t, "a staple", func() bool { return staple(t, ca, port, "a.example") != nil })
	shown := func() string {
		c, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{RootCAs: ca.pool, ServerName: "a.example"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if c.OCSPResponse() == nil {
			t.Fatal("a handshake without a staple")
		}
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	first := shown()
	r.set(ocsp.ServerFailed)
	for range 2 {
		old := g.pid()
		g.upgrade()
		shown()
		eventually(t, "the old process ends", func() bool { shown(); return gone(old) })
	}
	g.write(config())
	g.says("no OCSP response to staple", "a.example")
	if shown() != first {
		t.Error("the renewed certificate does not wait for its staple")
	}
	r.set(ocsp.Good)
	eventually(t, "the renewed certificate", func() bool { return shown() != first })
	g.stop()
}
