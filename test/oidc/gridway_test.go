package oidc

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// patience is how long anything may take that should happen soon.
const patience = 30 * time.Second

var gridway string

func TestMain(m *testing.M) {
	// It stays, so that the suites after this one need not link it again.
	var err error
	if gridway, err = filepath.Abs("../../bin/gridway-race"); err != nil {
		panic(err)
	}
	build := exec.Command("go", "build", "-race", "-o", gridway, "./cmd/gridway")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// buffer is what a program writes.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// run starts a program that ends with the test, and waits until it is ready.
func run(t *testing.T, ready func() bool, name string, args ...string) {
	t.Helper()
	out := &buffer{}
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(name), out)
		}
	})
	eventually(t, filepath.Base(name)+" to be ready", func() bool {
		select {
		case <-done:
			t.Fatalf("%s ended:\n%s", name, out)
		default:
		}
		return ready()
	})
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-ctx.Done():
			t.Fatalf("no %s within %s", what, patience)
		case <-tick.C:
		}
	}
}

// free is a port that nobody has now.
func free(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// site is a gateway in front of an application, and dex.
type site struct {
	t *testing.T
	// url is the gateway's.
	url string
	dex *dex
}

// newSite has tokens live for so long.
func newSite(t *testing.T, lifetime time.Duration) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "oidc") // short: a socket's path must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	port := free(t)
	s := &site{t: t, url: fmt.Sprintf("https://localhost:%d", port)}
	s.dex = newDex(t, s.url, lifetime)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<title>app</title><pre id=seen>%s user=%s cookies=%s token=%t</pre>", r.URL.RequestURI(), r.Header.Get("X-Email"), r.Header.Get("Cookie"), strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ey"))
	}))
	t.Cleanup(app.Close)
	cert, key := certificate(t)
	config := filepath.Join(dir, "gridway.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, gridwayYAML, port, app.Listener.Addr(), s.dex.issuer, indent(cert), indent(key)), 0o600); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "admin")
	api := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	t.Cleanup(api.CloseIdleConnections)
	run(t, func() bool {
		resp, err := api.Get("http://localhost/readyz")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil && resp.StatusCode == 200
	}, gridway, "run", config, "--admin", "unix:"+socket, "--access-log", "off", "--state-dir", filepath.Join(dir, "state"))
	return s
}

func indent(pem string) string { return strings.ReplaceAll(strings.TrimSpace(pem), "\n", "\n    ") }

// certificate is one for localhost.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return text("CERTIFICATE", der), text("PRIVATE KEY", pkcs8)
}

// browser starts a Chromium that has visited nothing.
func browser(t *testing.T) context.Context {
	t.Helper()
	o := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.Flag("ignore-certificate-errors", true))
	for _, name := range []string{"chromium-headless-shell", "chromium"} {
		if path, err := exec.LookPath(name); err == nil {
			o = append(o, chromedp.ExecPath(path))
			break
		}
	}
	// Not the test's context, which ends before its cleanups: the browser is asked to
	// close, and waited for, since its processes would outlive one that is killed.
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), o...)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewContext(ctx)
	t.Cleanup(stop)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Error("the browser does not end:", err)
		}
	})
	if err := chromedp.Run(ctx); err != nil {
		t.Fatalf("the browser does not start: %v (scripts/setup installs it)", err)
	}
	return ctx
}
