package tlsx_test

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/tlsx"
)

func section(name, hostname string, certs ...*ir.Certificate) *ir.Section {
	return &ir.Section{Name: "Gateway/default/edge/" + name, Hostname: hostname, TLS: &ir.ServerTLS{Certificates: certs}}
}

func serve(t *testing.T, prev *tlsx.Server, sections ...*ir.Section) *tlsx.Server {
	t.Helper()
	s, err := tlsx.NewServer(sections, prev)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSNI(t *testing.T) {
	ca := newAuthority(t)
	any := ca.issue("any")
	s := serve(t, nil,
		section("any", "", any),
		section("wild", "*.example.com", ca.issue("wild")),
		section("deep", "*.deep.example.com", ca.issue("deep")),
		section("exact", "www.Example.com", ca.issue("exact")),
		section("second", "www.example.com", ca.issue("second")),
	)
	strict := serve(t, nil, section("exact", "www.example.com", ca.issue("exact")))
	for _, tc := range []struct{ sni, want, strict string }{
		{"www.example.com", "exact", "exact"},
		{"WWW.EXAMPLE.COM", "exact", "exact"},
		{"api.example.com", "wild", ""},
		{"a.b.example.com", "wild", ""},
		{"a.deep.example.com", "deep", ""},
		{"a.b.deep.example.com", "deep", ""},
		{"deep.example.com", "wild", ""},
		{"example.com", "any", ""},
		{"other.test", "any", ""},
		{"", "any", ""},
	} {
		client := &tls.Config{ServerName: tc.sni, InsecureSkipVerify: true}
		state, _, cerr, serr := shake(t, s.Config(), client)
		if cerr != nil || serr != nil || state.PeerCertificates[0].Subject.CommonName != tc.want {
			t.Errorf("%q: %v, %v, %v; want %s", tc.sni, state.PeerCertificates, cerr, serr, tc.want)
			continue
		}
		if state.NegotiatedProtocol != "" {
			t.Errorf("%q: protocol %q without being asked", tc.sni, state.NegotiatedProtocol)
		}
		_, _, cerr, _ = shake(t, strict.Config(), client)
		if tc.strict == "" && (cerr == nil || !strings.Contains(cerr.Error(), "unrecognized name")) {
			t.Errorf("%q without a section: %v", tc.sni, cerr)
		}
	}
}

func TestVersionsAndProtocols(t *testing.T) {
	ca := newAuthority(t)
	only13 := section("only13", "only13.test", ca.issue("only13", names("only13.test")))
	only13.TLS.MinVersion = "1.3"
	suites := section("suites", "suites.test", ca.issue("suites", names("suites.test")))
	suites.TLS.CipherSuites = []string{"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"}
	suites.TLS.MaxVersion = "1.2"
	s := serve(t, nil, section("any", "", ca.issue("any", names("any.test"))), only13, suites)
	client := func(name string, lo, hi uint16) *tls.Config {
		return &tls.Config{ServerName: name, RootCAs: ca.pool(), MinVersion: lo, MaxVersion: hi, NextProtos: []string{"h2", "http/1.1"}}
	}
	state, _, cerr, serr := shake(t, s.Config(), client("any.test", 0, 0))
	if cerr != nil || serr != nil || state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "http/1.1" {
		t.Errorf("%x %q, %v, %v", state.Version, state.NegotiatedProtocol, cerr, serr)
	}
	if state.CurveID != tls.X25519MLKEM768 {
		t.Errorf("key exchange %v is not the hybrid one", state.CurveID)
	}
	if state, _, cerr, _ := shake(t, s.Config(), client("any.test", 0, tls.VersionTLS12)); cerr != nil || state.Version != tls.VersionTLS12 {
		t.Errorf("TLS 1.2: %v", cerr)
	}
	for _, hi := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		if _, _, cerr, serr := shake(t, s.Config(), client("any.test", tls.VersionTLS10, hi)); cerr == nil || serr == nil {
			t.Errorf("version %x was accepted", hi)
		}
	}
	if _, _, cerr, _ := shake(t, s.Config(), client("only13.test", 0, tls.VersionTLS12)); cerr == nil {
		t.Error("TLS 1.2 was accepted where 1.3 is the lowest")
	}
	state, _, cerr, _ = shake(t, s.Config(), client("suites.test", 0, 0))
	if cerr != nil || state.CipherSuite != tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 {
		t.Errorf("suite %x, %v", state.CipherSuite, cerr)
	}
}

