package compile_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// many returns a configuration of n routes with a Backend each, all on one
// Gateway, with a policy on it and one on each tenth route.
func many(tb testing.TB, n int) []*store.Object {
	tb.Helper()
	var b strings.Builder
	b.WriteString(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: gridway
  listeners: [{name: http, port: 8080, protocol: HTTP}]
---
apiVersion: gridway.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: edge}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  timeouts: {request: 30s}
`)
	for i := range n {
		fmt.Fprintf(&b, `
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r%[1]d}
spec:
  parentRefs: [{name: edge}]
  hostnames: [h%[1]d.example.com]
  rules:
  - matches: [{path: {value: /v1}}, {path: {type: Exact, value: /status}, headers: [{name: X-A, value: a}]}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Route, value: r%[1]d}]}}]
    backendRefs: [{group: gridway.dev, kind: Backend, name: b%[1]d}]
---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: b%[1]d}
spec: {endpoints: [{address: "10.0.%[2]d.%[3]d:80"}]}
`, i, i/256, i%256)
		if i%10 == 0 {
			fmt.Fprintf(&b, `
---
apiVersion: gridway.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: p%[1]d}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r%[1]d}]
  timeouts: {request: 5s}
  retry: {attempts: 2}
`, i)
		}
	}
	objects, err := parse("many.yaml", []byte(b.String()))
	if err != nil {
		tb.Fatal(err)
	}
	return objects
}

// replaced returns the objects with one of them in another version.
func replaced(tb testing.TB, objects []*store.Object, text string) []*store.Object {
	tb.Helper()
	changed, err := parse("changed.yaml", []byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	out := slices.Clone(objects)
	for _, c := range changed {
		i := slices.IndexFunc(out, func(o *store.Object) bool { return o.Key == c.Key })
		if i < 0 {
			out = append(out, c)
		} else {
			out[i] = c
		}
	}
	return out
}

const changedRoute = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r7}
spec:
  parentRefs: [{name: edge}]
  hostnames: [h7.example.com]
  rules:
  - matches: [{path: {value: /v2}}]
    backendRefs: [{group: gridway.dev, kind: Backend, name: b7}]
`

func TestReuse(t *testing.T) {
	objects := many(t, 100)
	first := compile.Compile(compile.Input{Set: store.NewSet(objects), Now: now}, nil)
	if len(first.Config.Routes) != 100 || len(first.Problems) != 0 {
		t.Fatalf("%d routes, problems %v", len(first.Config.Routes), first.Problems)
	}
	t.Run("nothing changed", func(t *testing.T) {
		again := compile.Compile(compile.Input{Set: store.NewSet(objects), Now: now}, first)
		if again.Config != first.Config {
			t.Error("a new Config although nothing changed")
		}
	})
	t.Run("one route changed", func(t *testing.T) {
		second := compile.Compile(compile.Input{Set: store.NewSet(replaced(t, objects, changedRoute)), Now: now}, first)
		if second.Config.Revision != 2 {
			t.Errorf("revision %d, want 2", second.Config.Revision)
		}
		for i, r := range second.Config.Routes {
			if same := r == first.Config.Routes[i]; same == (r.Name == "HTTPRoute/default/r7") {
				t.Errorf("%s: same pointer: %v", r.Name, same)
			}
		}
		if !slices.Equal(first.Config.Clusters, second.Config.Clusters) {
			t.Error("clusters are new although only a route changed")
		}
	})
	t.Run("one endpoint changed", func(t *testing.T) {
		second := compile.Compile(compile.Input{Set: store.NewSet(replaced(t, objects, `apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: b7}
spec: {endpoints: [{address: "10.9.9.9:80"}]}
`)), Now: now}, first)
		var changed []string
		for i, cl := range second.Config.Clusters {
			if cl != first.Config.Clusters[i] {
				changed = append(changed, cl.Name)
				if cl.Hash != first.Config.Clusters[i].Hash {
					t.Errorf("%s: another hash, so its pools would be lost", cl.Name)
				}
			}
		}
		if !slices.Equal(changed, []string{"Backend/default/b7"}) {
			t.Errorf("changed clusters %v", changed)
		}
	})
}

