package federation_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gospiffe "github.com/spiffe/go-spiffe/v2/federation"

	"github.com/gridway/gridway/internal/mesh/federation"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/identity/identitytest"
)

// partner is another trust domain with an endpoint.
type partner struct {
	*identitytest.Authority
	t       *testing.T
	bundle  atomic.Pointer[identity.Bundle]
	keyring *identity.Keyring
	url     string
	handle  atomic.Pointer[http.HandlerFunc]
	roots   *x509.CertPool
}

func newPartner(t *testing.T, trustDomain string, profile string) *partner {
	t.Helper()
	p := &partner{Authority: identitytest.New(t, trustDomain), t: t, keyring: identity.NewKeyring(identity.Options{})}
	p.serveBundle(1, p.Root)
	own := p.SVID(identity.Control(p.TrustDomain()), time.Hour)
	p.keyring.Apply(identity.Change{Own: own.ID(), Put: []*identity.SVID{own}})
	h := federation.Handler(p.bundle.Load)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := p.handle.Load(); f != nil {
			(*f)(w, r)
			return
		}
		h.ServeHTTP(w, r)
	}))
	if profile == federation.SPIFFE {
		s.TLS = federation.ServerTLS(p.keyring)
	}
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	if profile == federation.Web {
		p.roots = x509.NewCertPool()
		p.roots.AddCert(s.Certificate())
	} else {
		s.TLS.Certificates = nil
	}
	p.url = s.URL
	return p
}

func (p *partner) serveBundle(sequence uint64, roots ...*x509.Certificate) {
	p.t.Helper()
	b, err := identity.NewBundle(identity.BundleParts{TrustDomain: p.TrustDomain(), Roots: roots, Sequence: sequence, RefreshHint: time.Hour})
	if err != nil {
		p.t.Fatal(err)
	}
	p.bundle.Store(b)
}

func (p *partner) file() string {
	p.t.Helper()
	path := filepath.Join(p.t.TempDir(), "bundle.json")
	if err := os.WriteFile(path, p.bundle.Load().JSON(), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return path
}

var own, _ = identity.ParseTrustDomain("ours.example.com")

func begin(t *testing.T, folder string, roots *x509.CertPool, list ...federation.Relation) *federation.Federation {
	t.Helper()
	f, err := federation.New(federation.Options{Own: own, Relations: list, Folder: folder, Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestWeb(t *testing.T) {
	p, folder := newPartner(t, "partner.example.org", federation.Web), t.TempDir()
	r := federation.Relation{TrustDomain: "partner.example.org", URL: p.url, Profile: federation.Web}
	f := begin(t, folder, p.roots, r)
	if len(f.Bundles()) != 0 {
		t.Error("a bundle before it was fetched")
	}
	f.Refresh(t.Context())
	if list := f.Bundles(); len(list) != 1 || !list[0].Equal(p.bundle.Load()) {
		t.Fatalf("%+v", f.States())
	}
	fails := func(want string) {
		t.Helper()
		f.Refresh(t.Context())
		if s := f.States()[0]; !strings.Contains(s.Error, want) || len(f.Bundles()) != 1 || s.Roots != 1 {
			t.Errorf("%+v", s)
		}
	}
	answer := func(h http.HandlerFunc) { p.handle.Store(&h) }
	answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	fails("502")
	answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) })
	fails("without any key")
	answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, identity.MaxBundle+1)) })
	fails("bytes")
	answer(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1/", http.StatusFound)
	})
	fails("must begin with https")
	answer(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, p.url, http.StatusFound) })
	fails("redirects")
	p.handle.Store(nil)
	p.serveBundle(0, p.Root)
	f.Refresh(t.Context())
	p.serveBundle(5, p.Root, identitytest.New(t, "partner.example.org").Root)
	f.Refresh(t.Context())
	if s := f.States()[0]; s.Sequence != 5 || s.Roots != 2 || s.Error != "" {
		t.Errorf("%+v", s)
	}
	p.serveBundle(4, p.Root)
	f.Refresh(t.Context())
	if s := f.States()[0]; s.Sequence != 5 || !strings.Contains(s.Error, "older bundle") {
		t.Errorf("%+v", s)
	}
	if again := begin(t, folder, nil, r); len(again.Bundles()) != 1 || again.Bundles()[0].Sequence() != 5 {
		t.Error("what was fetched is not kept")
	} else if again.Refresh(t.Context()); !strings.Contains(again.States()[0].Error, "certificate") {
		t.Errorf("an endpoint that the system does not trust: %+v", again.States())
	}
}