func TestCertificateChoice(t *testing.T) {
	ca := newAuthority(t)
	s := serve(t, nil, section("any", "",
		ca.issueRSA("first", names("first.test")),
		ca.issueRSA("rsa", names("both.test", "named.both.test")),
		ca.issue("ecdsa", names("both.test", "*.both.test")),
		ca.issue("other", names("other.test")),
	))
	onlyRSA := []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	for _, tc := range []struct {
		sni    string
		suites []uint16
		want   string
	}{
		{"both.test", nil, "ecdsa"},
		{"both.test", onlyRSA, "rsa"},
		{"x.both.test", nil, "ecdsa"},
		{"named.both.test", nil, "rsa"}, // named outright beats the wildcard
		{"first.test", nil, "first"},
		{"other.test", nil, "other"},
		{"other.test", onlyRSA, "first"}, // better a wrong name than no handshake
		{"unknown.test", onlyRSA, "first"},
	} {
		client := &tls.Config{ServerName: tc.sni, InsecureSkipVerify: true}
		if tc.suites != nil {
			client.CipherSuites, client.MaxVersion = tc.suites, tls.VersionTLS12
		}
		state, _, cerr, serr := shake(t, s.Config(), client)
		if cerr != nil || serr != nil {
			t.Errorf("%s: %v, %v", tc.sni, cerr, serr)
			continue
		}
		if got := state.PeerCertificates[0].Subject.CommonName; got != tc.want {
			t.Errorf("%s, suites %v: got %s, want %s", tc.sni, tc.suites, got, tc.want)
		}
	}
}

func TestClientAuth(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	cert := ca.issue("server", names("a.test"))
	withAuth := func(mode ir.ClientAuthMode) *tlsx.Server {
		sec := section("a", "", cert)
		sec.TLS.ClientAuth = &ir.ClientAuth{Mode: mode, CA: ca.pem}
		return serve(t, nil, sec)
	}
	pair := func(c *ir.Certificate) []tls.Certificate {
		p, err := tls.X509KeyPair(c.Chain, c.Key)
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{p}
	}
	clients := map[string][]tls.Certificate{
		"none": nil, "good": pair(ca.issue("me")), "expired": pair(ca.issue("me", expired)), "stranger": pair(other.issue("me")),
	}
	for mode, want := range map[ir.ClientAuthMode]string{
		ir.ClientAuthRequire:         "good",
		ir.ClientAuthOptional:        "good none",
		ir.ClientAuthRequestInsecure: "good none expired stranger",
	} {
		s := withAuth(mode)
		for who, certs := range clients {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				_, state, cerr, serr := shake(t, s.Config(), &tls.Config{
					ServerName: "a.test", RootCAs: ca.pool(), MaxVersion: version,
					GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
						if certs == nil {
							return &tls.Certificate{}, nil
						}
						return &certs[0], nil
					},
				})
				ok := cerr == nil && serr == nil
				if ok != strings.Contains(want, who) {
					t.Errorf("%s, %s, version %x: %v, %v", mode, who, version, cerr, serr)
				}
				if verified := len(state.VerifiedChains) > 0; ok && verified != (who == "good" && mode != ir.ClientAuthRequestInsecure) {
					t.Errorf("%s, %s: verified = %v", mode, who, verified)
				}
			}
		}
	}
}

func TestOneBadCertificate(t *testing.T) {
	ca := newAuthority(t)
	bad := &ir.Certificate{Name: "Secret/default/bad", Chain: []byte("not PEM"), Key: []byte("not PEM")}
	mixed := ca.issue("mismatch")
	mixed.Key = ca.issue("other").Key
	badCA := section("badca", "badca.test", ca.issue("badca"))
	badCA.TLS.ClientAuth = &ir.ClientAuth{Mode: ir.ClientAuthRequire, CA: []byte("nothing")}
	badSuite := section("badsuite", "badsuite.test", ca.issue("badsuite"))
	badSuite.TLS.CipherSuites = []string{"TLS_RSA_WITH_RC4_128_SHA"}
	badVersion := section("badversion", "badversion.test", ca.issue("badversion"))
	badVersion.TLS.MinVersion = "1.1"
	s, err := tlsx.NewServer([]*ir.Section{
		section("any", "", ca.issue("any")),
		section("broken", "broken.test", bad, mixed),
		section("half", "half.test", bad, ca.issue("half")),
		section("empty", "empty.test"),
		badCA, badSuite, badVersion,
	}, nil)
	got := map[string]bool{}
	for _, e := range tlsx.Errors(err) {
		got[strings.TrimPrefix(e.Section, "Gateway/default/edge/")+" "+e.Certificate] = true
	}
	for _, want := range []string{
		"broken Secret/default/bad", "broken Secret/default/mismatch", "half Secret/default/bad",
		"empty ", "badca ", "badsuite ", "badversion ",
	} {
		if !got[want] {
			t.Errorf("%q is not reported", want)
		}
	}
	if len(got) != 7 {
		t.Errorf("reported: %v", got)
	}
	for name, want := range map[string]string{
		"x.test": "any", "half.test": "half",
		// Not served by another section, least of all one without client verification.
		"broken.test": "", "empty.test": "", "badca.test": "", "badsuite.test": "", "badversion.test": "",
	} {
		state, _, cerr, _ := shake(t, s.Config(), &tls.Config{ServerName: name, InsecureSkipVerify: true})
		switch {
		case want == "" && cerr == nil:
			t.Errorf("%s is served", name)
		case want != "" && (cerr != nil || state.PeerCertificates[0].Subject.CommonName != want):
			t.Errorf("%s: %v", name, cerr)
		}
	}
}

