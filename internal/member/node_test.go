package member

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/declared"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/identity/identitytest"
	"github.com/gridway/gridway/internal/mesh/intercept"
	"github.com/gridway/gridway/internal/mesh/workloadapi"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// testNode is a node proxy that has joined, with a folder of declarations.
func testNode(t *testing.T, files map[string]string, have ...string) *node {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a := identitytest.New(t, "prod.example.com")
	own := identity.Node(a.TrustDomain(), "rack1-a")
	keys := identity.NewKeyring(identity.Options{})
	change := identity.Change{Own: own, Bundles: []*identity.Bundle{a.Bundle()}, Put: []*identity.SVID{a.SVID(own, time.Hour)}}
	for _, service := range have {
		change.Put = append(change.Put, a.Workload("shop", service))
	}
	keys.Apply(change)
	m := &member{keys: keys, log: slog.New(slog.DiscardHandler), opt: Options{
		Role: distrib.RoleNode, Node: "rack1-a", Workloads: folder, StateDir: t.TempDir(), Intercept: true, Zone: "north",
		Address: netip.MustParseAddr("10.0.0.7"), Build: metric.Build{Version: "v1"},
	}}
	m.ports = ports{Mesh: 15008, Inbound: 15006}
	if err := m.openNode(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, l := range m.node.loads {
			l.hold.close()
		}
	})
	return m.node
}

const cart = `
service: cart
namespace: shop
processes: {unit: cart.service}
ports: [{number: 8080, protocol: http}]
labels: {version: v2}
`

// The control plane is told of the workloads that have identities, and of no others.
func TestNodeSaysWhatItHas(t *testing.T) {
	n := testNode(t, map[string]string{"cart.yaml": cart, "late.yaml": strings.ReplaceAll(cart, "cart", "late")}, "cart")
	p := n.proxy()
	if p.Name != "node/rack1-a/10.0.0.7:15008" || p.Role != distrib.RoleNode || p.Labels[distrib.LabelInbound] == "" || len(p.Workloads) != 1 {
		t.Fatalf("%+v", p)
	}
	w := p.Workloads[0]
	if w.Service != "cart" || w.Address != "10.0.0.7" || w.MeshPort != 15008 || w.Zone != "north" || w.Labels["version"] != "v2" || w.Healthy || len(w.Captured) == 0 ||
		!slices.Equal(w.Ports, []distrib.Port{{Number: 8080, Protocol: "http"}}) {
		t.Errorf("%+v", w)
	}
}

// Ports of a workload are those that it had, after a restart, too.
func TestPortsOfWorkloads(t *testing.T) {
	n := testNode(t, map[string]string{"cart.yaml": cart})
	var first *load
	for _, l := range n.loads {
		first = l
	}
	had := first.ports
	if had.Outbound == 0 || had.DNS == 0 || had.Outbound == had.DNS {
		t.Fatalf("%+v", had)
	}
	var hold holder
	defer hold.close()
	if p, err := n.portsFor("shop/other", &hold); err != nil || p.Outbound == had.Outbound {
		t.Errorf("%+v, %v", p, err)
	}
	first.hold.close()
	again := &node{m: n.m, ports: n.ports}
	var second holder
	defer second.close()
	if p, err := again.portsFor(first.key, &second); err != nil || p != had {
		t.Errorf("%+v became %+v, %v", had, p, err)
	}
	n.m.opt.Intercept = false
	if p, err := n.portsFor("shop/none", &hold); err != nil || p != (workloadPorts{}) {
		t.Errorf("without interception: %+v, %v", p, err)
	}
}

// A process is of the workload whose cgroup is the nearest above it, or else of its user's.
func TestIdentify(t *testing.T) {
	here, err := intercept.CgroupOf(int32(os.Getpid()))
	if err != nil {
		t.Skip(err)
	}
	td := identitytest.New(t, "prod.example.com").TrustDomain()
	of := func(service string, in bool, who processes) *load {
		return &load{id: identity.Workload(td, "shop", service), in: in, who: who}
	}
	caller := workloadapi.Caller{PID: int32(os.Getpid()), UID: 1234}
	for name, c := range map[string]struct {
		loads []*load
		want  string
	}{
		"nobody":            {nil, ""},
		"its cgroup":        {[]*load{of("cart", true, processes{cgroup: here}), of("user", true, processes{isUser: true, uid: 1234})}, "cart"},
		"its user":          {[]*load{of("cart", true, processes{cgroup: here + "/below"}), of("user", true, processes{isUser: true, uid: 1234})}, "user"},
		"another user":      {[]*load{of("user", true, processes{isUser: true, uid: 1235})}, ""},
		"without identity":  {[]*load{of("cart", false, processes{cgroup: here})}, ""},
		"processes unknown": {[]*load{of("cart", true, processes{})}, ""},
	} {
		n := &node{loads: map[string]*load{}}
		for _, l := range c.loads {
			n.loads[l.id.String()] = l
		}
		got := n.identify(caller)
		if c.want == "" && len(got) == 0 {
			continue
		}
		if len(got) != 1 || identity.NameOf(got[0]).Service != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	leaving := of("cart", true, processes{cgroup: here})
	leaving.leaving = true
	if got := (&node{loads: map[string]*load{"a": leaving}}).identify(caller); len(got) > 0 {
		t.Errorf("of one that leaves: %v", got)
	}
}

func TestWithin(t *testing.T) {
	for _, c := range []struct {
		cgroup, of string
		want       bool
	}{
		{"/system.slice/cart.service", "/system.slice/cart.service", true},
		{"/system.slice/cart.service/worker", "/system.slice/cart.service", true},
		{"/system.slice/cart.service2", "/system.slice/cart.service", false},
		{"/system.slice", "/system.slice/cart.service", false},
		{"", "/system.slice/cart.service", false},
	} {
		if got := within(c.cgroup, c.of); got != c.want {
			t.Errorf("%s within %s: %v", c.cgroup, c.of, got)
		}
	}
}

func TestFindProcesses(t *testing.T) {
	for want, p := range map[string]declared.Processes{
		"no user nobody-of-this-name": {User: "nobody-of-this-name"},
		"are root's, too":             {User: "0"},
		"number of no user":           {User: "4294967295"},
		"no such cgroup":              {Cgroup: "/gridway-test-none"},
	} {
		if _, err := find(p); err == nil || !strings.Contains(err.Error(), want) && !strings.Contains(err.Error(), "no cgroup2") {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if who, err := find(declared.Processes{User: "4294967294"}); err != nil || !who.isUser || who.uid != 4294967294 {
		t.Errorf("%+v, %v", who, err)
	}
}
