package proxy

import (
	"context"
	"time"

	"github.com/gridway/gridway/internal/telemetry/export"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/telemetry/outlet"
	"github.com/gridway/gridway/internal/telemetry/push"
)

// flushTimeout bounds how long sinks are sent what waits when the process ends.
const flushTimeout = 5 * time.Second

// Exporter has the TelemetrySinks of the configuration that speak OTLP, by name.
func (p *Proxy) Exporter() *export.Exporter { return p.exporter }

// newPusher sends the metrics of the process to the sinks that take them.
func newPusher(o *Options, x *export.Exporter) *push.Pusher {
	return push.New(push.Options{Gatherer: o.Metrics, Exporter: x, Resource: o.Resource, Log: o.Log})
}

// openOutlets makes what access logs go through.
func (p *Proxy) openOutlets() {
	p.outlets = outlet.New(outlet.Options{
		Main: p.opts.AccessLog, Omit: p.opts.AccessLogOmit, Exporter: p.exporter, Resource: p.opts.Resource, Stdout: p.opts.Stdout, Log: p.opts.Log,
	})
	p.pipeline.Outlets, p.streams.Outlets = p.outlets, p.outlets
	p.opts.Metrics.SetSinks(func(yield func(metric.Sink)) {
		for _, s := range p.Sinks() {
			for _, n := range s.Signals {
				yield(n)
			}
		}
	})
	p.opts.Metrics.SetLoops(p.loopStats)
	if r := p.opts.Records; r != nil {
		p.opts.Metrics.SetRecords(func() metric.Records { return metric.Records(r.Stats()) })
	}
}

// loopStats are those of the event loops for metrics.
func (p *Proxy) loopStats() []metric.Loop {
	if p.loopsErr != nil {
		return nil
	}
	stats := p.loops.Stats()
	out := make([]metric.Loop, len(stats))
	for i, s := range stats {
		out[i] = metric.Loop(s)
	}
	return out
}

// ReopenLogs opens the files of TelemetrySinks anew, after they were renamed.
func (p *Proxy) ReopenLogs(ctx context.Context) error { return p.outlets.Reopen(ctx) }

// closeOutlets writes and sends what waits, and ends.
func (p *Proxy) closeOutlets() {
	p.outlets.Close()
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	p.exporter.Close(ctx)
}
