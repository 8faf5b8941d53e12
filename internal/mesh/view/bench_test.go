package view_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/mesh/distrib"
)

// manyServices is a mesh of 1,000 services with a route each.
func manyServices(b *testing.B) (m *mesh, proxy func(i, uses int) *distrib.Proxy, change func(i, n int)) {
	b.Helper()
	const services = 1000
	name := func(i int) string { return fmt.Sprintf("service-%04d", i) }
	var text strings.Builder
	for i := range services {
		text.WriteString(strings.ReplaceAll(`apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: shop}
spec: {ports: [{port: 80, appProtocol: http}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: NAME, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: NAME}]
  rules:
  - {name: all, timeouts: {request: 15s}, backendRefs: [{name: NAME, port: 80}]}
---
`, "NAME", name(i)))
	}
	m = newMesh(b, text.String())
	proxy = func(i, uses int) *distrib.Proxy {
		p := &distrib.Proxy{Identity: "spiffe://example.org/ns/shop/sa/caller", Name: fmt.Sprint("proxy-", i), Role: distrib.RoleSidecar, Labels: map[string]string{distrib.LabelCaptured: "127.0.0.1:15001"}}
		for k := range uses {
			p.Services = append(p.Services, "shop/"+name((i*(uses-1)+k)%services))
		}
		slices.Sort(p.Services)
		return p
	}
	change = func(i, n int) {
		o := *m.set.Get(store.Key{Group: gatewayv1.GroupName, Kind: "HTTPRoute", Namespace: "shop", Name: name(i)})
		r := o.Value.(*gatewayv1.HTTPRoute).DeepCopy()
		rule := gatewayv1.SectionName(fmt.Sprint("n", n))
		r.Spec.Rules[0].Name, o.Value = &rule, r
		m.set = m.set.With([]*store.Object{&o}, nil)
		m.compile()
	}
	return m, proxy, change
}

// What a changed route costs before proxies have it: to compile it, and a view of a proxy.
func BenchmarkChangedRoute(b *testing.B) {
	m, proxy, change := manyServices(b)
	b.Run("compile", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			change(0, n)
		}
	})
	for _, uses := range []int{20, 1000} {
		b.Run(fmt.Sprintf("view of %d services", uses), func(b *testing.B) {
			b.ReportAllocs()
			p := proxy(0, uses)
			for b.Loop() {
				if _, err := m.views.View(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
