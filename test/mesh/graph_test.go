package mesh

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/mesh/signals"
)

const graphRoutes = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public}
spec:
  gatewayClassName: gridway
  listeners: [{name: http, port: EDGE, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart}
spec:
  parentRefs: [{name: public}]
  rules:
  - backendRefs: [{name: cart, port: CART}]
`

func (m *mesh) graph() (*signals.Graph, error) {
	out, err := m.command("graph", "-o", "json")
	if err != nil {
		return nil, errors.New(out)
	}
	g := new(signals.Graph)
	return g, json.Unmarshal([]byte(out), g)
}

// The graph has the edges that were gone over, and no others: an edge, a chain of three
// services, a database, and one that nobody asks.
func TestServiceGraph(t *testing.T) {
	m := newMesh(t, "")
	m.speaking("tcp", "db", "data")
	m.speaking("kubernetes.io/h2c", "calls", healthProgram)
	orders, db, broken, calls, unused := port(t), port(t), port(t), port(t), port(t)
	m.sidecar("orders", "orders", "--upstream", "db=:"+db)
	m.sidecar("broken", "broken", "--upstream", "orders=:"+unused)
	cart := m.sidecar("cart", "cart", "--upstream", "orders=:"+orders, "--upstream", "broken=:"+broken, "--upstream", "calls=:"+calls)
	open := port(t)
	m.write(strings.NewReplacer("EDGE", open, "CART", cart.port).Replace(graphRoutes))
	run(t, []string{"GRIDWAY_JOIN_TOKEN=" + m.token}, "edge", "--control", m.address, "--state-dir", filepath.Join(m.dir, "edge"), "--access-log", "off").said("in the mesh")
	want := func(path string, status int) {
		t.Helper()
		eventually(t, path, func() error {
			a, err := get(open, path)
			if a.status == status {
				return nil
			}
			return fmt.Errorf("%d, %w", a.status, err)
		})
	}
	want("/", 200)
	want("/relay/"+orders+"/relay/"+db+"/", 200)
	want("/relay/"+broken+"/relay/1/", 502) // where nobody listens
	eventually(t, "calls answer", func() error { return callHealth(t, calls) })
	expected := []string{
		"cart>broken HTTP mTLS failing", "cart>calls gRPC mTLS", "cart>orders HTTP mTLS", "edge>cart HTTP mTLS failing", "orders>db TCP mTLS", "internet>edge HTTP failing",
	}
	var g *signals.Graph
	eventually(t, "the graph is whole", func() (err error) {
		if g, err = m.graph(); err != nil {
			return err
		}
		var got []string
		for _, e := range g.Edges {
			text := strings.ReplaceAll(e.ID, "default/", "") + " " + e.Protocol
			if e.MutualTLS == 1 {
				text += " mTLS"
			}
			if e.Errors > 0 {
				text += " failing"
			}
			got = append(got, text)
			if sides := []string{"client", "server"}; e.Source != "internet" && !slices.Equal(e.ReportedBy, sides) {
				return fmt.Errorf("%s is told by %q", e.ID, e.ReportedBy)
			}
		}
		if !slices.Equal(got, expected) {
			return fmt.Errorf("%q", got)
		}
		return nil
	})
	kinds := map[string]string{}
	for _, n := range g.Nodes {
		kinds[n.ID] = n.Kind
		if n.Kind == signals.KindService && n.Proxies != 1 {
			t.Errorf("%s has %d proxies", n.ID, n.Proxies)
		}
	}
	if kinds["default/edge"] != signals.KindEdge || kinds["internet"] != signals.KindInternet || kinds["default/orders"] != signals.KindService || len(kinds) != 7 {
		t.Errorf("%v", kinds)
	}
	text, err := m.command("graph")
	if err != nil || !strings.Contains(text, "default/cart") || !strings.Contains(text, "yes") {
		t.Errorf("%v\n%s", err, text)
	}
	if out, err := m.command("top", "--once"); err != nil || !strings.HasPrefix(out, "SERVICE") || !strings.Contains(out, "default/cart") {
		t.Errorf("%v\n%s", err, out)
	}
	dot, err := m.command("graph", "-o", "dot", "--namespace", "default")
	if err != nil || !strings.Contains(dot, `"default/orders" -> "default/db" [label="TCP`) {
		t.Errorf("%v\n%s", err, dot)
	}
	if out, err := m.command("graph", "--window", "1s"); err == nil || !strings.Contains(out, "--window must be between 10s and 2160h, which is 90 days") {
		t.Errorf("%v: %s", err, out)
	}
}
