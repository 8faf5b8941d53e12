package compile_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

func meshInput(objects []*store.Object) compile.Input {
	return compile.Input{Set: store.NewSet(objects), Now: now, Mesh: true}
}

// TestMeshIncrementalEqualsFull walks through random sequences of configurations of
// meshes, of which many are one route that changed in its place.
func TestMeshIncrementalEqualsFull(t *testing.T) {
	inputs, err := filepath.Glob("testdata/mesh-*.in.yaml")
	if err != nil || len(inputs) < 5 {
		t.Fatal(inputs, err)
	}
	var pool []*store.Object
	for _, in := range append(inputs, "testdata/service-endpoints.in.yaml", "testdata/policy-precedence.in.yaml") {
		text, err := os.ReadFile(in)
		if err != nil {
			t.Fatal(err)
		}
		for _, version := range []string{string(text), strings.ReplaceAll(string(text), "weight: 90", "weight: 80")} {
			objects, err := parse(filepath.Base(in), []byte(version))
			if err != nil {
				t.Fatal(err)
			}
			pool = append(pool, objects...)
		}
	}
	for seed := range uint64(25) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var out *compile.Output
		current := map[store.Key]*store.Object{}
		for _, o := range pool {
			if rng.IntN(3) > 0 {
				current[o.Key] = o
			}
		}
		for step := range 12 {
			for range 1 + rng.IntN(2) {
				o := pool[rng.IntN(len(pool))]
				if rng.IntN(4) == 0 {
					delete(current, o.Key)
				} else {
					current[o.Key] = o
				}
			}
			var objects []*store.Object
			for _, o := range current {
				objects = append(objects, o)
			}
			in := meshInput(objects)
			out = compile.Compile(in, out)
			full := compile.Compile(in, nil)
			if diff := cmp.Diff(resultOf(t, full), resultOf(t, out)); diff != "" {
				t.Fatalf("seed %d, step %d: incremental differs from full (-full +incremental):\n%s", seed, step, diff)
			}
			if again := compile.Compile(in, out); again.Config != out.Config || again.Mesh != out.Mesh {
				t.Fatalf("seed %d, step %d: compiling the same again gave something new", seed, step)
			}
			soundMesh(t, out)
		}
	}
}

// soundMesh checks that whatever a mesh names is there.
func soundMesh(t *testing.T, out *compile.Output) {
	t.Helper()
	routes, streams, clusters := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, cl := range out.Mesh.Clusters {
		if clusters[cl.Name] {
			t.Errorf("cluster %s is there twice", cl.Name)
		}
		clusters[cl.Name] = true
	}
	for _, r := range out.Mesh.Routes {
		if routes[r.Name] {
			t.Errorf("route %s is there twice", r.Name)
		}
		routes[r.Name] = true
		for _, rule := range r.Rules {
			for _, b := range rule.Backends {
				if b.Cluster != "" && !clusters[b.Cluster] {
					t.Errorf("%s names cluster %s, which is not there", rule.ID, b.Cluster)
				}
			}
			for _, m := range rule.Filters.Mirrors {
				if !clusters[m.Cluster] {
					t.Errorf("%s mirrors to cluster %s, which is not there", rule.ID, m.Cluster)
				}
			}
		}
	}
	for _, r := range out.Mesh.Streams {
		streams[r.Name] = true
		for _, b := range r.Backends {
			if b.Cluster != "" && !clusters[b.Cluster] {
				t.Errorf("%s names cluster %s, which is not there", r.ID, b.Cluster)
			}
		}
	}
	named := func(where string, list []ir.Attachment, known map[string]bool) {
		for _, a := range list {
			if !known[a.Route] {
				t.Errorf("%s names route %s, which is not there", where, a.Route)
			}
		}
	}
	for _, s := range out.Mesh.Services {
		for _, p := range s.Ports {
			where := fmt.Sprintf("%s/%s:%d", s.Namespace, s.Name, p.Port)
			for _, o := range p.Outbound {
				named(where, o.Routes, routes)
				named(where, o.Streams, streams)
				if len(o.Routes)+len(o.Streams) == 0 {
					t.Errorf("%s: nothing serves clients of %q", where, o.Namespace)
				}
			}
			named(where, p.Inbound.Routes, routes)
			named(where, p.Inbound.Streams, streams)
		}
	}
}

// meshOf is a mesh of n services, of which each tenth has a route.
func meshOf(tb testing.TB, n int) []*store.Object {
	tb.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "---\napiVersion: v1\nkind: Service\nmetadata: {name: s%d, namespace: n%d}\nspec: {ports: [{name: http, port: 80}]}\n", i, i%10)
		if i%10 == 0 {
			fmt.Fprintf(&b, "---\n"+meshRoute, i, i%10, 1)
		}
	}
	objects, err := parse("mesh.yaml", []byte(b.String()))
	if err != nil {
		tb.Fatal(err)
	}
	return objects
}

const meshRoute = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r%[1]d, namespace: n%[2]d}
spec:
  parentRefs: [{group: "", kind: Service, name: s%[1]d}]
  rules: [{timeouts: {request: %[3]ds}, backendRefs: [{name: s%[1]d, port: 80}]}]
