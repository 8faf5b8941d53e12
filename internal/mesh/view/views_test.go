package view_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/registry"
	"github.com/gridway/gridway/internal/mesh/view"
)

// mesh is a registry with views, and a compiler between them.
type mesh struct {
	t     testing.TB
	td    identity.TrustDomain
	reg   *registry.Registry
	views *view.Views
	set   *store.Set
	out   *compile.Output
	path  string
}

func newMesh(t testing.TB, text string) *mesh {
	t.Helper()
	td, err := identity.ParseTrustDomain("example.org")
	if err != nil {
		t.Fatal(err)
	}
	m := &mesh{t: t, td: td, path: filepath.Join(t.TempDir(), "mesh.yaml")}
	m.reg = registry.New(registry.Options{TrustDomain: td, Grants: func(_, _ identity.ID) bool { return true }})
	m.views = view.New(view.Options{TrustDomain: td, Registry: m.reg})
	m.write(text)
	return m
}

// write compiles other objects, beneath which are those that registered.
func (m *mesh) write(text string) {
	m.t.Helper()
	if err := os.WriteFile(m.path, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
	set, problems, err := file.Load([]string{m.path}, file.Options{})
	if err != nil || len(problems) > 0 {
		m.t.Fatal(err, problems)
	}
	m.set = set
	m.compile()
}

func (m *mesh) compile() {
	m.t.Helper()
	services, _ := m.reg.Services()
	set, _ := m.set.Beneath(store.GroupKind{Kind: "Service"}, services)
	m.out = compile.Compile(compile.Input{Set: set, Mesh: true, Now: time.Now()}, m.out)
	for _, p := range m.out.Problems {
		if p.Severity == store.Error {
			m.t.Fatal(p)
		}
	}
	if err := m.views.Apply(m.out.Config, m.out.Mesh); err != nil {
		m.t.Fatal(err)
	}
}

// sidecar is a proxy before a workload with one port.
func (m *mesh) sidecar(namespace, service, address string, port distrib.Port, uses ...string) *distrib.Proxy {
	return &distrib.Proxy{
		Identity: identity.Workload(m.td, namespace, service).String(), Name: namespace + "-" + service + "-" + address, Role: distrib.RoleSidecar,
		Workloads: []distrib.Workload{{
			Namespace: namespace, Service: service, Address: address, Ports: []distrib.Port{port}, Healthy: true, MeshPort: 15008,
		}},
		Services: uses,
	}
}

func (m *mesh) join(p *distrib.Proxy) *distrib.Proxy {
	m.reg.Joined(p)
	return p
}

func (m *mesh) config(p *distrib.Proxy) *view.Config {
	m.t.Helper()
	c, err := m.views.Config(p)
	if err != nil {
		m.t.Fatal(err)
	}
	return c
}

func listener(t *testing.T, c *view.Config, name string) *ir.Listener {
	t.Helper()
	for _, l := range c.Listeners {
		if l.Name == name {
			return l
		}
	}
	t.Fatalf("no listener %s among %v", name, names(c.Listeners, func(l *ir.Listener) string { return l.Name }))
	return nil
}

func names[T any](list []T, name func(T) string) (out []string) {
	for _, x := range list {
		out = append(out, name(x))
	}
	return out
}

func clusterNames(c *view.Config) []string {
	return names(c.Clusters, func(c *ir.Cluster) string { return c.Name })
}

func cluster(t *testing.T, c *view.Config, name string) *ir.Cluster {
	t.Helper()
	for _, cl := range c.Clusters {
		if cl.Name == name {
			return cl
		}
	}
	t.Fatalf("no cluster %s among %v", name, clusterNames(c))
	return nil
}

var http9080 = distrib.Port{Name: "http", Number: 9080, Protocol: "http"}

// TestRegisteredServices: two workloads that nobody has written a word of find each other.
func TestRegisteredServices(t *testing.T) {
	m := newMesh(t, "")
	ratings := m.join(m.sidecar("shop", "ratings", "10.0.0.2", http9080))
	reviews := m.sidecar("shop", "reviews", "10.0.0.1", http9080, "shop/ratings", "shop/nobody")
	reviews.Labels = map[string]string{distrib.LabelCaptured: "127.0.0.1:15001,[::1]:15001", distrib.LabelProxy: "127.0.0.1:15002"}
	reviews.Listeners = []distrib.LocalListener{{Address: "127.0.0.1", Port: 7001, Service: "shop/ratings", ServicePort: 9080}}
	m.join(reviews)
	m.compile()

	c := m.config(reviews)
	if !slices.Equal(c.Unknown, []string{"shop/nobody"}) || !slices.Equal(c.Services, []string{"shop/nobody", "shop/ratings", "shop/reviews"}) {
		t.Errorf("unknown %v, services %v", c.Unknown, c.Services)
	}
	in := listener(t, c, ":15008")
	if !in.Mesh || in.Protocol != ir.HTTPS || len(in.Sections) != 1 {
		t.Fatalf("%+v", in)
	}
	if s := in.Sections[0]; s.ServerNames[0] != "9080.reviews.shop.mesh" || s.Identity != "spiffe://example.org/ns/shop/sa/reviews" || s.Protocol != ir.HTTP || len(s.Routes) != 1 {
		t.Errorf("%+v", s)
	}
	if own := cluster(t, c, "Workload/shop/reviews:9080"); len(own.Endpoints) != 1 || own.Endpoints[0].Address != "127.0.0.1:9080" {
		t.Errorf("%+v", own.Endpoints)
	}
	want := ir.Endpoint{Address: "10.0.0.2:15008", Weight: 1, Identity: ratings.Identity, ServerName: "9080.ratings.shop.mesh"}
	if cl := cluster(t, c, "Service/shop/ratings:9080"); len(cl.Endpoints) != 1 || cl.Endpoints[0] != want {
		t.Errorf("%+v, want %+v", cl.Endpoints, want)
	}
	for _, name := range []string{"127.0.0.1:15001", "[::1]:15001", "127.0.0.1:15002"} {
		l := listener(t, c, name)
		if l.Captured != strings.HasSuffix(name, "15001") || l.Egress != ir.EgressAllow || len(l.Sections) != 1 {
			t.Fatalf("%+v", l)
		}
		s := l.Sections[0]
		for _, a := range []string{"ratings:9080", "ratings:80", "ratings.shop:9080", "ratings.shop.svc.cluster.local:9080"} {
			if !slices.Contains(s.Authorities, a) {
				t.Errorf("%s is not among %v", a, s.Authorities)
			}
		}
		if len(s.Destinations) != 2 || s.Destinations[0].Port() != 9080 || !s.Destinations[0].Addr().Is4() {
			t.Errorf("destinations %v", s.Destinations)
		}
	}
	up := listener(t, c, "127.0.0.1:7001")
	if up.Captured || up.Egress != "" || up.Protocol != ir.HTTP || len(up.Sections[0].Authorities)+len(up.Sections[0].Destinations) > 0 {
		t.Errorf("%+v", up)
	}
	if got := clusterNames(c); !slices.Equal(got, []string{"Service/shop/ratings:9080", "Workload/shop/reviews:9080"}) {
		t.Errorf("clusters %v: a proxy is given what it uses, and nothing else", got)
	}

	m.reg.Left(ratings, true)
	if cl := cluster(t, m.config(reviews), "Service/shop/ratings:9080"); len(cl.Endpoints) != 0 {
		t.Errorf("endpoints of who left: %v", cl.Endpoints)
	}
}

const shop = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: front, namespace: shop}
spec: {gatewayClassName: gridway, listeners: [{name: http, port: 8080, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: back, namespace: office}
spec: {gatewayClassName: gridway, listeners: [{name: http, port: 9090, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: front, namespace: shop}
spec: {parentRefs: [{name: front}], rules: [{backendRefs: [{name: reviews, port: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {ports: [{name: http, port: 80, targetPort: 9080}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: None, ports: [{name: postgres, port: 5432}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: patient, namespace: lab}
spec:
  parentRefs: [{group: "", kind: Service, name: reviews, namespace: shop}]
  rules: [{timeouts: {request: 60s}, backendRefs: [{name: reviews, namespace: shop, port: 80}]}]
---
apiVersion: gridway.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: callers, namespace: shop}
spec:
  targetRefs: [{group: "", kind: Service, name: reviews}]
  action: Allow
  rules: [{name: lab, identities: ["spiffe://example.org/ns/lab/sa/client"]}]
`

// TestWhoGetsWhat: guards are at the server, routes at clients of the namespace that
// they are for, and Gateways at edges.
func TestWhoGetsWhat(t *testing.T) {
	m := newMesh(t, shop)
	server := m.join(m.sidecar("shop", "reviews", "10.0.0.1", distrib.Port{Number: 9080}))
	lab := m.sidecar("lab", "client", "10.0.0.2", distrib.Port{Number: 1}, "shop/reviews")
	lab.Labels = map[string]string{distrib.LabelCaptured: "127.0.0.1:15001"}
	shopper := m.sidecar("shop", "client", "10.0.0.3", distrib.Port{Number: 1}, "shop/reviews")
	shopper.Labels = lab.Labels
	routes := func(c *view.Config) []string { return names(c.Routes, func(r *ir.Route) string { return r.Name }) }

	c := m.config(server)
	if got := routes(c); !slices.Equal(got, []string{"Service/shop/reviews:80/inbound"}) || len(c.Authorizations) != 1 || !slices.Equal(c.Policies, []string{"AuthorizationPolicy/shop/callers"}) {
		t.Errorf("server: routes %v, %d authorizations, policies %v", got, len(c.Authorizations), c.Policies)
	}
	if cl := cluster(t, c, "Workload/shop/reviews:80"); cl.Endpoints[0].Address != "127.0.0.1:9080" {
		t.Errorf("the workload is at %v, want its target port", cl.Endpoints)
	}
	// Whom only this host can reach is not open to others.
	listener(t, c, ":15008")
	alone := m.join(m.sidecar("shop", "reviews", "127.0.0.1", distrib.Port{Number: 9080}))
	if l := listener(t, m.config(alone), "127.0.0.1:15008"); l.Address != "127.0.0.1" {
		t.Errorf("a workload at loopback is open at %q", l.Address)
	}
	m.reg.Left(alone, true)
	c = m.config(lab)
	if got := routes(c); !slices.Equal(got, []string{"HTTPRoute/lab/patient"}) || len(c.Authorizations) != 0 {
		t.Errorf("client of lab: routes %v, %d authorizations", got, len(c.Authorizations))
	}
	if e := cluster(t, c, "Service/shop/reviews:80").Endpoints; len(e) != 1 || e[0].ServerName != "80.reviews.shop.mesh" {
		t.Errorf("%+v", e)
	}
	if a := listener(t, c, "127.0.0.1:15001").Sections[0].Authorities; slices.Contains(a, "reviews:80") || !slices.Contains(a, "reviews.shop:80") {
		t.Errorf("authorities in another namespace: %v", a)
	}
	if got := routes(m.config(shopper)); !slices.Equal(got, []string{"Service/shop/reviews:80"}) {
		t.Errorf("client of shop: routes %v", got)
	}

	edge := &distrib.Proxy{Identity: identity.Workload(m.td, "shop", "edge").String(), Name: "edge", Role: distrib.RoleEdge}
	c = m.config(edge)
	if len(c.Listeners) != 2 || !slices.Equal(routes(c), []string{"HTTPRoute/shop/front"}) {
		t.Errorf("edge: %d listeners, routes %v", len(c.Listeners), routes(c))
	}
	if e := cluster(t, c, "Service/shop/reviews:80").Endpoints; len(e) != 1 || e[0].Identity == "" {
		t.Errorf("the edge's endpoints: %+v", e)
	}
	edge.Labels = map[string]string{distrib.LabelGateways: "office/back"}
	if c = m.config(edge); len(c.Listeners) != 1 || len(c.Routes) != 0 {
		t.Errorf("edge of office: %d listeners, routes %v", len(c.Listeners), routes(c))
	}
	edge.Identity = server.Identity
	if _, err := m.views.Config(edge); err == nil || !strings.Contains(err.Error(), "may not be an edge") {
		t.Errorf("a service got the Gateways: %v", err)
	}
}

// TestInboundSockets: what comes without the mesh's TLS finds every port of the workload, and
// routes behind it only where a MeshPolicy lets it in.
func TestInboundSockets(t *testing.T) {
	const policy = `
apiVersion: gridway.dev/v1alpha1
kind: MeshPolicy
metadata: {name: mesh, namespace: gridway-system}
spec: {mtls: %s}
`
	m := newMesh(t, fmt.Sprintf(policy, "Strict"))
	p := m.sidecar("shop", "reviews", "10.0.0.1", http9080)
	p.Workloads[0].Ports = append(p.Workloads[0].Ports, distrib.Port{Name: "mail", Number: 25, Protocol: "tcp"})
	p.Labels = map[string]string{distrib.LabelInbound: "0.0.0.0:15006,[::]:15006"}
	m.join(p)
	for _, c := range []struct {
		mode string
		let  bool
	}{{"Strict", false}, {"Permissive", true}, {"Strict", false}} {
		m.write(fmt.Sprintf(policy, c.mode))
		for _, name := range []string{"0.0.0.0:15006", "[::]:15006"} {
			l := listener(t, m.config(p), name)
			if !l.Captured || !l.Inbound || l.Egress != "" || len(l.Sections) != 2 {
				t.Fatalf("%s: %+v", c.mode, l)
			}
			if l.Client.TrustedHops != 0 || l.Client.KeepRequestID {
				t.Errorf("%s: strangers are believed: %+v", c.mode, l.Client)
			}
			for i, port := range []string{"25", "9080"} {
				s := l.Sections[i]
				if got := fmt.Sprint(s.Destinations); got != "[0.0.0.0:"+port+" [::]:"+port+"]" {
					t.Errorf("%s: destinations %s", c.mode, got)
				}
				if s.Plaintext != c.let || (len(s.Routes)+len(s.Streams) > 0) != c.let || s.Identity != "" || len(s.ServerNames) > 0 {
					t.Errorf("%s: %+v", c.mode, s)
				}
			}
		}
	}
	if l := listener(t, m.config(p), ":15008"); l.Client.TrustedHops != 1 {
		t.Errorf("other proxies are not believed: %+v", l.Client)
	}
}

// TestHeadless: clients go where the workloads are.
func TestHeadless(t *testing.T) {
	m := newMesh(t, shop)
	client := m.sidecar("shop", "client", "10.0.0.3", distrib.Port{Number: 1}, "shop/db")
	client.Labels = map[string]string{distrib.LabelCaptured: "127.0.0.1:15001"}
	destinations := func() string {
		return fmt.Sprint(listener(t, m.config(client), "127.0.0.1:15001").Sections[0].Destinations)
	}
	if got := destinations(); got != "[]" {
		t.Error(got)
	}
	changed := m.views.Changed()
	m.join(m.sidecar("shop", "db", "10.0.0.9", distrib.Port{Number: 5432, Protocol: "tcp"}))
	if got := destinations(); got != "[10.0.0.9:5432]" {
		t.Error(got)
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was told")
	}
	m.join(m.sidecar("shop", "db", "10.0.0.8", distrib.Port{Number: 5432, Protocol: "tcp"}))
	c := m.config(client)
	for i, address := range []string{"10.0.0.8", "10.0.0.9"} {
		s := listener(t, c, "127.0.0.1:15001").Sections[i]
		if len(s.Destinations) != 1 || s.Destinations[0].Addr().String() != address || len(s.Streams) != 1 {
			t.Fatalf("%+v", s)
		}
		name := "Service/shop/db:5432/tcp@" + address + ":5432"
		if e := cluster(t, c, name).Endpoints; len(e) != 1 || e[0].Address != address+":15008" || e[0].Identity == "" {
			t.Errorf("%s has %+v", name, e)
		}
	}
	if all := cluster(t, c, "Service/shop/db:5432/tcp").Endpoints; len(all) != 2 {
		t.Errorf("by its name: %+v", all)
	}
}

// TestRefusedClaims: a proxy may be what its certificate says, and nothing else.
func TestRefusedClaims(t *testing.T) {
	m := newMesh(t, shop)
	for name, p := range map[string]*distrib.Proxy{
		"another service": {Identity: identity.Workload(m.td, "shop", "evil").String(), Workloads: []distrib.Workload{{Namespace: "shop", Service: "reviews", Address: "10.0.0.1"}}},
		"another domain":  {Identity: "spiffe://elsewhere.org/ns/shop/sa/reviews", Workloads: []distrib.Workload{{Namespace: "shop", Service: "reviews", Address: "10.0.0.1"}}},
		"no workload":     {Identity: "spiffe://elsewhere.org/ns/shop/sa/reviews"},
		"control":         {Identity: identity.Control(m.td).String()},
		"nobody":          {},
		"bad label":       {Identity: identity.Workload(m.td, "shop", "x").String(), Labels: map[string]string{distrib.LabelCaptured: "here"}},
		"two listeners": {
			Identity: identity.Workload(m.td, "shop", "x").String(),
			Labels:   map[string]string{distrib.LabelCaptured: "127.0.0.1:1", distrib.LabelProxy: "127.0.0.1:1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m.reg.Joined(p)
			if c, err := m.views.Config(p); err == nil {
				t.Errorf("it got %d listeners", len(c.Listeners))
			}
		})
	}
	if n := len(m.reg.Instances("shop", "reviews")); n != 0 {
		t.Errorf("%d workloads are registered", n)
	}
}

// compileRegistered compiles what registered, and nothing else.
func compileRegistered(tb testing.TB, reg *registry.Registry) (*ir.Config, *ir.Mesh) {
	tb.Helper()
	services, _ := reg.Services()
	out := compile.Compile(compile.Input{Set: store.NewSet(services), Mesh: true}, nil)
	return out.Config, out.Mesh
}
