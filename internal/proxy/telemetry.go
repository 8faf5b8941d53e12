package proxy

import (
	"context"
	"time"

	"github.com/gridway/gridway/internal/telemetry/accesslog"
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
	p.opts.Metrics.SetSinks(p.sinkStates)
	if r := p.opts.Records; r != nil {
		p.opts.Metrics.SetRecords(func() metric.Records { return metric.Records(r.Stats()) })
	}
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

// sinkStates are those of the sinks for metrics.
func (p *Proxy) sinkStates(yield func(metric.Sink)) {
	for _, s := range p.exporter.States() {
		for _, n := range s.Signals {
			yield(metric.Sink{
				Name: s.Name, Signal: n.Signal.String(), Sent: n.Sent, Rejected: n.Rejected, Failed: n.Failed, Dropped: n.Dropped,
				Retries: n.Retries, Items: n.Items, Bytes: n.Bytes,
			})
		}
	}
	for _, s := range p.pusher.States() {
		yield(metric.Sink{Name: s.Name, Signal: export.Metrics.String(), Sent: s.Sent, Failed: s.Failed, Dropped: s.Dropped})
	}
	p.outlets.Stats(func(name string, st accesslog.Stats) {
		yield(metric.Sink{Name: name, Signal: export.Logs.String(), Sent: st.Written, Failed: st.Errors, Dropped: st.Dropped})
	})
}
