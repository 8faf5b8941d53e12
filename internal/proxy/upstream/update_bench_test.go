package upstream_test

import (
	"fmt"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream"
)

// One endpoint of 100,000 changes: replaced by another (in place or in the
// middle of the list, so that all later ones move), or only its weight.
func BenchmarkUpdate(b *testing.B) {
	for _, alg := range []ir.BalanceAlgorithm{ir.RoundRobin, ir.PeakEWMA, ir.RingHash, ir.Maglev} {
		for _, kind := range []string{"replace", "remove", "weight"} {
			b.Run(string(alg)+"/"+kind, func(b *testing.B) {
				s := upstream.New(upstream.Options{})
				defer s.Close()
				cfg := cluster()
				cfg.Balance.Algorithm = alg
				for i := range 100000 {
					cfg.Endpoints = append(cfg.Endpoints, ir.Endpoint{Address: fmt.Sprintf("10.%d.%d.%d:80", i>>16, i>>8&255, i&255), Weight: 1})
				}
				if err := s.Apply([]*ir.Cluster{cfg}); err != nil {
					b.Fatal(err)
				}
				list := append([]ir.Endpoint(nil), cfg.Endpoints...)
				n := 0
				for b.Loop() {
					n++
					list := list
					switch kind {
					case "replace":
						list[50000].Address = fmt.Sprintf("10.9.%d.%d:80", n>>8&255, n&255)
					case "weight":
						list[50000].Weight = uint32(1 + n%2)
					case "remove":
						if n%2 == 1 {
							list = append(append([]ir.Endpoint(nil), list[:50000]...), list[50001:]...)
						}
					}
					s.Update(ir.EndpointUpdate{Cluster: cfg.Name, Endpoints: list})
				}
			})
		}
	}
}
