package proxy

import (
	"context"
	"time"

	"github.com/gridway/gridway/internal/telemetry/export"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// flushTimeout bounds how long sinks are sent what waits when the process ends.
const flushTimeout = 5 * time.Second

// Exporter has the TelemetrySinks of the configuration that speak OTLP, by name.
func (p *Proxy) Exporter() *export.Exporter { return p.exporter }

// closeExporter sends what waits, and ends.
func (p *Proxy) closeExporter() {
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
}
