package view_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/registry"
	"github.com/gridway/gridway/internal/mesh/view"
)

var _ interface {
	distrib.Views
	distrib.Changes
} = (*view.Views)(nil)

func (m *mesh) view(p *distrib.Proxy) distrib.View {
	m.t.Helper()
	v, err := m.views.View(p)
	if err != nil {
		m.t.Fatal(err)
	}
	return v
}

func asText(t *testing.T, c *ir.Config) string {
	t.Helper()
	n := *c
	n.Revision = 0
	b, err := json.MarshalIndent(n, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestViewIsTheConfig: what is sent is, put together again, what the proxy needs.
func TestViewIsTheConfig(t *testing.T) {
	m := newMesh(t, shop)
	server := m.join(m.sidecar("shop", "reviews", "10.0.0.1", distrib.Port{Number: 9080}, "shop/db", "lab/none"))
	server.Labels = map[string]string{distrib.LabelCaptured: "127.0.0.1:15001"}
	node := &distrib.Proxy{Identity: identity.Node(m.td, "host").String(), Name: "host", Role: distrib.RoleNode}
	for i := range 2 {
		node.Workloads = append(node.Workloads, distrib.Workload{
			Name: fmt.Sprint("w", i), Namespace: "shop", Service: "reviews", Address: "10.0.0.5", Healthy: true, MeshPort: 15008,
			Ports: []distrib.Port{{Number: uint16(9080 + i), Name: "http"}},
		})
	}
	m.join(node)
	edge := &distrib.Proxy{Identity: identity.Workload(m.td, "shop", "edge").String(), Name: "edge", Role: distrib.RoleEdge}
	for _, p := range []*distrib.Proxy{server, node, edge} {
		t.Run(p.Name, func(t *testing.T) {
			v := m.view(p)
			var list []distrib.Resource
			for _, r := range v.Resources {
				list = append(list, *r)
			}
			if !slices.IsSortedFunc(v.Resources, distrib.Compare) || v.Hash != distrib.Sum(v.Resources) {
				t.Error("resources are out of order, or their sum is wrong")
			}
			got, err := distrib.Join(list)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(asText(t, m.config(p).Config), asText(t, got)); diff != "" {
				t.Errorf("what is sent differs (-config +sent):\n%s", diff)
			}
		})
	}
	c := m.config(node)
	for i := range 2 {
		cl := cluster(t, c, fmt.Sprintf("Workload/shop/reviews:80~w%d", i))
		if want := fmt.Sprint("127.0.0.1:", 9080+i); len(cl.Endpoints) != 1 || cl.Endpoints[0].Address != want {
			t.Errorf("workload %d is at %v, want %s", i, cl.Endpoints, want)
		}
	}
	if s := listener(t, c, ":15008").Sections; len(s) != 2 || s[0].ServerNames[0] != "w0.80.reviews.shop.mesh" || s[1].Routes[0].Route != "Service/shop/reviews:80/inbound~w1" {
		t.Errorf("%+v", s)
	}
	for _, e := range cluster(t, m.config(edge), "Service/shop/reviews:80").Endpoints {
		if strings.HasPrefix(e.Address, "10.0.0.5") && !strings.HasPrefix(e.ServerName, "w") {
			t.Errorf("%+v is not asked for by name", e)
		}
	}
}

// TestSince: of a change only those hear whom it concerns.
func TestSince(t *testing.T) {
	m := newMesh(t, shop)
	client := m.sidecar("shop", "client", "10.0.0.2", distrib.Port{Number: 1}, "shop/reviews")
	before := m.view(client)
	moment := m.views.Since(0).Moment

	server := m.join(m.sidecar("shop", "reviews", "10.0.0.1", distrib.Port{Number: 9080}))
	ch := m.views.Since(moment)
	if ch.All || len(ch.Services) > 0 || len(ch.Endpoints) != 1 || ch.Endpoints[0].Name != "Service/shop/reviews:80" {
		t.Errorf("a workload came: %+v", ch)
	}
	after := m.view(client)
	if after.Hash != before.Hash || !slices.Contains(after.Resources, ch.Endpoints[0]) {
		t.Error("endpoints alone have made another revision, or are not the view's")
	}
	shared := 0
	for _, r := range after.Resources {
		if slices.Contains(before.Resources, r) {
			shared++
		}
	}
	if shared < len(after.Resources)-2 { // the listener of the client's own, and the endpoints
		t.Errorf("%d of %d resources are the same pointers", shared, len(after.Resources))
	}

	moment = ch.Moment
	m.write(strings.Replace(shop, "request: 60s", "request: 61s", 1))
	if ch = m.views.Since(moment); ch.All || !slices.Equal(ch.Services, []string{"shop/reviews"}) || len(ch.Endpoints) > 0 {
		t.Errorf("a route of reviews changed: %+v", ch)
	}
	if v := m.view(server); !slices.Contains(v.Services, "shop/reviews") {
		t.Errorf("the server does not depend on its service: %v", v.Services)
	}
	moment = ch.Moment
	if ch = m.views.Since(moment); ch.All || len(ch.Services)+len(ch.Endpoints) > 0 || ch.Moment != moment {
		t.Errorf("nothing changed: %+v", ch)
	}
	if !m.views.Since(moment + 1000).All {
		t.Error("it knows the future")
	}
}

// big is a mesh of n services with a workload each.
func big(tb testing.TB, services int) *view.Views {
	td, _ := identity.ParseTrustDomain("example.org")
	reg := registry.New(registry.Options{TrustDomain: td})
	views := view.New(view.Options{TrustDomain: td, Registry: reg})
	for i := range services {
		reg.Joined(of(td, i, nil))
	}
	cfg, mesh := compileRegistered(tb, reg)
	if err := views.Apply(cfg, mesh); err != nil {
		tb.Fatal(err)
	}
	return views
}

func of(td identity.TrustDomain, i int, uses []string) *distrib.Proxy {
	name := fmt.Sprint("s", i)
	return &distrib.Proxy{
		Identity: identity.Workload(td, "shop", name).String(), Name: name, Role: distrib.RoleSidecar, Services: uses,
		Labels: map[string]string{distrib.LabelCaptured: "127.0.0.1:15001"},
		Workloads: []distrib.Workload{{
			Namespace: "shop", Service: name, Address: fmt.Sprintf("10.0.%d.%d", i/256, i%256), Healthy: true, MeshPort: 15008,
			Ports: []distrib.Port{{Number: 9080, Protocol: "http"}},
		}},
	}
}

// BenchmarkViews1000 makes the views of 1,000 proxies, which use ten of 1,000 services.
func BenchmarkViews1000(b *testing.B) {
	views := big(b, 1000)
	td, _ := identity.ParseTrustDomain("example.org")
	var proxies []*distrib.Proxy
	for i := range 1000 {
		var uses []string
		for k := range 10 {
			uses = append(uses, fmt.Sprint("shop/s", (i*7+k*13)%1000))
		}
		slices.Sort(uses)
		proxies = append(proxies, of(td, i, uses))
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, p := range proxies {
			if _, err := views.View(p); err != nil {
				b.Fatal(err)
			}
		}
	}
}
