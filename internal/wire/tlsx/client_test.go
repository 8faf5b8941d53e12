package tlsx_test

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/tlsx"
)

func TestClientVerification(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	good := ca.issue("good", names("svc.test", "*.wild.test"), uri("spiffe://td/ns/a/sa/b"))
	stale := ca.issue("stale", names("svc.test"), expired)
	for _, tc := range []struct {
		name string
		cert *ir.Certificate
		tls  ir.UpstreamTLS
		want string // part of the error; empty is success
	}{
		{"server name", good, ir.UpstreamTLS{ServerName: "svc.test", CA: ca.pem}, ""},
		{"server name by wildcard", good, ir.UpstreamTLS{ServerName: "a.wild.test", CA: ca.pem}, ""},
		{"server name with a final dot", good, ir.UpstreamTLS{ServerName: "svc.test.", CA: ca.pem}, ""},
		{"wrong server name", good, ir.UpstreamTLS{ServerName: "other.test", CA: ca.pem}, "not other.test"},
		{"no name to verify", good, ir.UpstreamTLS{CA: ca.pem}, "ServerName"},
		{"unknown CA", good, ir.UpstreamTLS{ServerName: "svc.test", CA: other.pem}, "unknown authority"},
		{"system roots", good, ir.UpstreamTLS{ServerName: "svc.test", System: true}, "unknown authority"},
		{"system roots and a CA", good, ir.UpstreamTLS{ServerName: "svc.test", System: true, CA: ca.pem}, ""},
		{"expired", stale, ir.UpstreamTLS{ServerName: "svc.test", CA: ca.pem}, "expired"},
		{"DNS SAN", good, ir.UpstreamTLS{ServerName: "sni.test", CA: ca.pem, SANs: []ir.SAN{{DNS: "svc.test"}}}, ""},
		{"wildcard SAN as is", good, ir.UpstreamTLS{CA: ca.pem, SANs: []ir.SAN{{DNS: "*.wild.test"}}}, ""},
		{"wildcard SAN that is not there", good, ir.UpstreamTLS{CA: ca.pem, SANs: []ir.SAN{{DNS: "*.test"}}}, "subject alternative names"},
		{"URI SAN", good, ir.UpstreamTLS{CA: ca.pem, SANs: []ir.SAN{{DNS: "no.test"}, {URI: "spiffe://td/ns/a/sa/b"}}}, ""},
		{"wrong URI SAN", good, ir.UpstreamTLS{ServerName: "svc.test", CA: ca.pem, SANs: []ir.SAN{{URI: "spiffe://td/ns/a/sa/c"}}}, "subject alternative names"},
		{"SAN with an unknown CA", good, ir.UpstreamTLS{CA: other.pem, SANs: []ir.SAN{{DNS: "svc.test"}}}, "unknown authority"},
		{"SAN and expired", stale, ir.UpstreamTLS{CA: ca.pem, SANs: []ir.SAN{{DNS: "svc.test"}}}, "expired"},
		{"insecure", stale, ir.UpstreamTLS{ServerName: "other.test", CA: other.pem, Insecure: true}, ""},
		{"too old a server", good, ir.UpstreamTLS{ServerName: "svc.test", CA: ca.pem, MinVersion: "1.3", MaxVersion: "1.3"}, "protocol version"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sec := section("a", "", tc.cert)
			sec.TLS.MaxVersion = "1.2"
			if tc.want != "protocol version" {
				sec.TLS.MaxVersion = "1.3"
			}
			config, err := tlsx.ClientConfig(&tc.tls)
			if err != nil {
				t.Fatal(err)
			}
			state, _, cerr, _ := shake(t, serve(t, nil, sec).Config(), config)
			switch {
			case tc.want == "" && cerr != nil:
				t.Errorf("got %v", cerr)
			case tc.want == "" && state.NegotiatedProtocol != "http/1.1":
				t.Errorf("protocol %q", state.NegotiatedProtocol)
			case tc.want != "" && (cerr == nil || !strings.Contains(cerr.Error(), tc.want)):
				t.Errorf("got %v, want %q", cerr, tc.want)
			}
		})
	}
}

func TestClientCertificateAndResumption(t *testing.T) {
	ca := newAuthority(t)
	sec := section("a", "", ca.issue("server", names("svc.test")))
	sec.TLS.ClientAuth = &ir.ClientAuth{Mode: ir.ClientAuthRequire, CA: ca.pem}
	s := serve(t, nil, sec)
	up := &ir.UpstreamTLS{ServerName: "svc.test", CA: ca.pem, SANs: []ir.SAN{{DNS: "svc.test"}}}
	config, err := tlsx.ClientConfig(up)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, cerr, serr := shake(t, s.Config(), config); cerr == nil || serr == nil {
		t.Error("no client certificate was needed")
	}
	up.Certificate = ca.issue("gridway")
	if config, err = tlsx.ClientConfig(up); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		state, server, cerr, serr := shake(t, s.Config(), config)
		if cerr != nil || serr != nil {
			t.Fatal(cerr, serr)
		}
		if got := server.PeerCertificates[0].Subject.CommonName; got != "gridway" {
			t.Errorf("presented %s", got)
		}
		if state.DidResume != (i == 1) {
			t.Errorf("handshake %d: resumed = %v", i, state.DidResume)
		}
	}
}

func TestClientConfigErrors(t *testing.T) {
	ca := newAuthority(t)
	for name, up := range map[string]*ir.UpstreamTLS{
		"nil":                nil,
		"CA":                 {ServerName: "a", CA: []byte("x")},
		"version":            {ServerName: "a", MinVersion: "1.1"},
		"versions":           {ServerName: "a", MinVersion: "1.3", MaxVersion: "1.2"},
		"SAN":                {SANs: []ir.SAN{{}}},
		"client certificate": {ServerName: "a", Certificate: &ir.Certificate{Name: "x", Chain: ca.pem}},
	} {
		if config, err := tlsx.ClientConfig(up); err == nil || config != nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestDefaultClientIsStrict(t *testing.T) {
	config, err := tlsx.ClientConfig(&ir.UpstreamTLS{ServerName: "svc.test"})
	if err != nil {
		t.Fatal(err)
	}
	if config.InsecureSkipVerify || config.MinVersion != tls.VersionTLS12 {
		t.Errorf("%+v", config)
	}
}
