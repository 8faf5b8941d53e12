package mesh

import (
	"path/filepath"
	"strings"
	"testing"
)

const gateway = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public}
spec:
  gatewayClassName: gridway
  listeners: [{name: http, port: EDGE, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ratings}
spec:
  parentRefs: [{name: public}]
  rules:
  - matches: [{path: {value: /api}}]
    backendRefs: [{name: ratings, port: RATINGS}]
---
apiVersion: gridway.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: edge-only}
spec:
  targetRefs: [{group: "", kind: Service, name: ratings}]
  action: Allow
  rules:
  - {name: edge, identities: ["spiffe://cluster.local/ns/default/sa/edge"]}
`

// Clients of an edge reach workloads of the mesh, which know who asks.
func TestEdge(t *testing.T) {
	m := newMesh(t, "")
	one := m.sidecar("ratings", "one")
	open, up := port(t), port(t)
	m.write(strings.NewReplacer("EDGE", open, "RATINGS", one.port).Replace(gateway))
	run(t, []string{"GRIDWAY_JOIN_TOKEN=" + m.token}, "edge", "--control", m.address, "--state-dir", filepath.Join(m.dir, "edge"), "--access-log", "off").said("in the mesh")
	eventually(t, "the edge leads to the workload", func() error {
		_, err := get(open, "/api/stars")
		return err
	})
	// Another member of the mesh may not.
	m.sidecar("reviews", "front", "--upstream", "ratings=:"+up)
	eventually(t, "a stranger is refused", func() error {
		a, err := get(up, "/api/stars")
		if a.status == 403 {
			return nil
		}
		return err
	})
	if a, _ := get(up, "/api/stars"); a.status != 403 {
		t.Errorf("a stranger gets %d", a.status)
	}
	if a, err := get(open, "/elsewhere"); a.status != 404 {
		t.Errorf("%d, %v", a.status, err)
	}
}
