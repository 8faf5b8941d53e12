package proxy

import (
	"context"
	"os"
	"strconv"
	"time"

	"github.com/gridway/gridway/internal/telemetry/export"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/telemetry/otlp"
	"github.com/gridway/gridway/internal/telemetry/push"
)

// flushTimeout bounds how long sinks are sent what waits when the process ends.
const flushTimeout = 5 * time.Second

// Exporter has the TelemetrySinks of the configuration that speak OTLP, by name.
func (p *Proxy) Exporter() *export.Exporter { return p.exporter }

// newPusher sends the metrics of the process to the sinks that take them.
func newPusher(o *Options, x *export.Exporter) *push.Pusher {
	host, _ := os.Hostname() // a process without a name is told apart by its number
	return push.New(push.Options{
		Gatherer: o.Metrics, Exporter: x, Log: o.Log,
		Resource: otlp.NewResource(o.Metrics.Build().Version,
			otlp.Attribute{Key: "service.name", Value: "gridway"}, otlp.Attribute{Key: "service.version", Value: o.Metrics.Build().Version},
			otlp.Attribute{Key: "service.instance.id", Value: host + "/" + strconv.Itoa(os.Getpid())}, otlp.Attribute{Key: "host.name", Value: host}),
	})
}

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
	for _, s := range p.pusher.States() {
		yield(metric.Sink{Name: s.Name, Signal: export.Metrics.String(), Sent: s.Sent, Failed: s.Failed, Dropped: s.Dropped})
	}
}
