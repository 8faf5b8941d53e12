package mesh

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// The control plane lists the routes of the mesh, and those of Services that are there
// since a workload has registered.
func TestRoutes(t *testing.T) {
	m := newMesh(t, `apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: patient, namespace: lab}
spec:
  parentRefs: [{group: "", kind: Service, name: reviews, namespace: default}]
  rules: [{name: wait, backendRefs: [{name: reviews, namespace: default, port: 80}]}]
`)
	out, err := m.command("routes", "--service", "reviews.default", "-o", "json")
	var rows []struct {
		Route string
		Mesh  struct{ Namespace, Service, Origin, Clients string }
		Ref   struct{ Line int }
	}
	if err != nil || json.Unmarshal([]byte(out), &rows) != nil || len(rows) != 2 {
		t.Fatalf("%v: %s", err, out)
	}
	if x := rows[0]; x.Mesh.Origin != "Service" || x.Mesh.Clients != "" || x.Ref.Line != 4 {
		t.Errorf("%+v", x)
	}
	if x := rows[1]; x.Mesh.Origin != "Consumer" || x.Mesh.Clients != "lab" || x.Route != "HTTPRoute/lab/patient" || x.Ref.Line == 0 {
		t.Errorf("%+v", x)
	}
	for from, want := range map[string][]string{
		"anyone":     {"Service/default/reviews:80", "mesh.yaml:1:1"},
		"anyone.lab": {"lab/patient", "rule      wait", "mesh.yaml:"},
	} {
		out, err := m.command("explain", "--from", from, "http://reviews.default/x")
		for _, text := range append(want, "at the proxy of "+from, "at the proxies of default/reviews") {
			if err != nil || !strings.Contains(out, text) {
				t.Errorf("from %s: %q is missing: %v\n%s", from, text, err, out)
			}
		}
	}
	for from, want := range map[string]string{"a.b.c": "is not SERVICE or SERVICE.NAMESPACE", "a.": "is not SERVICE or SERVICE.NAMESPACE", "a/b": "a name without dots and slashes"} {
		if out, err := m.command("explain", "--from", from, "http://reviews.default/x"); err == nil || !strings.Contains(out, want) {
			t.Errorf("from %s: %v %s", from, err, out)
		}
	}
	if out, err := m.command("explain", "--from", "anyone", "http://reviews.default:81/x"); err == nil || !strings.Contains(out, "has no port 81: its ports are 80") {
		t.Errorf("%v %s", err, out)
	}
	one := m.sidecar("ratings", "one")
	eventually(t, "ratings has a row", func() error {
		out, err := m.command("routes")
		if err == nil && (!strings.Contains(out, "ratings.default:"+one.port) || !strings.Contains(out, "lab/patient/wait")) {
			err = errors.New(out)
		}
		return err
	})
	eventually(t, "the workload of ratings is told of", func() error {
		out, err := m.command("explain", "--from", "anyone", "http://ratings:"+one.port+"/")
		if err == nil && !strings.Contains(out, "LeastRequest of\n       127.0.0.1:") {
			err = errors.New(out)
		}
		return err
	})
}
