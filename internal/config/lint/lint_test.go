package lint_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/lint"
	"github.com/gridway/gridway/internal/config/source/file"
)

const gateway = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: gridway
  listeners:
  - {name: any, port: 8080, protocol: HTTP}
  - {name: www, port: 8080, protocol: HTTP, hostname: www.example.com}
---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: b}
spec: {endpoints: [{address: "127.0.0.1:9001"}]}
---
`

func route(name, body string) string {
	return `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ` + name + `}
spec:
  parentRefs: [{name: edge}]
` + body + "\n---\n"
}

const to = "backendRefs: [{group: gridway.dev, kind: Backend, name: b}]"

func slice(name, labels string) string {
	return `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ` + name + ", " + labels + `}
addressType: IPv4
ports: [{port: 80}]
endpoints: [{addresses: [127.0.0.1]}]
---
`
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name, config string
		want         []string
	}{
		{"clean", gateway + route("a", "  rules:\n  - matches: [{path: {value: /a}}]\n    "+to+"\n  - "+to), nil},
		{
			"same match twice in a route", gateway + route("a", "  rules:\n  - matches: [{path: {value: /a}}]\n    "+to+"\n  - matches: [{path: {value: /a}}]\n    "+to),
			[]string{"UnreachableRule spec.rules[1]"},
		},
		{
			"one match of two", gateway + route("a", "  rules:\n  - matches: [{path: {value: /a}}]\n    "+to+"\n  - matches: [{path: {value: /b}}, {path: {value: /a}}]\n    "+to),
			[]string{"UnreachableMatch spec.rules[1].matches[1]"},
		},
		{
			"same match in another route", gateway + route("a", "  rules:\n  - "+to) + route("b", "  rules:\n  - "+to),
			[]string{"UnreachableRule spec.rules[0]"},
		},
		{"another hostname is another thing", gateway + route("a", "  hostnames: [a.example.com]\n  rules:\n  - "+to) + route("b", "  hostnames: [b.example.com]\n  rules:\n  - "+to), nil},
		{"a hostname of another section", gateway + `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: a}
spec:
  parentRefs: [{name: edge, sectionName: any}]
  hostnames: [www.example.com]
  rules:
  - ` + to + "\n---\n" + route("b", "  rules:\n  - "+to), []string{"UnreachableRule spec.rules[0]"}},
		{"unused backend", gateway, []string{"UnusedBackend "}},
		{"a backend of the mesh", gateway + `apiVersion: v1
kind: Service
metadata: {name: payments}
spec: {ports: [{port: 80, appProtocol: http}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: payments}
spec:
  parentRefs: [{group: "", kind: Service, name: payments}]
  rules:
  - ` + to + "\n", nil},
		{
			"no weight", gateway + `apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: w}
spec: {endpoints: [{address: "127.0.0.1:9001", weight: 0}]}
---
` + route("a", "  rules:\n  - backendRefs: [{group: gridway.dev, kind: Backend, name: w}, {group: gridway.dev, kind: Backend, name: b}]"),
			[]string{"NoWeight spec.endpoints"},
		},
		{
			"no preflight", gateway + route("a", "  rules:\n"+
				"  - {matches: [{method: PUT}, {method: GET}], filters: [{type: CORS, cors: {allowOrigins: [\"*\"]}}], "+to+"}\n"+
				"  - {matches: [{method: OPTIONS}], "+to+"}"),
			[]string{"NoPreflight spec.rules[0]"},
		},
		{
			"a preflight to another rule", gateway + route("a", "  rules:\n"+
				"  - {matches: [{method: PUT}], filters: [{type: CORS, cors: {allowOrigins: [\"*\"]}}], "+to+"}\n"+
				"  - {matches: [{method: OPTIONS}], filters: [{type: CORS, cors: {allowOrigins: [\"*\"]}}], "+to+"}"), nil,
		},
		{
			"slices without a Service", gateway + route("a", "  rules:\n  - "+to) + slice("x", "") + slice("y", "labels: {kubernetes.io/service-name: y}") +
				slice("z", "labels: {kubernetes.io/service-name: z}") + "apiVersion: v1\nkind: Service\nmetadata: {name: z}\nspec: {ports: [{port: 80}]}\n",
			[]string{"OrphanEndpointSlice metadata", "OrphanEndpointSlice metadata.labels[kubernetes.io/service-name]"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(path, []byte(tt.config), 0o600); err != nil {
				t.Fatal(err)
			}
			set, problems, err := file.Load([]string{path}, file.Options{})
			if err != nil || len(problems) > 0 {
				t.Fatal(err, problems)
			}
			out := compile.Compile(compile.Input{Set: set, Now: time.Now()}, nil)
			found, err := lint.Check(out.Config, set)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range found {
				got = append(got, p.Code+" "+p.Field)
				if p.Position.Line == 0 || p.Position.File != path {
					t.Errorf("no place in %s", p)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("findings differ (-want +got):\n%s\n%v", diff, found)
			}
		})
	}
}
