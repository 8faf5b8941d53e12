package view_test

import (
	"testing"

	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/registry"
	"github.com/gridway/gridway/internal/mesh/view"
)

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
			Labels:   map[string]string{distrib.LabelCaptured: captured, distrib.LabelProxy: proxy, distrib.LabelInbound: captured},
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
