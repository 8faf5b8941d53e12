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
