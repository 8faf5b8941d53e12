package compile_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/store"
)

// A reference to an object that was refused is told so, and told anew when that
// changes although the set of objects stays as it is.
func TestRefusedObjectsAreNotMissing(t *testing.T) {
	objects, err := parse("gateway.yaml", []byte(secretGateway+`---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  parentRefs: [{name: edge}]
  rules:
  - backendRefs: [{group: gridway.dev, kind: Backend, name: shop}]
`))
	if err != nil {
		t.Fatal(err)
	}
	in := compile.Input{Set: store.NewSet(objects), Now: now}
	keys := []store.Key{{Kind: "Secret", Namespace: "default", Name: "www"}, {Group: "gridway.dev", Kind: "Backend", Namespace: "default", Name: "shop"}}
	told := func(out *compile.Output, k store.Key, what string) bool {
		return slices.ContainsFunc(out.Problems, func(p store.Problem) bool { return strings.HasPrefix(p.Message, k.String()+" "+what) })
	}
	var out *compile.Output
	for _, refused := range []map[store.Key]bool{nil, {keys[0]: true, keys[1]: true}, nil} {
		in.Refused = refused
		out = compile.Compile(in, out)
		for _, k := range keys {
			if told(out, k, "has errors") != refused[k] || told(out, k, "not found") == refused[k] {
				t.Errorf("refused %v: %v", refused, out.Problems)
			}
		}
	}
}

// That nobody has a credential is not said where a Consumer is only misspelled.
func TestRefusedConsumersAreSomebody(t *testing.T) {
	objects, err := parse("gateway.yaml", []byte(secretGateway+`---
apiVersion: gridway.dev/v1alpha1
kind: AuthenticationPolicy
metadata: {name: keys}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  anyOf: [{apiKey: {}}]
`))
	if err != nil {
		t.Fatal(err)
	}
	in := compile.Input{Set: store.NewSet(objects), Now: now}
	consumer := func(namespace string) map[store.Key]bool {
		return map[store.Key]bool{{Group: "gridway.dev", Kind: "Consumer", Namespace: namespace, Name: "ali"}: true}
	}
	for _, c := range []struct {
		refused map[store.Key]bool
		noted   bool
	}{{nil, true}, {consumer("default"), false}, {consumer("elsewhere"), true}} {
		in.Refused = c.refused
		out := compile.Compile(in, nil)
		if noted := slices.ContainsFunc(out.Problems, func(p store.Problem) bool { return p.Code == "NoConsumers" }); noted != c.noted {
			t.Errorf("refused %v: noted %t, want %t", c.refused, noted, c.noted)
		}
	}
}
