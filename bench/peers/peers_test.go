package peers

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestTemplates(t *testing.T) {
	l := &Lab{Dir: t.TempDir()}
	for _, c := range []struct {
		name      string
		spec      Spec
		has, lack []string
	}{
		{
			"nginx.conf.tmpl",
			Spec{Backend: "127.0.0.1:9", Routes: 2},
			[]string{"location /r0/ {", "location /r1/ {", "access_log off;", "server 127.0.0.1:9;"},
			[]string{"/r2/", "ssl", "request_id"},
		},
		{"haproxy.cfg.tmpl", Spec{Backend: "127.0.0.1:9", Full: true}, []string{"log stdout", "retry-on", "default_backend"}, []string{"ssl", "map_beg"}},
		{"gridway.yaml.tmpl", Spec{Backend: "127.0.0.1:9", Routes: 3, Full: true}, []string{"name: r2}", "retry:"}, []string{"name: r3}", "name: all", "Secret"}},
		{
			"nginx.conf.tmpl",
			Spec{Backend: "127.0.0.1:9", Door: Door{Password: true, Certificate: true, Browser: true}},
			[]string{"auth_basic bench;", "ssl_verify_client on;", "CN=caller", "$other_site", "add_header X-Frame-Options"},
			[]string{"$denied_network", "auth_request"},
		},
		{
			"gridway.yaml.tmpl",
			Spec{Backend: "127.0.0.1:9", Judge: "127.0.0.1:7", Door: Door{AskGRPC: true, Expression: true}},
			[]string{"grpc: {}", "127.0.0.1:7", "protocol: h2c", "cel: request.method"},
			[]string{"oauth2Introspection", "http: {path: /auth"},
		},
		{"gridway.yaml.tmpl", Spec{Backend: "127.0.0.1:9", Door: Door{Limit: true, Store: Leases}}, []string{"storeRef: {name: shared}", "stateStore: {}"}, []string{"redis:"}},
		{"backend.conf.tmpl", Spec{}, []string{"return 200"}, []string{"<no value>"}},
		{"nginx.conf.tmpl", Spec{Backend: "127.0.0.1:9", Raw: true}, []string{"stream {", "proxy_pass 127.0.0.1:9;"}, []string{"http {"}},
		{"haproxy.cfg.tmpl", Spec{Backend: "127.0.0.1:9", Raw: true}, []string{"mode tcp", "server s 127.0.0.1:9"}, []string{"mode http", "http-reuse"}},
		{"gridway.yaml.tmpl", Spec{Backend: "127.0.0.1:9", Raw: true}, []string{"protocol: TCP", "TCPRoute"}, []string{"HTTPRoute", "protocol: HTTP"}},
	} {
		path, err := l.render(c.name, "out", params{Spec: c.spec, Dir: "/scratch", Addr: "127.0.0.1:8", Port: 8})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range c.has {
			if !strings.Contains(string(text), s) {
				t.Errorf("%s: no %q", c.name, s)
			}
		}
		for _, s := range c.lack {
			if strings.Contains(string(text), s) {
				t.Errorf("%s: has %q", c.name, s)
			}
		}
	}
}

func TestRouteMap(t *testing.T) {
	l := &Lab{Dir: t.TempDir()}
	if err := l.routeMap(params{Spec: Spec{Label: "haproxy", Routes: 2}}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(l.Dir, "haproxy-haproxy.map"))
	if want := "/r0/ backend\n/r1/ backend\n"; err != nil || string(text) != want {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestPortsAreFreeAndDiffer(t *testing.T) {
	ports := PortsBelow(31000)
	a, err := ports()
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(a-1)))
	if err == nil {
		defer taken.Close()
	}
	b, err := ports()
	if err != nil || b >= a-1 {
		t.Errorf("got %d after %d with %d taken: %v", b, a, a-1, err)
	}
}

func TestCertificateIsTrusted(t *testing.T) {
	c, err := NewCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	both, err := os.ReadFile(c.PemFile)
	if err != nil || string(both) != string(c.CertPEM)+string(c.KeyPEM) {
		t.Errorf("the file for HAProxy does not hold both: %v", err)
	}
}
