package dryrun_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
)

// besideTable is of a proxy beside a program: it knows a service of HTTP, one of TCP and
// one that nobody said anything of, and is told what to do with strangers.
func besideTable(t *testing.T, egress ir.Egress, let bool) *dryrun.Table {
	t.Helper()
	cfg := &ir.Config{}
	section := func(name string, p ir.Protocol, at ...string) *ir.Section {
		cfg.Routes = append(cfg.Routes, &ir.Route{Name: name, Rules: []*ir.Rule{{
			ID: name + "/rules/0", Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.Prefix, Value: "/"}}}, Backends: []ir.BackendRef{{Cluster: name, Weight: 1}},
		}}})
		cfg.Streams = append(cfg.Streams, &ir.StreamRoute{Name: name, ID: name, Backends: []ir.BackendRef{{Cluster: name, Weight: 1}}})
		cfg.Clusters = append(cfg.Clusters, &ir.Cluster{Name: name})
		s := &ir.Section{Name: name, Protocol: p, Authorities: at}
		if p != ir.TCP {
			s.Routes = []ir.Attachment{{Route: name, Hostnames: []string{""}}}
		}
		if p != ir.HTTP {
			s.Streams = []ir.Attachment{{Route: name, Hostnames: []string{""}}}
		}
		return s
	}
	web := section("web", ir.HTTP, "web:9080", "web:80", "web.shop:9080")
	web.Destinations = []netip.AddrPort{netip.MustParseAddrPort("240.0.0.1:9080"), netip.MustParseAddrPort("[fd00::1]:9080")}
	out := []*ir.Section{web, section("db", ir.TCP, "db:5432"), section("any", ir.Detect, "any:7000")}
	in := section("own", ir.Detect)
	in.Plaintext = let
	in.Destinations = []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:8080"), netip.MustParseAddrPort("[::]:8080")}
	cfg.Listeners = []*ir.Listener{
		{Name: "127.0.0.1:15001", Address: "127.0.0.1", Port: 15001, Protocol: ir.HTTP, Captured: true, Egress: egress, Sections: out},
		{Name: "0.0.0.0:15006", Address: "0.0.0.0", Port: 15006, Protocol: ir.HTTP, Captured: true, Inbound: true, Sections: []*ir.Section{in}},
		{Name: "127.0.0.1:7001", Address: "127.0.0.1", Port: 7001, Protocol: ir.HTTP, Sections: []*ir.Section{{Name: "up", Routes: web.Routes}}},
	}
	built, err := dryrun.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

func TestBesideApplications(t *testing.T) {
	for _, c := range []struct {
		url, listener string
		let           bool
		want          string // the route, or the reason, or a part of the error
	}{
		{"http://web:9080/x", "", false, "web"},
		{"http://web/x", "", false, "web"},
		{"http://WEB.shop:9080/x", "", false, "web"},
		{"http://240.0.0.1:9080/", "", false, "web"},
		{"http://[fd00::1]:9080/", "", false, "web"},
		{"http://any:7000/", "", false, "any"},
		{"tcp://any:7000", "", false, "any"},
		{"tcp://db:5432", "", false, "db"},
		{"http://127.0.0.1:7001/", "", false, "web"},
		{"http://web:9081/", "", false, "no service that this proxy knows has web:9081"},
		{"http://db:5432/", "", false, "db has another protocol: ask for tcp://db:5432"},
		{"tcp://web:9080", "", false, "web has another protocol: ask for http://web:9080"},
		{"http://own:8080/", ":15006", false, "MeshTLSRequired"},
		{"tcp://own:8080", ":15006", false, "MeshTLSRequired"},
		{"http://own:8080/", ":15006", true, "own"},
		{"tcp://own:8080", ":15006", true, "own"},
		{"http://own:8081/", ":15006", true, "listener :15006 has no service for own:8081"},
		{"http://own:8080/", "", true, "no service that this proxy knows"},
	} {
		got := ""
		switch d, err := besideTable(t, ir.EgressDeny, c.let).Decide(dryrun.Request{URL: c.url, Listener: c.listener}); {
		case err != nil:
			got = err.Error()
		case d.Route != nil:
			got = d.Route.Name
		case d.Local != nil:
			got = d.Local.Reason
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s %s: %q, want %q", c.url, c.listener, got, c.want)
		}
	}
	for egress, want := range map[ir.Egress]string{ir.EgressAllow: "goes where it leads", ir.EgressDeny: "502 EgressDenied"} {
		if _, err := besideTable(t, egress, false).Decide(dryrun.Request{URL: "http://example.com/"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", egress, err)
		}
	}
}
