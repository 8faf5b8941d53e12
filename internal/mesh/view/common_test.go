package view_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/view"
)

// sharing is a mesh whose proxies have much in common: services with one port and with
// two, in two namespaces, routes for all clients and for those of one namespace, and one
// service without an address.
func sharing(routed []int) string {
	var b strings.Builder
	for i := range 6 {
		namespace, headless := []string{"shop", "lab"}[i%2], ""
		if i == 5 {
			headless = "clusterIP: None, "
		}
		fmt.Fprintf(&b, "apiVersion: v1\nkind: Service\nmetadata: {name: s%d, namespace: %s}\nspec: {%sports: [{name: a, port: 80, appProtocol: http}, {name: b, port: 81}]}\n---\n", i, namespace, headless)
	}
	for _, i := range routed {
		// A route for a Service of its own namespace, or a consumer's.
		namespace, of := []string{"shop", "lab"}[i%2], []string{"shop", "lab"}[i/6%2]
		fmt.Fprintf(&b, "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r%d, namespace: %s}\nspec:\n  parentRefs: [{group: \"\", kind: Service, name: s%d, namespace: %s, port: 80}]\n  rules: [{name: n%d, backendRefs: [{name: s%d, namespace: %s, port: 81}]}]\n---\n",
			i, of, i%6, namespace, rand.IntN(1000), i%6, namespace)
		if of != namespace {
			fmt.Fprintf(&b, "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: {name: g%d, namespace: %s}\nspec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: %s}], to: [{group: \"\", kind: Service}]}\n---\n", i, namespace, of)
		}
	}
	return b.String()
}

// What proxies share is what each would have by itself: views that have made many before
// are those of somebody who has made none, whatever changes.
func TestViewsThatShare(t *testing.T) {
	m := newMesh(t, sharing(nil))
	proxy := func() *distrib.Proxy {
		namespace := []string{"shop", "lab"}[rand.IntN(2)]
		p := &distrib.Proxy{
			Identity: fmt.Sprintf("spiffe://example.org/ns/%s/sa/client", namespace), Name: fmt.Sprint("proxy-", rand.IntN(5)), Role: distrib.RoleSidecar, Labels: map[string]string{},
		}
		for _, label := range []string{distrib.LabelCaptured, distrib.LabelProxy} {
			if rand.IntN(3) > 0 {
				p.Labels[label] = fmt.Sprintf("127.0.0.%d:%d", 1+rand.IntN(2), 15001+len(label))
			}
		}
		for i := range 6 {
			if rand.IntN(2) == 0 {
				p.Services = append(p.Services, []string{"shop", "lab"}[i%2]+fmt.Sprint("/s", i))
			}
		}
		slices.Sort(p.Services)
		if rand.IntN(3) == 0 {
			p.Listeners = []distrib.LocalListener{{Address: "127.0.0.1", Port: 7001, Service: "shop/s0", ServicePort: 80}}
		}
		if rand.IntN(2) == 0 {
			p.Workloads = []distrib.Workload{{Namespace: namespace, Service: "client", Address: "10.9.9.9", Ports: []distrib.Port{{Number: 80, Protocol: "http"}}, Healthy: true, MeshPort: 15008}}
		}
		return p
	}
	shared := 0
	for round := range 30 {
		switch rand.IntN(3) {
		case 0:
			var routed []int
			for i := range 12 {
				if rand.IntN(2) == 0 {
					routed = append(routed, i)
				}
			}
			m.write(sharing(routed))
		case 1:
			i := rand.IntN(6)
			m.join(m.sidecar([]string{"shop", "lab"}[i%2], fmt.Sprint("s", i), fmt.Sprintf("10.0.%d.%d", i, rand.IntN(4)), distrib.Port{Number: 80, Name: "a", Protocol: "http"}))
			m.compile()
		}
		pool := []*distrib.Proxy{proxy(), proxy(), proxy()}
		seen := map[*distrib.Resource]bool{}
		for range 12 {
			p := pool[rand.IntN(len(pool))]
			got, err := m.views.View(p)
			if err != nil {
				t.Fatal(err)
			}
			fresh := view.New(view.Options{TrustDomain: m.td, Registry: m.reg})
			if err := fresh.Apply(m.out.Config, m.out.Mesh); err != nil {
				t.Fatal(err)
			}
			want, err := fresh.View(p)
			if err != nil {
				t.Fatal(err)
			}
			if got.Hash != want.Hash || !slices.Equal(got.Services, want.Services) || !slices.Equal(got.Unknown, want.Unknown) || len(got.Resources) != len(want.Resources) {
				t.Fatalf("round %d: %d resources for %+v, want %d", round, len(got.Resources), p, len(want.Resources))
			}
			for i, r := range got.Resources {
				if !reflect.DeepEqual(r, want.Resources[i]) {
					t.Fatalf("round %d, for %+v: %s %s\n%s\nwant\n%s", round, p, r.Kind, r.Name, r.Body, want.Resources[i].Body)
				}
				if r.Kind == distrib.KindListener && seen[r] {
					shared++
				}
				seen[r] = true
			}
		}
	}
	if shared == 0 {
		t.Error("no listener was shared")
	}
}
