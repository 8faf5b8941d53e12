package member

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/gridway/gridway/internal/mesh/declared"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/intercept"
)

func TestRules(t *testing.T) {
	network := netip.MustParsePrefix("10.9.0.0/16")
	m := member{ports: ports{Mesh: 15008, Outbound: 15001, DNS: 15053, Inbound: 15006}, opt: Options{
		Ports:  []distrib.Port{{Number: 9080}, {Name: "again", Number: 9080}, {Number: 9081}, {Number: 9090}},
		Except: Except{Ports: []uint16{9090}, Networks: []netip.Prefix{network}, OutboundPorts: []uint16{5432}},
	}}
	r := m.rules(intercept.FromUser(7))
	if want := []intercept.Redirect{{From: 9080, To: 15006}, {From: 9081, To: 15006}}; !slices.Equal(r.Inbound, want) {
		t.Errorf("inbound %v, want %v", r.Inbound, want)
	}
	if r.ID != "p15008" || r.Outbound != 15001 || r.DNS != 15053 || !slices.Equal(r.Except.Networks, []netip.Prefix{network}) || !slices.Equal(r.Except.Ports, []uint16{5432}) {
		t.Errorf("%+v", r)
	}
}

// Rules of a node's workload are its own: a table, ports, and what it excepts.
func TestRulesOfWorkloads(t *testing.T) {
	network := netip.MustParsePrefix("10.9.0.0/16")
	m := member{ports: ports{Mesh: 15008, Inbound: 15006}}
	cart, mail := &load{key: "shop/cart", ports: workloadPorts{Outbound: 20001, DNS: 20002}}, &load{key: "shop/mail", ports: workloadPorts{Outbound: 20003, DNS: 20004}}
	d := &declared.Workload{
		Ports:  []declared.Port{{Number: 8080}, {Number: 9090}},
		Except: declared.Except{Ports: []uint16{9090}, Networks: []netip.Prefix{network}, OutboundPorts: []uint16{5432}},
	}
	c := m.rulesOf(cart, d, intercept.FromUser(7))
	if c.Outbound != 20001 || c.DNS != 20002 || !slices.Equal(c.Inbound, []intercept.Redirect{{From: 8080, To: 15006}}) ||
		!slices.Equal(c.Except.Networks, []netip.Prefix{network}) || !slices.Equal(c.Except.Ports, []uint16{5432}) {
		t.Errorf("%+v", c)
	}
	if other := m.rulesOf(mail, &declared.Workload{}, intercept.FromUser(8)); other.ID == c.ID || other.Outbound != 20003 || len(other.Inbound)+len(other.Except.Ports)+len(other.Except.Networks) > 0 {
		t.Errorf("%+v", other)
	}
}

func TestInboundPort(t *testing.T) {
	for name, c := range map[string]struct {
		o    Options
		want bool
	}{
		"a port":       {Options{Intercept: true, Ports: []distrib.Port{{Number: 9080}}}, true},
		"all excepted": {Options{Intercept: true, Ports: []distrib.Port{{Number: 9080}}, Except: Except{Ports: []uint16{9080}}}, false},
		"no port":      {Options{Intercept: true}, false},
		"no rules":     {Options{Ports: []distrib.Port{{Number: 9080}}}, false},
	} {
		c.o.StateDir = t.TempDir()
		var first, second holder
		p, err := choosePorts(&c.o, &first)
		first.close()
		if err != nil {
			t.Fatal(err)
		}
		if (p.Inbound != 0) != c.want {
			t.Errorf("%s: inbound port %d", name, p.Inbound)
		}
		// The same ones are opened after a restart, if they are free.
		if again, err := choosePorts(&c.o, &second); err != nil || again != p {
			t.Errorf("%s: %+v, then %+v, %v", name, p, again, err)
		}
		second.close()
	}
}
