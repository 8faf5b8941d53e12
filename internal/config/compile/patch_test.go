package compile_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/store"
)

// variant is a route of TestChangedRoutesEqualFull in one of many versions,
// most of which differ in what a rule does.
func variant(rng *rand.Rand, name string, rev int) string {
	pick := func(words ...string) string { return words[rng.IntN(len(words))] }
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: %s}\nspec:\n", name)
	fmt.Fprintf(&b, "  parentRefs: [{name: %s}]\n", pick("edge", "edge", "edge", "edge", "edge", "edge", "none"))
	if rng.IntN(6) == 0 {
		fmt.Fprintf(&b, "  hostnames: [%s]\n", pick("a.example.com", "b.example.com"))
	} else {
		fmt.Fprintf(&b, "  hostnames: [h%s.example.com]\n", name[1:])
	}
	b.WriteString("  rules:\n")
	for range 1 + rng.IntN(2) {
		fmt.Fprintf(&b, "  - matches: [{path: {value: /%s}}]\n", pick("v1", "v2", "v3"))
		fmt.Fprintf(&b, "    filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Rev, value: \"%d\"}]}}]\n", rev)
		if rng.IntN(8) == 0 {
			b.WriteString("    timeouts: {request: 1s}\n") // what policies say about it is lost
		}
		backend := "b" + name[1:]
		if rng.IntN(5) == 0 {
			backend = pick("b1", "b2", "b3", "missing")
		}
		fmt.Fprintf(&b, "    backendRefs: [{group: gridway.dev, kind: Backend, name: %s}]\n", backend)
	}
	return b.String()
}

// TestChangedRoutesEqualFull changes routes in random sequences, which is what
// has a way of its own, and compares with what is compiled from nothing.
func TestChangedRoutesEqualFull(t *testing.T) {
	for seed := range uint64(15) {
		rng := rand.New(rand.NewPCG(seed, 7))
		objects := many(t, 30)
		out := compile.Compile(compile.Input{Set: store.NewSet(objects), Now: now}, nil)
		for step := range 25 {
			for range 1 + rng.IntN(2) {
				objects = replaced(t, objects, variant(rng, fmt.Sprintf("r%d", rng.IntN(30)), step))
			}
			in := compile.Input{Set: store.NewSet(objects), Now: now}
			out = compile.Compile(in, out)
			full := compile.Compile(in, nil)
			if diff := cmp.Diff(resultOf(t, full), resultOf(t, out)); diff != "" {
				t.Fatalf("seed %d, step %d: incremental differs from full (-full +incremental):\n%s", seed, step, diff)
			}
		}
	}
}

// A changed route costs what it takes, not what all routes take.
func TestChangedRouteIsCheap(t *testing.T) {
	cost := func(n int) float64 {
		objects := many(t, n)
		first := compile.Compile(compile.Input{Set: store.NewSet(objects), Now: now}, nil)
		in := compile.Input{Set: store.NewSet(replaced(t, objects, changedRoute)), Now: now}
		return testing.AllocsPerRun(5, func() { compile.Compile(in, first) })
	}
	// The policy on each tenth route is looked at each time.
	if few, most := cost(10), cost(100); most > few+10*60 {
		t.Errorf("%v allocations with ten routes, %v with a hundred", few, most)
	}
}
