package view_test

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/registry"
)

const exporting = `apiVersion: v1
kind: Service
metadata: {name: ratings, namespace: shop}
spec: {ports: [{port: 80, appProtocol: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: secret, namespace: shop}
spec: {ports: [{port: 80, appProtocol: http}]}
---
apiVersion: gridway.dev/v1alpha1
kind: MeshPeer
metadata: {name: east}
spec:
  trustDomain: east.example
  export: [{namespace: shop, services: [ratings]}]
`

// An east-west edge has a section for each exported port, by server name, and leads to the
// workloads' proxies without an identity of its own.
func TestEastWest(t *testing.T) {
	m := newMesh(t, exporting)
	m.join(m.sidecar("shop", "ratings", "10.0.0.1", distrib.Port{Number: 9080}))
	m.join(m.sidecar("shop", "secret", "10.0.0.2", distrib.Port{Number: 9080}))
	edge := m.sidecar("default", "edge", "10.0.0.3", distrib.Port{Number: 1})
	edge.Role, edge.Labels = distrib.RoleEdge, map[string]string{distrib.LabelEastWest: "[::]:15443"}
	edge.Workloads[0].Labels = map[string]string{distrib.LabelEastWestAddress: "192.0.2.1:15443"}
	m.join(edge)
	cfg, err := m.views.Config(edge)
	if err != nil {
		t.Fatal(err)
	}
	var door *ir.Listener
	for _, l := range cfg.Listeners {
		if l.Name == ":15443" {
			door = l
		}
	}
	if door == nil || door.Protocol != ir.TLS || len(door.Sections) != 1 || door.Sections[0].Hostname != "80.ratings.shop.mesh" || !door.Sections[0].Passthrough {
		t.Fatalf("%+v", door)
	}
	var to []ir.Endpoint
	for _, cl := range cfg.Clusters {
		if strings.HasPrefix(cl.Name, "EastWest/") {
			to = append(to, cl.Endpoints...)
		}
	}
	if len(to) != 1 || to[0].Address != "10.0.0.1:15008" || to[0].Identity != "" {
		t.Errorf("%+v", to)
	}
	td, _ := identity.ParseTrustDomain("east.example")
	e, ok := m.views.Exported(td)
	if !ok || len(e.Services) != 1 || e.Services[0].Identity != "spiffe://example.org/ns/shop/sa/ratings" || e.Services[0].Weight != 1 || len(e.Edges) != 1 || e.Edges[0].String() != "192.0.2.1:15443" {
		t.Errorf("%+v, %t", e, ok)
	}
	other, _ := identity.ParseTrustDomain("other.example")
	if _, ok := m.views.Exported(other); ok {
		t.Error("somebody else may use it")
	}
	// Who says that it is an edge's address counts only if it is an edge.
	sidecar := m.sidecar("shop", "reviews", "10.0.0.4", distrib.Port{Number: 1})
	sidecar.Workloads[0].Labels = map[string]string{distrib.LabelEastWestAddress: "192.0.2.66:15443"}
	m.join(sidecar)
	if e, _ := m.views.Exported(td); len(e.Edges) != 1 {
		t.Errorf("%+v", e.Edges)
	}
}

// A service of a peer is reached at its edge, by its own name and identity, after those
// that are here; it is not passed on to other peers.
func TestImported(t *testing.T) {
	m := newMesh(t, exporting)
	client := m.join(m.sidecar("shop", "reviews", "10.0.0.9", distrib.Port{Number: 1}, "shop/ratings"))
	m.join(m.sidecar("shop", "ratings", "10.0.0.1", distrib.Port{Number: 9080}))
	m.reg.Import("west", []*registry.Instance{{
		Workload: distrib.Workload{Name: "a", Namespace: "shop", Service: "ratings", Address: "192.0.2.1", MeshPort: 15443, Ports: []distrib.Port{{Number: 80}}, Healthy: true, Weight: 3},
		Identity: "spiffe://west.example/ns/lab/sa/scores", Peer: &registry.Peer{Name: "west", Namespace: "lab", Service: "scores", Priority: 1},
	}})
	cfg, err := m.views.Config(client)
	if err != nil {
		t.Fatal(err)
	}
	var got []ir.Endpoint
	for _, cl := range cfg.Clusters {
		if cl.Name == "Service/shop/ratings:80" {
			got = cl.Endpoints
		}
	}
	want := ir.Endpoint{
		Address: "192.0.2.1:15443", Weight: 3, Priority: 1, Origin: "MeshPeer west", Identity: "spiffe://west.example/ns/lab/sa/scores", ServerName: "80.scores.lab.mesh",
	}
	if len(got) != 2 || got[0] != want && got[1] != want {
		t.Errorf("%+v", got)
	}
	td, _ := identity.ParseTrustDomain("east.example")
	if e, _ := m.views.Exported(td); len(e.Services) != 1 || e.Services[0].Weight != 1 {
		t.Errorf("a peer is told of another peer's workloads: %+v", e)
	}
	// A proxy cannot take a peer's place.
	impostor := m.sidecar("shop", "ratings", "10.0.0.66", distrib.Port{Number: 9080})
	impostor.Name = "peer:west"
	m.join(impostor)
	m.reg.Left(impostor, true)
	m.join(impostor)
	if len(m.reg.Instances("shop", "ratings")) != 2 || m.reg.Refused()["peer:west"] == "" {
		t.Errorf("%+v %v", m.reg.Instances("shop", "ratings"), m.reg.Refused())
	}
}