// An endpoint that proves itself by an SVID is verified by what was fetched last, so that
// its roots may change.
func TestSPIFFE(t *testing.T) {
	p := newPartner(t, "partner.example.org", federation.SPIFFE)
	r := federation.Relation{TrustDomain: "partner.example.org", URL: p.url, Profile: federation.SPIFFE, EndpointID: "spiffe://partner.example.org/gridway/control", BundleFile: p.file()}
	f := begin(t, t.TempDir(), nil, r)
	next := identitytest.New(t, "partner.example.org")
	p.serveBundle(2, p.Root, next.Root)
	f.Refresh(t.Context())
	if s := f.States()[0]; s.Error != "" || s.Roots != 2 {
		t.Fatalf("%+v", s)
	}
	renewed := next.SVID(identity.Control(next.TrustDomain()), 2*time.Hour)
	p.keyring.Apply(identity.Change{Drop: []identity.ID{renewed.ID()}})
	p.keyring.Apply(identity.Change{Put: []*identity.SVID{renewed}})
	p.serveBundle(3, next.Root)
	f.Refresh(t.Context())
	if s := f.States()[0]; s.Error != "" || s.Roots != 1 || s.Sequence != 3 {
		t.Fatalf("%+v", s)
	}
	wrong := r
	wrong.EndpointID = "spiffe://partner.example.org/other"
	other := begin(t, t.TempDir(), nil, wrong)
	p.serveBundle(4, p.Root)
	other.Refresh(t.Context())
	if s := other.States()[0]; s.Error == "" {
		t.Errorf("%+v", s)
	}
	impostor := newPartner(t, "partner.example.org", federation.SPIFFE)
	moved := r
	moved.URL = impostor.url
	stolen := begin(t, t.TempDir(), nil, moved)
	stolen.Refresh(t.Context())
	if s := stolen.States()[0]; !strings.Contains(s.Error, "not trusted") {
		t.Errorf("%+v", s)
	}
}

// What we serve, go-spiffe fetches.
func TestHandler(t *testing.T) {
	p := newPartner(t, "partner.example.org", federation.SPIFFE)
	b, err := gospiffe.FetchBundle(t.Context(), p.TrustDomain(), p.url, gospiffe.WithSPIFFEAuth(reference{p}, identity.Control(p.TrustDomain())))
	if err != nil || len(b.X509Authorities()) != 1 {
		t.Errorf("%v", err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	ask := func(method, tag string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, p.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("If-None-Match", tag)
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer
	}
	first := ask("GET", "")
	if first.Header.Get("Content-Type") != "application/json" || ask("GET", first.Header.Get("ETag")).StatusCode != 304 || ask("POST", "").StatusCode != 405 {
		t.Errorf("%+v", first.Header)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	p := newPartner(t, "partner.example.org", federation.Web)
	changed := make(chan struct{}, 1)
	f, err := federation.New(federation.Options{
		Own: own, Folder: t.TempDir(), Roots: p.roots, Changed: func() { changed <- struct{}{} },
		Relations: []federation.Relation{{TrustDomain: "partner.example.org", URL: p.url, Profile: federation.Web}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Run(ctx)
	}()
	<-changed
	cancel()
	<-done
}

func TestConfig(t *testing.T) {
	good := "- trustDomain: partner.example.org\n  url: https://partner.example.org/bundle\n  profile: https_web\n"
	if list, err := federation.ParseConfig([]byte(good)); err != nil || len(list) != 1 {
		t.Errorf("%v", err)
	}
	for text, want := range map[string]string{
		strings.Replace(good, "https_web", "https", 1):        `profile "https"`,
		strings.Replace(good, "https_web", "https_spiffe", 1): "endpointID",
		strings.Replace(good, "https://", "http://", 1):       "must begin with https",
		strings.Replace(good, "https://", "https://a:b@", 1):  "no user",
		strings.Replace(good, "partner.example.org", "A", 1):  "trust domain",
		good + good:                           "has one already",
		good + "  endpointID: spiffe://a/b\n": "is for the profile",
		good + "  secret: x\n":                "secret",
	} {
		if _, err := federation.ParseConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v", text, err)
		}
	}
	if _, err := federation.New(federation.Options{Own: own, Folder: t.TempDir(), Relations: []federation.Relation{{TrustDomain: "ours.example.com", URL: "https://a", Profile: federation.Web}}}); err == nil || !strings.Contains(err.Error(), "our own") {
		t.Errorf("%v", err)
	}
	if _, err := federation.New(federation.Options{Own: own, Folder: t.TempDir(), Relations: []federation.Relation{{TrustDomain: "a", URL: "https://a", Profile: federation.SPIFFE, EndpointID: "spiffe://a/b"}}}); err == nil || !strings.Contains(err.Error(), "bundleFile") {
		t.Errorf("%v", err)
	}
	path := filepath.Join(t.TempDir(), "federation.yaml")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := federation.ReadConfig(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte("- trustDomain: a\n  url: https://a\n  profile: https_web\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := federation.ParseConfig(text)
		for _, r := range list {
			if err == nil && !strings.HasPrefix(strings.ToLower(r.URL), "https:") {
				t.Errorf("%q", r.URL)
			}
		}
	})
}
