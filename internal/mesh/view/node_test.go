package view_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
)

const mirrored = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ratings, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: ratings}]
  rules:
  - filters: [{type: RequestMirror, requestMirror: {backendRef: {name: audit, port: 9080}}}]
    backendRefs: [{name: ratings, port: 9080}]
`

// node is a node proxy of two workloads, of two namespaces.
func (m *mesh) node() *distrib.Proxy {
	load := func(namespace, service, at string) distrib.Workload {
		return distrib.Workload{
			Namespace: namespace, Service: service, Address: "10.0.0.9", Ports: []distrib.Port{http9080}, Healthy: true, MeshPort: 15008, Local: "10.0.0.9",
			Captured: []string{at},
		}
	}
	return &distrib.Proxy{
		Identity: identity.Node(m.td, "rack1").String(), Name: "node/rack1", Role: distrib.RoleNode, Services: []string{"shop/ratings", "shop/nobody"},
		Workloads: []distrib.Workload{load("shop", "front", "127.0.0.1:20001"), load("office", "batch", "127.0.0.1:20002")},
	}
}

// A node proxy has for each workload a listener of its own, whose clusters have that
// workload's identity and no other's, and one for what comes, where each shows its own.
func TestNode(t *testing.T) {
	m := newMesh(t, mirrored)
	m.join(m.sidecar("shop", "ratings", "10.0.0.2", http9080))
	m.join(m.sidecar("shop", "audit", "10.0.0.3", http9080))
	node := m.join(m.node())
	m.compile()
	c := m.config(node)
	if !slices.Equal(c.Unknown, []string{"shop/nobody"}) {
		t.Errorf("unknown: %v", c.Unknown)
	}
	in := listener(t, c, ":15008")
	var shown []string
	for _, s := range in.Sections {
		shown = append(shown, s.ServerNames[0]+" "+s.Identity)
	}
	slices.Sort(shown)
	if want := []string{"9080.batch.office.mesh spiffe://example.org/ns/office/sa/batch", "9080.front.shop.mesh spiffe://example.org/ns/shop/sa/front"}; !slices.Equal(shown, want) {
		t.Errorf("%v", shown)
	}
	for _, w := range []struct{ at, key, name string }{{"127.0.0.1:20001", "shop/front", "ratings:9080"}, {"127.0.0.1:20002", "office/batch", "ratings.shop:9080"}} {
		l := listener(t, c, w.at)
		if !l.Captured || !l.CapturedOnly || len(l.Sections) != 1 || !slices.Contains(l.Sections[0].Authorities, w.name) ||
			slices.Contains(l.Sections[0].Authorities, "ratings:9080") != (w.key == "shop/front") {
			t.Fatalf("%s: %+v, %+v", w.key, l, l.Sections)
		}
		namespace, service, _ := strings.Cut(w.key, "/")
		want := identity.Workload(m.td, namespace, service).String()
		for _, cl := range reached(t, c.Config, l) {
			if !strings.HasSuffix(cl.Name, "%"+w.key) || cl.Identity != want || len(cl.Endpoints) != 1 || cl.Endpoints[0].Identity == "" {
				t.Errorf("%s calls %s as %q, endpoints %v", w.key, cl.Name, cl.Identity, cl.Endpoints)
			}
		}
	}
	for _, cl := range c.Clusters {
		if strings.HasPrefix(cl.Name, "Workload/") && !strings.HasPrefix(cl.Endpoints[0].Address, "10.0.0.9:") {
			t.Errorf("%s listens at %v", cl.Name, cl.Endpoints)
		}
	}
	if seen := names(c.Clusters, func(c *ir.Cluster) string { return c.Name }); len(slices.Compact(slices.Sorted(slices.Values(seen)))) != len(seen) {
		t.Errorf("a cluster is there twice: %v", seen)
	}
	// Endpoints of now, and again when they change.
	before := m.views.Since(0).Moment
	m.join(m.sidecar("shop", "ratings", "10.0.0.4", http9080))
	change := m.views.Since(before)
	if !slices.ContainsFunc(change.Services, func(s string) bool { return slices.Contains(c.Services, s) }) {
		t.Errorf("the node is not told of %+v: it depends on %v", change, c.Services)
	}
	for _, cl := range reached(t, m.config(node).Config, listener(t, m.config(node), "127.0.0.1:20001")) {
		if strings.Contains(cl.Name, "ratings") && len(cl.Endpoints) != 2 {
			t.Errorf("%s: %v", cl.Name, cl.Endpoints)
		}
	}
	if v, err := m.views.View(node); err != nil || len(v.Resources) == 0 {
		t.Errorf("%v", err)
	}
	// What a sidecar has is as ever.
	side := m.config(m.sidecar("shop", "reviews", "10.0.0.5", http9080, "shop/ratings"))
	if slices.ContainsFunc(clusterNames(side), func(n string) bool { return strings.Contains(n, "%") }) {
		t.Errorf("%v", clusterNames(side))
	}
}

// reached are the clusters that requests to a listener get to.
func reached(t *testing.T, cfg *ir.Config, l *ir.Listener) (out []*ir.Cluster) {
	t.Helper()
	want := map[string]bool{}
	for _, s := range l.Sections {
		for _, a := range s.Routes {
			i := slices.IndexFunc(cfg.Routes, func(r *ir.Route) bool { return r.Name == a.Route })
			if i < 0 {
				t.Fatalf("no route %s", a.Route)
			}
			for _, rule := range cfg.Routes[i].Rules {
				for _, b := range rule.Backends {
					want[b.Cluster] = true
				}
				for _, x := range rule.Filters.Mirrors {
					want[x.Cluster] = true
				}
			}
		}
	}
	for _, cl := range cfg.Clusters {
		if want[cl.Name] {
			out = append(out, cl)
			delete(want, cl.Name)
		}
	}
	if len(want) > 0 || len(out) == 0 {
		t.Fatalf("no clusters %v", want)
	}
	return out
}

// A socket that is none is refused before anything is made of it.
func TestNodeSockets(t *testing.T) {
	m := newMesh(t, "")
	for _, bad := range []string{"", "127.0.0.1", "127.0.0.1:0"} {
		node := m.node()
		node.Workloads[0].Captured = []string{netip.MustParseAddrPort("127.0.0.1:20009").String(), bad}
		if _, err := m.views.Config(node); err == nil || !strings.Contains(err.Error(), "captured sockets of shop/front") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
