package compile_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/source/file"
)

// TestPositions: what is found in files is told with line and column, and what
// is compiled knows where it came from.
func TestPositions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.yaml")
	config := `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: gridway
  listeners:
  - {name: http, port: 8080, protocol: HTTP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: catalog}
spec:
  parentRefs:
  - {name: edge, sectionName: http}
  rules:
  - matches:
    - path: {type: PathPrefix, value: /api}
    backendRefs:
    - group: gridway.dev
      kind: Backend
      name: catlog
  - backendRefs:
    - {group: gridway.dev, kind: Backend, name: catalog}
---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: catalog}
spec:
  endpoints: [{address: "127.0.0.1:9001"}]
`
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	set, problems, err := file.Load([]string{path}, file.Options{})
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	out := compile.Compile(compile.Input{Set: set, Now: now}, nil)
	var got []string
	for _, p := range out.Problems {
		got = append(got, strings.Replace(p.String(), path, "shop.yaml", 1))
	}
	want := []string{`shop.yaml:21:13: warning: HTTPRoute/default/catalog: spec.rules[0].backendRefs[0].name: Backend/default/catlog not found; did you mean "catalog"?`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	lines := []int{
		out.Config.Listeners[0].Sections[0].Ref.Line, out.Config.Routes[0].Ref.Line,
		out.Config.Routes[0].Rules[0].Ref.Line, out.Config.Routes[0].Rules[1].Ref.Line, out.Config.Clusters[0].Ref.Line,
	}
	if want := []int{7, 9, 16, 22, 25}; !slices.Equal(lines, want) {
		t.Errorf("lines %v, want %v", lines, want)
	}
}
