package authorization_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/authorization"
)

// connection is one of the service cart, to port 5432 of a service in its mesh.
func connection() *authorization.Connection {
	id, _ := url.Parse("spiffe://shop.example/ns/shop/sa/cart")
	cert := &x509.Certificate{URIs: []*url.URL{id}}
	return &authorization.Connection{
		Client: netip.MustParseAddr("192.0.2.7"), Opened: weekday, Port: 5432, ServerName: "db.shop.example",
		Section: &ir.Section{Identity: "spiffe://shop.example/ns/shop/sa/db", ServicePort: 5432},
		TLS:     &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: [][]*x509.Certificate{{cert}}},
	}
}

func open(t *testing.T, c *authorization.Connection, list ...*ir.Authorization) authorization.Ruling {
	t.Helper()
	var policies []*authorization.Policy
	for _, cfg := range list {
		policies = append(policies, compile(t, cfg))
	}
	a := authorization.New(policies, authorization.Deps{})
	r := a.Open(c)
	if still := a.Still(c); still.Why != r.Why || still.Policy != r.Policy || still.Rule != r.Rule {
		t.Errorf("opened: %+v, still: %+v", r, still)
	}
	return r
}

// TestConnectionConditions: what a connection has decides as for requests, in both
// kinds of policies, and below not.
func TestConnectionConditions(t *testing.T) {
	for name, c := range map[string]struct {
		conditions
		holds bool
	}{
		"identity":              {conditions{Identities: []string{"spiffe://shop.example/ns/shop/sa/cart"}}, true},
		"other identity":        {conditions{Identities: []string{"spiffe://shop.example/ns/shop/sa/web"}}, false},
		"trust domain":          {conditions{Identities: []string{"spiffe://shop.example/*"}}, true},
		"namespace":             {conditions{Namespaces: []string{"lab", "shop"}}, true},
		"other namespace":       {conditions{Namespaces: []string{"sho"}}, false},
		"network":               {conditions{ClientIPs: prefixes("192.0.2.0/24")}, true},
		"other network":         {conditions{ClientIPs: prefixes("10.0.0.0/8")}, false},
		"port":                  {conditions{Ports: []uint16{80, 5432}}, true},
		"other port":            {conditions{Ports: []uint16{5433}}, false},
		"server name":           {conditions{ServerNames: []string{"*.example"}}, true},
		"other server name":     {conditions{ServerNames: []string{"shop.example"}}, false},
		"time":                  {conditions{Times: []ir.TimeWindow{{Days: 1 << time.Wednesday}}}, true},
		"other time":            {conditions{Times: []ir.TimeWindow{{NotBefore: weekday.Add(1)}}}, false},
		"all of it":             {conditions{Namespaces: []string{"shop"}, Ports: []uint16{5432}}, true},
		"not all of it":         {conditions{Namespaces: []string{"shop"}, Ports: []uint16{1}}, false},
		"nothing in particular": {conditions{}, true},
	} {
		rule := when(c.conditions)
		if got := open(t, connection(), allow(rule)).Why == filter.ReasonNone; got != c.holds {
			t.Errorf("%s: allowed %t", name, got)
		}
		if got := open(t, connection(), policy("n/deny", ir.AuthorizationDeny, rule)).Why == filter.AccessDenied; got != c.holds {
			t.Errorf("%s: denied %t", name, got)
		}
		if one := len(c.Namespaces) == 0 || len(c.Ports) == 0; one && name != "nothing in particular" {
			if got := open(t, connection(), allow(unless(c.conditions))).Why == filter.ReasonNone; got == c.holds {
				t.Errorf("%s, below not: allowed %t", name, got)
			}
		}
	}
}

