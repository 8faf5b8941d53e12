package admit_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/mesh/admit"
	"github.com/gridway/gridway/internal/mesh/identity"
)

func TestParseSVIDGrants(t *testing.T) {
	list, err := admit.ParseSVIDGrants([]byte(`
- id: spiffe://west.example/host/*
  services: ["cart*", reviews]
- id: spiffe://prod.example.com/ns/ops/sa/agent
  role: node
  nodes: ["rack1-*"]
`))
	if err != nil || len(list) != 2 || list[0].Role != identity.RoleWorkload || !slices.Equal(list[0].Namespaces, []string{"default"}) || list[1].Role != identity.RoleNode || len(list[1].Namespaces) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := admit.ParseSVIDGrants(nil); err != nil || len(list) > 0 {
		t.Errorf("of nothing: %v, %v", list, err)
	}
	for text, want := range map[string]string{
		`{}`:                              "cannot unmarshal",
		`[{id: "*", services: [a]}]`:      "no SPIFFE ID",
		`[{services: [a]}]`:               "no SPIFFE ID",
		`[{id: "spiffe://west*"}]`:        "no SPIFFE ID with a path",
		`[{id: "spiffe://west.example"}]`: "no SPIFFE ID with a path",
		`[{id: "spiffe://w/a*b"}]`:        "no SPIFFE ID",
		`[{id: "spiffe://w/a"}]`:          "service names",
		`[{id: "spiffe://w/a", services: [a], nodes: [b]}]`:           "grants no nodes",
		`[{id: "spiffe://w/a", services: [A]}]`:                       "service \"A\"",
		`[{id: "spiffe://w/a", role: control, services: [a]}]`:        "must be workload or node",
		`[{id: "spiffe://w/a", role: node}]`:                          "node names",
		`[{id: "spiffe://w/a", service: a}]`:                          "field service not found",
		strings.Repeat("- {id: spiffe://w/a, services: [a]}\n", 1001): "1000 are the most",
	} {
		if _, err := admit.ParseSVIDGrants([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v", text, err)
		}
	}
}

// What is read lets nobody join as anything that a token could not grant.
func FuzzSVIDGrants(f *testing.F) {
	f.Add([]byte("- {id: spiffe://w/a, services: [a]}"))
	f.Add([]byte("- {id: spiffe://w/*, role: node, nodes: ['*'], namespaces: [a], services: ['*']}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := admit.ParseSVIDGrants(text)
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
