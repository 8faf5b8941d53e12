package tlsx_test

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/tlsx"
)

// pending answers for one name.
type pending struct {
	name string
	cert *tls.Certificate
}

func (p pending) Certificate(name string) (*tls.Certificate, bool) { return p.cert, name == p.name }

// A certificate authority is answered by every listener, also by one that has no
// certificate yet, and whatever it asks of clients; nobody else notices.
func TestChallenges(t *testing.T) {
	ca := newAuthority(t)
	strict := ca.issue("strict", names("strict.example"))
	cert, err := tls.X509KeyPair(strict.Chain, strict.Key)
	if err != nil {
		t.Fatal(err)
	}
	sections := []*ir.Section{
		{Name: "awaited", Hostname: "new.example", TLS: &ir.ServerTLS{Awaited: []string{"Secret/default/le:new.example"}}},
		{Name: "strict", Hostname: "strict.example", TLS: &ir.ServerTLS{
			Certificates: []*ir.Certificate{strict},
			ClientAuth:   &ir.ClientAuth{Mode: ir.ClientAuthRequire, CA: ca.pem},
		}},
	}
	for _, name := range []string{"new.example", "strict.example", "other.example"} {
		server, err := tlsx.NewServerWith(tlsx.Options{Challenges: pending{name, &cert}, HTTP2: true}, sections, nil)
		if err != nil {
			t.Fatalf("a certificate that is awaited is no error: %v", err)
		}
		for _, tt := range []struct {
			asks  string
			alpn  []string
			found bool
		}{
			{name, []string{"acme-tls/1"}, true},
			{"nobody.example", []string{"acme-tls/1"}, false},
			{name, []string{"acme-tls/1", "http/1.1"}, false}, // RFC 8737 §3: that one alone
		} {
			state, _, err, _ := shake(t, server.Config(), &tls.Config{ServerName: tt.asks, NextProtos: tt.alpn, InsecureSkipVerify: true})
			if found := err == nil && state.NegotiatedProtocol == tlsx.ChallengeProtocol; found != tt.found {
				t.Errorf("pending for %s: %s with %v: %v", name, tt.asks, tt.alpn, err)
			}
		}
		_, _, err, _ = shake(t, server.Config(), &tls.Config{ServerName: "new.example", InsecureSkipVerify: true})
		if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("without a certificate: %v", err)
		}
	}
	server, _ := tlsx.NewServer(sections, nil)
	if _, _, err, _ := shake(t, server.Config(), &tls.Config{ServerName: "new.example", NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true}); err == nil {
		t.Error("answered without challenges")
	}
}
