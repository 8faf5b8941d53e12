package view_test

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/registry"
	"github.com/gridway/gridway/internal/mesh/view"
)

// FuzzServiceOf reads hosts as clients write them. What is read is a name that all forms
// of it lead to.
func FuzzServiceOf(f *testing.F) {
	for _, host := range []string{"ratings", "ratings:9080", "a.b.lab.svc.cluster.local.", "[::1]:80", "10.0.0.1", ".svc", "www.example.com"} {
		f.Add(host, "shop")
	}
	f.Fuzz(func(t *testing.T, host, from string) {
		ns, name, ok := view.ServiceOf(host, from, "cluster.local")
		if !ok {
			return
		}
		if ns == "" || name == "" || strings.ContainsAny(name, ":[]/") {
			t.Fatalf("%q is %q of %q", host, name, ns)
		}
		if strings.Contains(ns, ".") || identity.CheckWorkload(ns, name) != nil {
			return
		}
		for _, suffix := range []string{".svc", ".svc.cluster.local", ".svc.cluster.local.", ".svc.cluster.local:80"} {
			again, same, ok := view.ServiceOf(name+"."+ns+suffix, from, "cluster.local")
			if !ok || again != ns || same != name {
				t.Fatalf("%q is %q of %q, and with %s %q of %q", host, name, ns, suffix, same, again)
			}
		}
	})
}

// FuzzSockets reads labels by which proxies say which sockets they want.
func FuzzSockets(f *testing.F) {
	for _, text := range []string{"127.0.0.1:15001,[::1]:15001", "", ",", "127.0.0.1:0", "[fe80::1%1]:1", "::1:2"} {
		f.Add(text, "127.0.0.1:1")
	}
	td, _ := identity.ParseTrustDomain("example.org")
	views := view.New(view.Options{TrustDomain: td, Registry: registry.New(registry.Options{TrustDomain: td})})
	f.Fuzz(func(t *testing.T, captured, proxy string) {
		c, err := views.Config(&distrib.Proxy{
			Identity: identity.Workload(td, "shop", "x").String(),
			Labels:   map[string]string{view.LabelCaptured: captured, view.LabelProxy: proxy, view.LabelInbound: captured},
		})
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, l := range c.Listeners {
			if seen[l.Name] || l.Port == 0 {
				t.Fatalf("listener %s", l.Name)
			}
			seen[l.Name] = true
		}
	})
}
