package tlsx_test

import (
	"crypto/tls"
	"crypto/x509"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/tlsx"
)

// staples are known by the certificates' common names.
type staples struct {
	mu    sync.Mutex
	known map[string]string
}

func (s *staples) Staple(leaf, _ *x509.Certificate) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if text := s.known[leaf.Subject.CommonName]; text != "" {
		return []byte(text)
	}
	return nil
}

func (s *staples) know(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[name] = "staple of " + name
}

// A renewed certificate that demands a staple serves when it has one, or after a
// while.
func TestCertificatesWaitForStaples(t *testing.T) {
	ca := newAuthority(t)
	now := time.Now()
	for _, c := range []struct {
		what   string
		change func(s *staples, build func(certs ...*ir.Certificate), next *ir.Certificate)
		want   string
	}{
		{"it waits", func(*staples, func(...*ir.Certificate), *ir.Certificate) {}, "old with staple of old"},
		{"it has its staple", func(s *staples, _ func(...*ir.Certificate), _ *ir.Certificate) { s.know("new") }, "new with staple of new"},
		{"something else changes", func(_ *staples, build func(...*ir.Certificate), next *ir.Certificate) { build(next) }, "old with staple of old"},
		{"it took too long", func(*staples, func(...*ir.Certificate), *ir.Certificate) { now = now.Add(31 * time.Second) }, "new with "},
		{"it took too long beside changes", func(_ *staples, build func(...*ir.Certificate), next *ir.Certificate) {
			now = now.Add(20 * time.Second)
			build(next)
			now = now.Add(20 * time.Second)
		}, "new with "},
		{"no staple is demanded", func(_ *staples, build func(...*ir.Certificate), _ *ir.Certificate) {
			build(ca.issue("plain", names("a.test")))
		}, "plain with "},
		{"the names are others", func(_ *staples, build func(...*ir.Certificate), _ *ir.Certificate) {
			build(ca.issue("only", names("a.test"), mustStaple))
			build(ca.issue("other", names("*.test"), mustStaple))
		}, "old with staple of old"},
	} {
		known := &staples{known: map[string]string{}}
		known.know("old")
		now = time.Now()
		var s *tlsx.Server
		build := func(certs ...*ir.Certificate) {
			t.Helper()
			var err error
			s, err = tlsx.NewServerWith(tlsx.Options{Stapler: known, Now: func() time.Time { return now }}, []*ir.Section{section("a", "", certs...)}, s)
			if err != nil {
				t.Fatal(err)
			}
		}
		build(ca.issue("old", names("a.test"), mustStaple))
		next := ca.issue("new", names("a.test"), mustStaple)
		build(next)
		c.change(known, build, next)
		state, _, cerr, serr := shake(t, s.Config(), &tls.Config{ServerName: "a.test", RootCAs: ca.pool()})
		if cerr != nil || serr != nil {
			t.Fatal(c.what, cerr, serr)
		}
		if got := state.PeerCertificates[0].Subject.CommonName + " with " + string(state.OCSPResponse); got != c.want {
			t.Errorf("%s: it shows %s, want %s", c.what, got, c.want)
		}
	}
	// For a name that only the new one has there is nothing to wait for.
	known := &staples{known: map[string]string{"old": "staple"}}
	s, err := tlsx.NewServerWith(tlsx.Options{Stapler: known}, []*ir.Section{section("a", "", ca.issue("old", names("a.test"), mustStaple))}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = tlsx.NewServer([]*ir.Section{section("a", "", ca.issue("new", names("b.test"), mustStaple))}, s); err != nil {
		t.Fatal(err)
	}
	if state, _, cerr, _ := shake(t, s.Config(), &tls.Config{ServerName: "b.test", RootCAs: ca.pool()}); cerr != nil || state.PeerCertificates[0].Subject.CommonName != "new" {
		t.Error(cerr, state.PeerCertificates)
	}
}