`

func TestMeshReuse(t *testing.T) {
	objects := meshOf(t, 200)
	first := compile.Compile(meshInput(objects), nil)
	if len(first.Mesh.Services) != 200 || len(first.Problems) > 0 {
		t.Fatalf("%d services, problems %v", len(first.Mesh.Services), first.Problems)
	}
	if len(first.Config.Routes)+len(first.Config.Clusters) > 0 {
		t.Errorf("routes and clusters of the mesh alone are in the configuration of Gateways: %d, %d", len(first.Config.Routes), len(first.Config.Clusters))
	}
	changed := func(t *testing.T, text string) (services, routes, clusters []string, out *compile.Output) {
		out = compile.Compile(meshInput(replaced(t, objects, text)), first)
		oldServices, oldRoutes, oldClusters := map[*ir.MeshService]bool{}, map[*ir.Route]bool{}, map[*ir.Cluster]bool{}
		for _, s := range first.Mesh.Services {
			oldServices[s] = true
		}
		for _, r := range first.Mesh.Routes {
			oldRoutes[r] = true
		}
		for _, cl := range first.Mesh.Clusters {
			oldClusters[cl] = true
		}
		for _, s := range out.Mesh.Services {
			if !oldServices[s] {
				services = append(services, s.Name)
			}
		}
		for _, r := range out.Mesh.Routes {
			if !oldRoutes[r] {
				routes = append(routes, r.Name)
			}
		}
		for _, cl := range out.Mesh.Clusters {
			if !oldClusters[cl] {
				clusters = append(clusters, cl.Name)
			}
		}
		return services, routes, clusters, out
	}
	t.Run("nothing", func(t *testing.T) {
		if again := compile.Compile(meshInput(objects), first); again.Mesh != first.Mesh || again.Config != first.Config {
			t.Error("something new although nothing changed")
		}
	})
	t.Run("a route", func(t *testing.T) {
		services, routes, clusters, _ := changed(t, fmt.Sprintf(meshRoute, 70, 0, 2))
		if fmt.Sprint(services, routes, clusters) != "[] [HTTPRoute/n0/r70] []" {
			t.Error(services, routes, clusters)
		}
	})
	t.Run("a policy", func(t *testing.T) {
		services, routes, clusters, _ := changed(t, `apiVersion: gridway.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: p, namespace: n3}
spec: {targetRefs: [{group: "", kind: Service, name: s3}], loadBalancer: {algorithm: Random}}
`)
		if fmt.Sprint(services, routes, clusters) != "[] [Service/n3/s3:80] [Service/n3/s3:80]" {
			t.Error(services, routes, clusters)
		}
	})
	t.Run("endpoints", func(t *testing.T) {
		services, routes, clusters, _ := changed(t, `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: e, namespace: n3, labels: {kubernetes.io/service-name: s3}}
addressType: IPv4
ports: [{name: http, port: 80}]
endpoints: [{addresses: [10.0.0.1]}]
`)
		if fmt.Sprint(services, routes, clusters) != "[] [] [Service/n3/s3:80]" {
			t.Error(services, routes, clusters)
		}
	})
	t.Run("a service", func(t *testing.T) {
		services, routes, _, out := changed(t, "apiVersion: v1\nkind: Service\nmetadata: {name: new, namespace: n3}\nspec: {ports: [{port: 80, appProtocol: http}]}\n")
		if fmt.Sprint(services, routes) != "[new] [Service/n3/new:80 Service/n3/new:80/inbound]" || len(out.Mesh.Services) != 201 {
			t.Error(services, routes)
		}
	})
}

// TestVirtualAddresses: addresses are one's own, and few change when services come
// and go.
func TestVirtualAddresses(t *testing.T) {
	const n = 2000
	of := func(objects []*store.Object) map[string]string {
		out, seen := map[string]string{}, map[string]string{}
		for _, s := range compile.Compile(meshInput(objects), nil).Mesh.Services {
			if len(s.Addresses) != 2 {
				t.Fatalf("%s has %v, want an address of each family", s.Name, s.Addresses)
			}
			for _, a := range s.Addresses {
				if seen[a.String()] != "" {
					t.Errorf("%s and %s are both at %s", s.Name, seen[a.String()], a)
				}
				seen[a.String()] = s.Name
			}
			out[s.Name] = fmt.Sprint(s.Addresses)
		}
		return out
	}
	objects := meshOf(t, n)
	var services []*store.Object
	for _, o := range objects {
		if o.Key.Kind == "Service" {
			services = append(services, o)
		}
	}
	before := of(services)
	after := of(append(services[n/2:n:n], services[:n/4]...)) // a quarter goes
	moved := 0
	for name, a := range after {
		if before[name] != a {
			moved++
		}
	}
	// Two names in 65,536 places: of 2,000 about thirty meet another, of which those
	// move whose elder went.
	if moved > 15 {
		t.Errorf("%d of %d addresses changed when a quarter of the services went", moved, len(after))
	}
	t.Logf("%d of %d moved", moved, len(after))
}

func BenchmarkMeshOneRouteOf10000Services(b *testing.B) {
	objects := meshOf(b, 10000)
	first := compile.Compile(meshInput(objects), nil)
	in := meshInput(replaced(b, objects, fmt.Sprintf(meshRoute, 70, 0, 2)))
	for b.Loop() {
		if out := compile.Compile(in, first); out.Mesh == first.Mesh {
			b.Fatal("nothing changed")
		}
	}
}

func BenchmarkMeshOneServiceOf10000(b *testing.B) {
	objects := meshOf(b, 10000)
	first := compile.Compile(meshInput(objects), nil)
	in := meshInput(replaced(b, objects, "apiVersion: v1\nkind: Service\nmetadata: {name: new, namespace: n3}\nspec: {ports: [{port: 80}]}\n"))
	for b.Loop() {
		if out := compile.Compile(in, first); out.Mesh == first.Mesh {
			b.Fatal("nothing changed")
		}
	}
}