// TestIncrementalEqualsFull walks through random sequences of configurations,
// made of the documents of the golden inputs, and compares what is compiled
// from the output before with what is compiled from nothing.
func TestIncrementalEqualsFull(t *testing.T) {
	var pool []*store.Object
	for _, name := range []string{
		"policy-precedence", "policy-conflict", "backendtls-ca", "backendtls-conflict", "service-endpoints", "service-ports",
		"backend-grant", "filter-mirror", "listenerset-conflict", "tls-terminate", "gateway-namespaces",
		"policy-client", "ratelimit", "backend-tls", "gateway-hostnames", "policy-many-backends", "route-two-gateways",
	} {
		text, err := os.ReadFile(filepath.Join("testdata", name+".in.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		objects, err := parse(name, text)
		if err != nil {
			t.Fatal(err)
		}
		pool = append(pool, objects...)
	}
	for seed := range uint64(25) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var out *compile.Output
		current := map[store.Key]*store.Object{}
		for _, o := range pool {
			if rng.IntN(2) == 0 {
				current[o.Key] = o
			}
		}
		for step := range 12 {
			for range 1 + rng.IntN(3) {
				o := pool[rng.IntN(len(pool))]
				if rng.IntN(3) == 0 {
					delete(current, o.Key)
				} else {
					current[o.Key] = o
				}
			}
			var objects []*store.Object
			for _, o := range current {
				objects = append(objects, o)
			}
			set := store.NewSet(objects)
			out = compile.Compile(compile.Input{Set: set, Now: now}, out)
			full := compile.Compile(compile.Input{Set: set, Now: now}, nil)
			if diff := cmp.Diff(resultOf(t, full), resultOf(t, out)); diff != "" {
				t.Fatalf("seed %d, step %d: incremental differs from full (-full +incremental):\n%s", seed, step, diff)
			}
			if again := compile.Compile(compile.Input{Set: set, Now: now}, out); again.Config != out.Config {
				t.Fatalf("seed %d, step %d: compiling the same again gave another revision", seed, step)
			}
		}
	}
}

// TestVersionsEqualFull compares the last version of each golden input of
// several with what it compiles to alone, unless it is about last good versions.
func TestVersionsEqualFull(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, in := range inputs {
		text, err := os.ReadFile(in)
		if err != nil {
			t.Fatal(err)
		}
		versions := strings.Split(string(text), "\n=== then\n")
		if len(versions) == 1 || strings.Contains(in, "last-good") {
			continue
		}
		compared++
		var out, full *compile.Output
		set := store.NewSet(nil)
		for _, v := range versions {
			objects, err := parse("v.yaml", []byte(v))
			if err != nil {
				t.Fatal(err)
			}
			set = reuse(objects, set)
			out = compile.Compile(compile.Input{Set: set, Now: now}, out)
			full = compile.Compile(compile.Input{Set: set, Now: now}, nil)
		}
		if diff := cmp.Diff(resultOf(t, full), resultOf(t, out)); diff != "" {
			t.Errorf("%s: incremental differs from full (-full +incremental):\n%s", in, diff)
		}
	}
	if compared < 6 {
		t.Errorf("only %d inputs have several versions", compared)
	}
}

// resultOf is everything but the revision, in a form that can be compared.
func resultOf(t *testing.T, o *compile.Output) string {
	t.Helper()
	config := *o.Config
	config.Revision = 0
	b, err := json.MarshalIndent(struct {
		Config   ir.Config
		Statuses []status.Object
		Problems []store.Problem
		Mesh     *ir.Mesh
	}{config, o.Statuses(), o.Problems, o.Mesh}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func BenchmarkFull10000(b *testing.B) {
	set := store.NewSet(many(b, 10000))
	for b.Loop() {
		compile.Compile(compile.Input{Set: set, Now: now}, nil)
	}
}

// recompile measures one change. The least time is reported too: it is what
// the work costs when nobody else wants the processor.
func recompile(b *testing.B, set *store.Set, first *compile.Output) {
	least := time.Hour
	for b.Loop() {
		start := time.Now()
		if out := compile.Compile(compile.Input{Set: set, Now: now}, first); out.Config.Revision != 2 {
			b.Fatal("nothing changed")
		}
		least = min(least, time.Since(start))
	}
	b.ReportMetric(float64(least)/1e6, "least-ms")
}

func BenchmarkOneRouteOf10000(b *testing.B) {
	objects := many(b, 10000)
	first := compile.Compile(compile.Input{Set: store.NewSet(objects), Now: now}, nil)
	set := store.NewSet(replaced(b, objects, changedRoute))
	recompile(b, set, first)
}

func BenchmarkOneEndpointOf10000(b *testing.B) {
	objects := many(b, 10000)
	first := compile.Compile(compile.Input{Set: store.NewSet(objects), Now: now}, nil)
	set := store.NewSet(replaced(b, objects, `apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: b7}
spec: {endpoints: [{address: "10.9.9.9:80"}]}
`))
	recompile(b, set, first)
}
