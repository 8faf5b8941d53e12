package oidc

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
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/gridway/gridway/test/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

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
	port := harness.FreePort(t)
	s := &site{t: t, url: fmt.Sprintf("https://localhost:%d", port)}
	s.dex = newDex(t, s.url, lifetime)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<title>app</title><pre id=seen>%s user=%s cookies=%s token=%t</pre>", r.URL.RequestURI(), r.Header.Get("X-Email"), r.Header.Get("Cookie"), strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ey"))
	}))
	t.Cleanup(app.Close)
	cert, key := certificate(t)
	harness.Start(t, fmt.Sprintf(gridwayYAML, port, app.Listener.Addr(), s.dex.issuer, indent(cert), indent(key)))
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
