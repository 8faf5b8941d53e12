package distrib_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
)

// large has so many routes and a cluster for each ten of them.
func large(routes int) *ir.Config {
	c := &ir.Config{}
	for i := range routes / 10 {
		c.Clusters = append(c.Clusters, &ir.Cluster{Name: fmt.Sprintf("Service/shop/s%d:80", i), Endpoints: many(10)})
	}
	for i := range routes {
		c.Routes = append(c.Routes, &ir.Route{Name: fmt.Sprintf("HTTPRoute/shop/r%d", i), Rules: []*ir.Rule{{
			ID: fmt.Sprintf("HTTPRoute/shop/r%d/rules/0", i), Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.Prefix, Value: "/"}}},
			Backends: []ir.BackendRef{{Cluster: fmt.Sprintf("Service/shop/s%d:80", i/10), Weight: 1}},
		}}})
	}
	return c
}

// One route among 10,000 changes: what the control plane and the proxy do of all of
// them.
func BenchmarkOneRoute(b *testing.B) {
	c := large(10_000)
	var e distrib.Encoder
	var d distrib.Decoder
	change := func(i int) *ir.Config {
		next := *c
		next.Routes = slices.Clone(c.Routes)
		r := *c.Routes[500]
		r.Hash = uint64(i)
		next.Routes[500] = &r
		return &next
	}
	b.Run("split", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, err := e.Split(change(i)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("join", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			b.StopTimer()
			list, err := e.Split(change(i))
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			if _, err := d.Join(slices.Values(list)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sum", func(b *testing.B) {
		list, err := e.Split(c)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			distrib.Sum(list)
		}
	})
}

func BenchmarkEndpoints(b *testing.B) {
	list := many(100)
	r := endpointsResource(b, list)
	other := slices.Clone(list)
	other[50].Weight = 7
	next := endpointsResource(b, other)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			endpointsResource(b, list)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := distrib.DecodeEndpoints(r.Body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("delta", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := distrib.DeltaOf(r, next); err != nil {
				b.Fatal(err)
			}
		}
	})
	d, err := distrib.DeltaOf(r, next)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("apply", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := distrib.ApplyDelta(list, r.Hash, d); err != nil {
				b.Fatal(err)
			}
		}
	})
}