// TestRequestsOnly: a rule that asks for what only a request has lets no connection
// through, and denies one by the rest of what it asks; for requests nothing changes.
func TestRequestsOnly(t *testing.T) {
	mine, other := conditions{Namespaces: []string{"shop"}}, conditions{Namespaces: []string{"lab"}}
	for name, only := range map[string]ir.AuthorizationRule{
		"methods":     when(conditions{Methods: []string{"GET"}}),
		"paths":       when(conditions{Paths: []ir.PathMatch{{Type: ir.Prefix, Value: "/"}}}),
		"hosts":       when(conditions{Hosts: []string{"*.example"}}),
		"headers":     when(conditions{Headers: value("x-a", ir.ComparePresent)}),
		"grpc":        when(conditions{GRPCMethods: []ir.GRPCMethodPattern{{Service: "a"}}}),
		"consumers":   when(conditions{Consumers: []string{"*"}}),
		"claims":      when(conditions{Claims: value("sub", ir.ComparePresent)}),
		"not methods": unless(conditions{Methods: []string{"GET"}}),
		"not groups":  unless(conditions{Groups: []string{"a"}}),
		"cel":         {CEL: `request.method == "GET"`},
		"cel, caller": {CEL: `!caller.known`},
	} {
		for _, rest := range []struct {
			conditions
			denied bool
		}{{conditions{}, true}, {mine, true}, {other, false}} {
			rule := only
			rule.Namespaces = rest.Namespaces
			if r := open(t, connection(), allow(rule)); r.Why != filter.AccessDenied || r.Policy != "n/allow" || r.Rule != "" {
				t.Errorf("%s: allowed by %+v", name, r)
			}
			r := open(t, connection(), policy("n/deny", ir.AuthorizationDeny, rule))
			if (r.Why == filter.AccessDenied) != rest.denied || rest.denied && (r.Policy != "n/deny" || r.Rule != "r0") {
				t.Errorf("%s and %v: %+v", name, rest.Namespaces, r)
			}
		}
	}
	known := ir.AuthorizationRule{CEL: `source.identity.endsWith("/sa/cart") && client.address.inNetwork("192.0.2.0/24") && tls.serverName == "db.shop.example"`}
	if r := open(t, connection(), allow(known)); r.Why != filter.ReasonNone {
		t.Errorf("what is known: %+v", r)
	}
}

// TestConnectionsAndNobody: without a certificate, or with one of another trust domain,
// nobody is known.
func TestConnectionsAndNobody(t *testing.T) {
	asks := []ir.AuthorizationRule{when(conditions{Identities: []string{"*"}}), when(conditions{Namespaces: []string{"shop"}})}
	c := connection()
	c.TLS = nil
	for _, rule := range asks {
		if r := open(t, c, allow(rule)); r.Why == filter.ReasonNone {
			t.Errorf("%+v", rule)
		}
	}
	c = connection()
	c.Section.Identity = "spiffe://another.example/ns/shop/sa/db"
	if r := open(t, c, allow(asks[1])); r.Why == filter.ReasonNone {
		t.Error("a namespace of another trust domain")
	}
}

// TestConnectionNotes: audits and dry policies note, and let go on.
func TestConnectionNotes(t *testing.T) {
	dry := allow(when(conditions{Ports: []uint16{1}}))
	dry.DryRun = true
	deny := policy("n/deny", ir.AuthorizationDeny, when(conditions{Methods: []string{"GET"}}))
	deny.DryRun = true
	r := open(t, connection(), dry, deny, policy("n/audit", ir.AuthorizationAudit, when(conditions{Namespaces: []string{"shop"}})))
	if r.Why != filter.ReasonNone {
		t.Fatalf("%+v", r)
	}
	if got := string(filter.AppendNoted(nil, r.Notes, filter.NoteAudit)); got != "n/audit/r0" {
		t.Error(got)
	}
	if got := string(filter.AppendNoted(nil, r.Notes, filter.NoteWouldDeny)); got != "n/deny/r0,n/allow" {
		t.Error(got)
	}
	broken := &ir.Authorization{Policy: "n/broken", Broken: true}
	if r := open(t, connection(), broken); r.Why != filter.AuthorizationUnavailable || r.Policy != "n/broken" {
		t.Errorf("%+v", r)
	}
}

// TestPortsOfRequests: a request's port is its Service's, or the connection's own; what
// proxies of a mesh name in their handshakes is no name of the client's.
func TestPortsOfRequests(t *testing.T) {
	may := func(x *filter.Exchange, c conditions) bool {
		return authorization.New([]*authorization.Policy{compile(t, allow(when(c)))}, authorization.Deps{}).OnRequest(x) == filter.Continue
	}
	x := request()
	x.LocalAddr, x.TLS.ServerName = netip.MustParseAddrPort("192.0.2.1:443"), "Shop.Example"
	if !may(x, conditions{Ports: []uint16{443}}) || !may(x, conditions{ServerNames: []string{"shop.example"}}) {
		t.Error("at an edge")
	}
	x.Section = &ir.Section{ServicePort: 9080}
	if may(x, conditions{Ports: []uint16{443}}) || !may(x, conditions{Ports: []uint16{9080}}) || may(x, conditions{ServerNames: []string{"*.example"}}) {
		t.Error("in a mesh")
	}
}
