package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/registry"
	"github.com/gridway/gridway/internal/mesh/view"
	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/testport"
	"github.com/gridway/gridway/internal/wire/tlsx/meshtest"
)

const meshObjects = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: reviews, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: reviews}]
  rules:
  - matches: [{headers: [{name: X-Canary, value: always}]}]
    filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Route, value: canary}]}}]
    backendRefs: [{name: reviews-v2, port: %[2]d}]
  - backendRefs: [{name: reviews, port: %[1]d}]
---
apiVersion: gridway.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: reviews, namespace: shop}
spec:
  targetRefs: [{group: "", kind: Service, name: reviews}]
  action: Allow
  rules: [{name: page, identities: ["spiffe://example.org/ns/shop/sa/page"]}]
`

// viewMesh is a control plane without its streams: what registers is compiled, and each
// proxy has its view.
type viewMesh struct {
	t         *testing.T
	td        identity.TrustDomain
	authority *meshtest.Authority
	reg       *registry.Registry
	views     *view.Views
	proxies   map[*distrib.Proxy]*proxy.Proxy
}

// sidecar is a proxy before an application on a port.
func (m *viewMesh) sidecar(service string, app uint16, upstreams ...distrib.LocalListener) *distrib.Proxy {
	id := identity.Workload(m.td, "shop", service).String()
	p := &distrib.Proxy{Identity: id, Name: service, Role: distrib.RoleSidecar, Listeners: upstreams, Workloads: []distrib.Workload{{
		Namespace: "shop", Service: service, Address: "127.0.0.1", Healthy: true, MeshPort: uint16(testport.Free(m.t)),
		Ports: []distrib.Port{{Number: app, Protocol: "http"}},
	}}}
	m.reg.Joined(p)
	plane := proxy.New(proxy.Options{Identities: meshtest.New(m.authority, id)})
	m.proxies[p] = plane
	m.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = plane.Shutdown(ctx)
	})
	return p
}

// apply compiles and gives each proxy its view, as it would be sent.
func (m *viewMesh) apply(objects string) {
	m.t.Helper()
	path := filepath.Join(m.t.TempDir(), "mesh.yaml")
	if err := os.WriteFile(path, []byte(objects), 0o600); err != nil {
		m.t.Fatal(err)
	}
	set, problems, err := file.Load([]string{path}, file.Options{})
	if err != nil || len(problems) > 0 {
		m.t.Fatal(err, problems)
	}
	services, _ := m.reg.Services()
	set, _ = set.Beneath(store.GroupKind{Kind: "Service"}, services)
	out := compile.Compile(compile.Input{Set: set, Mesh: true, Now: time.Now()}, nil)
	if len(out.Problems) > 0 {
		m.t.Fatal(out.Problems)
	}
	if err := m.views.Apply(out.Config, out.Mesh); err != nil {
		m.t.Fatal(err)
	}
	for p, plane := range m.proxies {
		v, err := m.views.View(p)
		if err != nil {
			m.t.Fatal(err)
		}
		var list []distrib.Resource
		for _, r := range v.Resources {
			list = append(list, *r)
		}
		cfg, err := distrib.Join(list)
		if err != nil {
			m.t.Fatal(err)
		}
		if err := plane.Apply(m.t.Context(), cfg); err != nil {
			m.t.Fatalf("%s: %v", p.Name, err)
		}
	}
}

// TestMeshViews: applications call each other through their proxies, each of which has
// its view and nothing else. Routes are the client's proxy's, and who may call is judged
// by the server's, by the identity of the client.
func TestMeshViews(t *testing.T) {
	t.Parallel()
	td, err := identity.ParseTrustDomain("example.org")
	if err != nil {
		t.Fatal(err)
	}
	m := &viewMesh{t: t, td: td, authority: meshtest.NewAuthority(t), proxies: map[*distrib.Proxy]*proxy.Proxy{}}
	m.reg = registry.New(registry.Options{TrustDomain: td})
	m.views = view.New(view.Options{TrustDomain: td, Registry: m.reg})
	app := func(name string) uint16 {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s for %s", name, r.Host)
		}))
		t.Cleanup(s.Close)
		return uint16(s.Listener.Addr().(*net.TCPAddr).Port)
	}
	v1, v2 := app("v1"), app("v2")
	m.sidecar("reviews", v1)
	m.sidecar("reviews-v2", v2)
	clients := map[string]uint16{}
	for _, name := range []string{"page", "stranger"} {
		port := uint16(testport.Free(t))
		clients[name] = port
		m.sidecar(name, uint16(testport.Free(t)), distrib.LocalListener{Address: "127.0.0.1", Port: port, Service: "shop/reviews"})
	}
	m.apply(fmt.Sprintf(meshObjects, v1, v2))

	get := func(client string, headers ...string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/", clients[client]), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "reviews"
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Set(name, value)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(body)
	}
	if resp, body := get("page"); resp.StatusCode != 200 || body != "v1 for reviews" {
		t.Errorf("%s %q", resp.Status, body)
	}
	if resp, body := get("page", "X-Canary: always"); body != "v2 for reviews" || resp.Header.Get("X-Route") != "canary" {
		t.Errorf("%s %q %v", resp.Status, body, resp.Header)
	}
	if resp, body := get("stranger"); resp.StatusCode != 403 || resp.Header.Get("X-Gridway-Reason") != "AccessDenied" {
		t.Errorf("%s %q %v", resp.Status, body, resp.Header)
	}
	if resp, body := get("stranger", "X-Canary: always"); resp.StatusCode != 200 || body != "v2 for reviews" {
		t.Errorf("%s %q: the policy is on reviews alone", resp.Status, body)
	}
}
