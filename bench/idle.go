package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gridway/gridway/bench/load"
	"github.com/gridway/gridway/bench/peers"
	"github.com/gridway/gridway/bench/proc"
	"github.com/gridway/gridway/bench/report"
	"github.com/gridway/gridway/bench/stats"
)

// idleConns that have made one request and stay open.
const idleConns = 10_000

// idle measures what an idle keep-alive connection costs each proxy in memory.
func (b *bench) idle(ctx context.Context) ([]report.Measure, error) {
	var out []report.Measure
	for _, spec := range everyone(peers.Spec{Backend: b.backend.Addr}) {
		b.say.step("%d idle connections: %s", idleConns, spec.Label)
		kib, err := b.idleOf(ctx, spec)
		if err != nil {
			return out, fmt.Errorf("idle connections of %s: %w", spec.Label, err)
		}
		out = append(out, report.Measure{
			Name: "idle-" + spec.Label, Unit: "KiB", Value: stats.Of([]float64{kib}),
			Title: "Memory per idle keep-alive connection, of 10,000: " + spec.Label,
		})
	}
	return out, nil
}

func (b *bench) idleOf(ctx context.Context, spec peers.Spec) (kib float64, err error) {
	p, err := b.lab.Start(ctx, spec)
	if err != nil {
		return 0, err
	}
	defer p.Stop()
	t := load.Target{Addr: p.Addr, Path: "/1k"}
	if _, err := load.Closed(ctx, t, 64, b.warm); err != nil {
		return 0, err
	}
	if err := wait(ctx, time.Second); err != nil {
		return 0, err
	}
	before, err := proc.RSS(p.PID())
	if err != nil {
		return 0, err
	}
	clients := make([]*load.Client, idleConns)
	for i := range clients {
		clients[i] = load.NewClient(t)
		defer clients[i].Close()
	}
	if err := each(clients, func(c *load.Client) error { return c.Do(ctx, 0) }); err != nil {
		return 0, err
	}
	if err := wait(ctx, 2*time.Second); err != nil {
		return 0, err
	}
	after, err := proc.RSS(p.PID())
	if err != nil {
		return 0, err
	}
	// They count only if they were all still there: none may need to reconnect.
	for _, c := range clients {
		if !c.Connected() {
			return 0, errors.New("a connection was closed")
		}
	}
	if err := each(clients[:100], func(c *load.Client) error { return c.Again(ctx) }); err != nil {
		return 0, fmt.Errorf("an idle connection does not serve: %w", err)
	}
	return float64(after-before) / idleConns / 1024, nil
}

// each runs do on all clients, 32 at a time, and parks them.
func each(clients []*load.Client, do func(*load.Client) error) error {
	const lanes = 32
	errs := make([]error, lanes)
	var wg sync.WaitGroup
	for k := range lanes {
		wg.Go(func() {
			for i := k; i < len(clients); i += lanes {
				if errs[k] = do(clients[i]); errs[k] != nil {
					return
				}
				clients[i].Park()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// wait lets d pass.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
