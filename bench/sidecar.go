package main

import (
	"context"
	"fmt"

	"github.com/gridway/gridway/bench/load"
	"github.com/gridway/gridway/bench/peers"
	"github.com/gridway/gridway/bench/proc"
	"github.com/gridway/gridway/bench/report"
	"github.com/gridway/gridway/bench/stats"
)

// sidecarMemory measures what the sidecar of a caller holds after some traffic, by how
// many services it knows.
func (b *bench) sidecarMemory(ctx context.Context) ([]report.Measure, error) {
	var out []report.Measure
	for _, services := range []int{10, 1000} {
		b.say.step("memory of a sidecar with %d services", services)
		mib, err := b.sidecarMemoryWith(ctx, services)
		if err != nil {
			return out, fmt.Errorf("memory of a sidecar with %d services: %w", services, err)
		}
		out = append(out, report.Measure{
			Name: fmt.Sprintf("mesh-memory-%d", services), Unit: "MiB", Value: stats.Of([]float64{mib}),
			Title: fmt.Sprintf("Memory of the data plane of a sidecar that knows %d services", services),
		})
	}
	return out, nil
}

func (b *bench) sidecarMemoryWith(ctx context.Context, services int) (mib float64, err error) {
	spec := peers.Spec{Kind: peers.Gridway, Label: "gridway", Mesh: peers.MeshHTTP, Services: services, Backend: b.backend.Addr}
	p, err := b.lab.Start(ctx, spec)
	if err != nil {
		return 0, err
	}
	defer p.Stop()
	if _, err := load.Closed(ctx, load.Target{Addr: p.Addr, Path: "/1k"}, 64, b.warm); err != nil {
		return 0, err
	}
	rss, err := proc.RSS(p.PID())
	return float64(rss) / (1 << 20), err
}