func TestResumption(t *testing.T) {
	ca := newAuthority(t)
	var now atomic.Pointer[time.Time]
	begin := time.Now()
	now.Store(&begin)
	later := func(d time.Duration) { next := now.Load().Add(d); now.Store(&next) }
	opts := tlsx.Options{Now: func() time.Time { return *now.Load() }}
	sections := []*ir.Section{section("a", "a.test", ca.issue("a", names("a.test"))), section("b", "b.test", ca.issue("b", names("b.test")))}
	build := func(prev *tlsx.Server) *tlsx.Server {
		s, err := tlsx.NewServerWith(opts, sections, prev)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		now.Store(&begin)
		s := build(nil)
		cache := tls.NewLRUClientSessionCache(8)
		resumed := func(name string) bool {
			t.Helper()
			state, _, cerr, serr := shake(t, s.Config(), &tls.Config{
				ServerName: name, RootCAs: ca.pool(), MaxVersion: version, ClientSessionCache: cache, Time: opts.Now,
			})
			if cerr != nil || serr != nil {
				t.Fatal(cerr, serr)
			}
			return state.DidResume
		}
		if resumed("a.test") {
			t.Error("resumed from nothing")
		}
		if !resumed("a.test") {
			t.Error("not resumed")
		}
		if resumed("b.test") {
			t.Error("resumed under another name")
		}
		s = build(s)
		if !resumed("a.test") {
			t.Error("not resumed after a rebuild")
		}
		later(13 * time.Hour)
		if !resumed("a.test") {
			t.Error("not resumed after one rotation")
		}
		s = build(nil)
		if resumed("a.test") {
			t.Error("resumed by a Server that never saw the keys")
		}
		// Three rotations drop the key. Each needs a handshake to take place.
		resumed("a.test")
		old, _ := cache.Get("a.test")
		for range 3 {
			later(13 * time.Hour)
			resumed("b.test")
		}
		cache.Put("a.test", old)
		if resumed("a.test") {
			t.Error("resumed with a key that ought to be gone")
		}
	}
}

// A ticket from before client verification was demanded must not pass for it.
func TestResumptionAcrossClientAuth(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue("a", names("a.test"))
	s := serve(t, nil, section("a", "", cert))
	client := &tls.Config{ServerName: "a.test", RootCAs: ca.pool(), ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	if _, _, cerr, _ := shake(t, s.Config(), client); cerr != nil {
		t.Fatal(cerr)
	}
	sec := section("a", "", cert)
	sec.TLS.ClientAuth = &ir.ClientAuth{Mode: ir.ClientAuthOptional, CA: ca.pem}
	s = serve(t, s, sec)
	if state, _, cerr, _ := shake(t, s.Config(), client); cerr != nil || state.DidResume {
		t.Errorf("resumed = %v, %v", state.DidResume, cerr)
	}
	sec.TLS.ClientAuth = &ir.ClientAuth{Mode: ir.ClientAuthRequire, CA: ca.pem}
	s = serve(t, s, sec)
	if _, _, cerr, _ := shake(t, s.Config(), client); cerr == nil {
		t.Error("let in without a certificate")
	}
}

type stapler struct{ response atomic.Pointer[[]byte] }

func (s *stapler) Staple(leaf, issuer *x509.Certificate) []byte {
	if leaf.Subject.CommonName != "must" || issuer.Subject.CommonName != "test CA" {
		panic("asked for the wrong certificate")
	}
	if p := s.response.Load(); p != nil {
		return *p
	}
	return nil
}

func TestStapling(t *testing.T) {
	ca := newAuthority(t)
	given := ca.issue("given")
	given.Staple = []byte("from the configuration")
	st := new(stapler)
	s, err := tlsx.NewServerWith(tlsx.Options{Stapler: st}, []*ir.Section{
		section("given", "given.test", given),
		section("must", "must.test", ca.issue("must", mustStaple)),
		section("plain", "plain.test", ca.issue("plain")),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	staple := func(name string) string {
		t.Helper()
		state, _, cerr, _ := shake(t, s.Config(), &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if cerr != nil {
			t.Fatal(cerr)
		}
		return string(state.OCSPResponse)
	}
	if got := staple("given.test"); got != "from the configuration" {
		t.Errorf("given: %q", got)
	}
	if got := staple("must.test") + staple("plain.test"); got != "" {
		t.Errorf("nothing was fetched yet, but got %q", got)
	}
	for _, next := range []string{"one", "two"} {
		b := []byte(next)
		st.response.Store(&b)
		if got := staple("must.test"); got != next {
			t.Errorf("got %q, want %q", got, next)
		}
	}
}
