package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/bench/load"
	"github.com/gridway/gridway/bench/proc"
)

// countRates are the loads under which system calls are counted, in requests a
// second; 0 is as many as the proxy takes.
var countRates = []float64{1000, 5000, 0}

// countCase counts what each proxy of a case asks of the kernel for a request. Unlike
// times, that hardly depends on what else the machine does.
func (b *bench) countCase(ctx context.Context, w workload) (err error) {
	b.say.print(w.title + " (" + w.name + "), per request")
	for _, spec := range w.proxies {
		b.say.step("%s: count %s", w.name, spec.Label)
		p, err := b.enter(ctx, w, spec)
		if err != nil {
			return err
		}
		for _, rate := range countRates {
			if err = b.count(ctx, w, p, rate); err != nil {
				break
			}
		}
		p.proc.Stop()
		if err != nil {
			return fmt.Errorf("%s: %w", spec.Label, err)
		}
	}
	return nil
}

// count puts one proxy under load and prints its counts, of both processes of a pair.
func (b *bench) count(ctx context.Context, w workload, p *contender, rate float64) error {
	var counters []*proc.Counter
	for _, pid := range p.proc.Measured() {
		c, err := proc.Count(ctx, pid)
		if err != nil {
			return errors.Join(err, stopAll(counters))
		}
		counters = append(counters, c)
	}
	before, err := b.between(ctx, p)
	if err != nil {
		return errors.Join(err, stopAll(counters))
	}
	res, err := b.loadAt(ctx, w, p, rate)
	if err == nil && res.Requests == 0 {
		err = fmt.Errorf("no request succeeded: %w", res.First)
	}
	if err != nil {
		return errors.Join(err, stopAll(counters))
	}
	after, err := b.between(ctx, p)
	if err != nil {
		return errors.Join(err, stopAll(counters))
	}
	n := float64(res.Requests)
	at := "full load"
	if rate > 0 {
		at = fmt.Sprintf("%g/s", rate)
	}
	sides := []string{""}
	if len(counters) == 2 {
		sides = []string{"caller's", "server's"}
	}
	for i, c := range counters {
		counts, err := c.Stop()
		if err != nil {
			return errors.Join(err, stopAll(counters[i+1:]))
		}
		b.say.print(fmt.Sprintf("  %-8s %-10s %-9s %s", p.spec.Label, at, sides[i], countText(counts, n)))
	}
	if after.Conns > 0 {
		b.say.print(fmt.Sprintf("  %-8s %-10s %-9s %d connections, %.0f bytes in %.2f segments there, %.0f in %.2f back", p.spec.Label, at, "between", after.Conns,
			(after.BytesIn-before.BytesIn)/n, (after.SegmentsIn-before.SegmentsIn)/n, (after.BytesOut-before.BytesOut)/n, (after.SegmentsOut-before.SegmentsOut)/n))
	}
	return nil
}

func stopAll(counters []*proc.Counter) error {
	var errs []error
	for _, c := range counters {
		_, err := c.Stop()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// between is what has gone between the two of a pair.
func (b *bench) between(ctx context.Context, p *contender) (proc.Traffic, error) {
	_, port, err := net.SplitHostPort(p.proc.Inner())
	if err != nil {
		return proc.Traffic{}, nil //nolint:nilerr // it is no pair
	}
	return proc.TrafficOf(ctx, port)
}

// loadAt loads a proxy at a rate, or as much as it takes if that is 0.
func (b *bench) loadAt(ctx context.Context, w workload, p *contender, rate float64) (load.Result, error) {
	if rate == 0 {
		return load.Busy(ctx, p.target, w.conns, 2*time.Second, b.lab.Dir)
	}
	return load.Open(ctx, p.target, w.rateConns, rate, 2*time.Second)
}

// countText shows counts per request, the most frequent calls first.
func countText(c proc.Counts, n float64) string {
	text := fmt.Sprintf("%5.2f calls, %4.2f switches, %5.1f µs:", c[proc.AllCalls]/n, c[proc.Switches]/n, c[proc.RunTime]/n/1000)
	var names []string
	for name, count := range c {
		if !slices.Contains([]string{proc.AllCalls, proc.Switches, proc.RunTime}, name) && count/n >= 0.005 {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(x, y string) int { return int(c[y] - c[x]) })
	var parts []string
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%s %.2f", name, c[name]/n))
	}
	return text + " " + strings.Join(parts, ", ")
}
