package admit_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/mesh/admit"
	"github.com/gridway/gridway/internal/mesh/identity"
)

func TestParseSVIDGrants(t *testing.T) {
	list, err := admit.ParseSVIDGrants("g.yaml", []byte(`
- id: spiffe://west.example/host/*
  services: ["cart*", reviews]
- id: spiffe://prod.example.com/ns/ops/sa/agent
  role: node
  nodes: ["rack1-*"]
`))
	if err != nil || len(list) != 2 || list[0].Role != identity.RoleWorkload || !slices.Equal(list[0].Namespaces, []string{"default"}) || list[1].Role != identity.RoleNode || len(list[1].Namespaces) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := admit.ParseSVIDGrants("g.yaml", nil); err != nil || len(list) > 0 {
		t.Errorf("of nothing: %v, %v", list, err)
	}
	for text, want := range map[string]string{
		`{}`: "g.yaml:1:1: must be a list of grants",
		`- {id: "spiffe://w/a", services: [a]}` + "\n- [":                    "g.yaml:2:1: is no YAML",
		"- id: spiffe://w/a\n  services: [a]\n- id: x\n  services: [a]":      "g.yaml:3:7: id \"x\" is no SPIFFE ID",
		"- id: spiffe://w/a\n  services: a":                                  "g.yaml:2:13: services must be a list",
		"- id: spiffe://w/a\n  services: [a, {}]":                            "g.yaml:2:17: a name of services must be a text",
		"- id: spiffe://w/a\n  id: spiffe://w/b":                             "g.yaml:2:3: id is there twice",
		"[]\n---\n[]":                                                        "a second document",
		"- a":                                                                "g.yaml:1:3: a grant must have fields",
		"- {id: spiffe://w/a, services: [" + strings.Repeat("a,", 65) + "]}": "65 names, and 64 are the most",
		`[{id: "*", services: [a]}]`:                                         "no SPIFFE ID",
		`[{services: [a]}]`:                                                  "no SPIFFE ID",
		`[{id: "spiffe://west*"}]`:                                           "no SPIFFE ID with a path",
		`[{id: "spiffe://west.example"}]`:                                    "no SPIFFE ID with a path",
		`[{id: "spiffe://w/a*b"}]`:                                           "no SPIFFE ID",
		`[{id: "spiffe://w/a"}]`:                                             "service names",
		`[{id: "spiffe://w/a", services: [a], nodes: [b]}]`:                  "grants no nodes",
		`[{id: "spiffe://w/a", services: [A]}]`:                              "service \"A\"",
		`[{id: "spiffe://w/a", role: control, services: [a]}]`:               "must be workload or node",
		`[{id: "spiffe://w/a", role: node}]`:                                 "node names",
		`[{id: "spiffe://w/a", service: a}]`:                                 "a grant has no field \"service\"; it may have id, namespaces, nodes, role, services",
		strings.Repeat("- {id: spiffe://w/a, services: [a]}\n", 1001):        "1000 are the most",
	} {
		if _, err := admit.ParseSVIDGrants("g.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v", text, err)
		}
	}
}

// What is read lets nobody join as anything that a token could not grant.
func FuzzSVIDGrants(f *testing.F) {
	f.Add([]byte("- {id: spiffe://w/a, services: [a]}"))
	f.Add([]byte("- {id: spiffe://w/*, role: node, nodes: ['*'], namespaces: [a], services: ['*']}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := admit.ParseSVIDGrants("g.yaml", text)
		if err != nil {
			return
		}
		for _, g := range list {
			if !strings.HasPrefix(g.ID, "spiffe://") || g.Role != identity.RoleWorkload && g.Role != identity.RoleNode || len(g.Nodes)+len(g.Services) == 0 {
				t.Errorf("%+v", g)
			}
		}
	})
}
