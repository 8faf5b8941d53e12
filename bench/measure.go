package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gridway/gridway/bench/load"
	"github.com/gridway/gridway/bench/peers"
	"github.com/gridway/gridway/bench/proc"
	"github.com/gridway/gridway/bench/report"
	"github.com/gridway/gridway/bench/stats"
)

// bench is one run: the machine, what stands behind the proxies, and how long to look.
type bench struct {
	lab     *peers.Lab
	backend *peers.Backend // for downloads
	sink    string         // address of the server for uploads
	echo    string         // address of the server for gRPC and WebSocket
	// collector takes what Exported sends.
	collector *peers.Collector
	cert      *peers.Certificate
	rounds    int
	round     time.Duration
	latency   time.Duration // of load at a fixed rate
	warm      time.Duration
	quick     bool
	// profiles is a folder for CPU profiles of Gridway; "" is none.
	profiles string
	say      *progress
}

// contender is one proxy of a case while it runs.
type contender struct {
	spec   peers.Spec
	proc   *peers.Process
	target load.Target
	result report.Proxy
	rps    []float64
}

// measure runs a case: all its proxies are up, and in each round each gets the
// same load in turn while the others wait.
func (b *bench) measure(ctx context.Context, w workload) (report.Case, error) {
	c := report.Case{Name: w.name, Title: w.title, Conns: w.conns, Rate: w.rate}
	var field []*contender
	defer func() {
		for _, p := range field {
			p.proc.Stop()
		}
	}()
	for _, spec := range w.proxies {
		b.say.step("%s: start %s", w.name, spec.Label)
		p, err := b.enter(ctx, w, spec)
		if err != nil {
			return c, err
		}
		field = append(field, p)
	}
	for r := range b.rounds {
		for i := range field {
			// Nobody is always the first after the pause.
			p := field[(i+r)%len(field)]
			b.say.step("%s: round %d of %d, %s", w.name, r+1, b.rounds, p.spec.Label)
			if err := b.cpuRound(ctx, w, p); err != nil {
				return c, err
			}
		}
	}
	if b.profiles != "" {
		for _, p := range field {
			if err := b.profile(ctx, w, p); err != nil {
				return c, err
			}
		}
	}
	if w.proxies[0].Mesh != "" {
		b.say.step("%s: latency without a proxy", w.name)
		direct := w.target
		direct.Addr = b.behind(field[0].spec)
		res, err := load.Open(ctx, direct, w.rateConns, w.rate, b.latency)
		if err != nil {
			return c, fmt.Errorf("without a proxy: %w", err)
		}
		c.DirectP50, c.DirectP99 = res.Latency.Quantile(0.5), res.Latency.Quantile(0.99)
	}
	for _, p := range field {
		if w.rate > 0 {
			b.say.step("%s: latency of %s", w.name, p.spec.Label)
			res, err := load.Open(ctx, p.target, w.rateConns, w.rate, b.latency)
			if err != nil {
				return c, fmt.Errorf("%s: %w", p.spec.Label, err)
			}
			p.result.P50, p.result.P99 = res.Latency.Quantile(0.5), res.Latency.Quantile(0.99)
			p.count(res)
		}
		if p.proc.AccessLog != "" {
			lines, err := b.logged(ctx, p.proc.AccessLog)
			if err != nil {
				return c, err
			}
			p.result.Logged = float64(lines) / float64(p.result.Requests)
		}
		if p.spec.Telemetry == peers.Exported && b.collector.Spans() == 0 {
			return c, fmt.Errorf("%s has sent no traces", p.spec.Label)
		}
		rss, err := proc.RSS(p.proc.PID())
		if err != nil {
			return c, err
		}
		p.result.RSS = rss
		p.result.RPS = stats.Of(p.rps)
		p.result.CPU = stats.Of(positive(p.result.CPURounds))
		c.Proxies = append(c.Proxies, p.result)
	}
	return c, ctx.Err()
}

// enter starts a proxy for a case and warms it up.
func (b *bench) enter(ctx context.Context, w workload, spec peers.Spec) (*contender, error) {
	spec.Traffic = w.target.Traffic
	spec.Backend = b.behind(spec)
	if w.target.Upload > 0 {
		spec.Backend = b.sink
	}
	spec.Judge = b.backend.Addr
	if spec.Telemetry == peers.Exported {
		spec.Collector = b.collector.Addr
	}
	if spec.AskGRPC {
		spec.Judge = b.backend.HTTP2
	}
	if w.tls {
		spec.TLS = b.cert
	}
	process, err := b.lab.Start(ctx, spec)
	if err != nil {
		return nil, err
	}
	p := &contender{spec: spec, proc: process, target: w.target, result: report.Proxy{Label: spec.Label}}
	p.target.Addr, p.target.Routes = process.Addr, spec.Routes
	if w.callers > 0 {
		p.target.Callers = w.callers
	}
	if w.tls {
		p.target.TLS = spec.Client()
	}
	res, err := load.Closed(ctx, p.target, w.conns, b.warm)
	if err != nil {
		process.Stop()
		return nil, fmt.Errorf("warm up %s: %w", spec.Label, err)
	}
	p.count(res)
	return p, nil
}

// behind is the address of the server behind a proxy.
func (b *bench) behind(spec peers.Spec) string {
	switch {
	case spec.Traffic == load.GRPCStream, spec.Traffic == load.WebSocket:
		return b.echo
	case spec.ToHTTP2():
		return b.backend.HTTP2
	}
	return b.backend.Addr
}

// logged counts the lines of an access log when it has had time to be written.
func (b *bench) logged(ctx context.Context, path string) (int, error) {
	if err := wait(ctx, 1500*time.Millisecond); err != nil {
		return 0, err
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := 0
	buf := make([]byte, 256<<10)
	for {
		n, err := f.Read(buf)
		lines += bytes.Count(buf[:n], []byte("\n"))
		if err == io.EOF {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
	}
}

// cpuRound loads one proxy as much as it takes and counts what each request cost it.
func (b *bench) cpuRound(ctx context.Context, w workload, p *contender) error {
	before, err := cpu(p.proc)
	if err != nil {
		return fmt.Errorf("%s: %w: %s", p.spec.Label, err, p.proc.Output())
	}
	res, err := load.Busy(ctx, p.target, w.conns, b.round, b.lab.Dir)
	if err != nil {
		return fmt.Errorf("%s: %w", p.spec.Label, err)
	}
	after, err := cpu(p.proc)
	if err != nil {
		return fmt.Errorf("%s: %w: %s", p.spec.Label, err, p.proc.Output())
	}
	p.count(res)
	cost := 0.0
	if res.Requests > 0 {
		cost = float64(after-before) / float64(res.Requests)
		p.rps = append(p.rps, float64(res.Requests)/res.Took.Seconds())
	}
	p.result.CPURounds = append(p.result.CPURounds, cost)
	return nil
}

// cpu is the time that a proxy, or both of a pair, have run.
func cpu(p *peers.Process) (sum time.Duration, err error) {
	for _, pid := range p.Measured() {
		d, err := proc.CPU(pid)
		if err != nil {
			return 0, err
		}
		sum += d
	}
	return sum, nil
}

func (p *contender) count(r load.Result) {
	p.result.Requests += r.Requests
	p.result.Errors += r.Errors
	if p.result.Error == "" && r.First != nil {
		p.result.Error = r.First.Error()
	}
}

// positive leaves rounds out in which nothing was answered.
func positive(values []float64) []float64 {
	var kept []float64
	for _, v := range values {
		if v > 0 {
			kept = append(kept, v)
		}
	}
	return kept
}
