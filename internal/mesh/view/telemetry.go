package view

import "github.com/gridway/gridway/internal/ir"

// systemNamespace is that whose policies without targets are for all.
const systemNamespace = "gridway-system"

// addTelemetry puts in the sinks that rules, streams and sections name.
func (c *content) addTelemetry(b *bag, t *ir.Telemetry) {
	if t == nil {
		return
	}
	if t.Tracing != nil {
		c.addSinks(b, t.Tracing.Sinks)
	}
	if t.AccessLog != nil {
		c.addSinks(b, t.AccessLog.Sinks)
	}
}

func (c *content) addSinks(b *bag, names []string) {
	for _, name := range names {
		take(b, &b.TelemetrySinks, c.telemetrySinks[name])
	}
}

// addMetricSinks puts in those that the metrics of proxies of a namespace go to.
func (c *content) addMetricSinks(b *bag, namespace string) {
	for _, s := range c.metricSinks() {
		if s.Ref.Namespace == namespace {
			take(b, &b.TelemetrySinks, s)
		}
	}
}

// metricSinks are those that metrics go to, in the order of their names.
func (c *content) metricSinks() []*ir.TelemetrySink {
	var out []*ir.TelemetrySink
	for _, s := range c.config.TelemetrySinks {
		if s.Metrics {
			out = append(out, s)
		}
	}
	return out
}

// metricSinks gives a proxy those of its own namespace, of its workloads', and of all.
func (w *proxyScope) metricSinks() {
	w.content.addMetricSinks(w.out, systemNamespace)
	w.content.addMetricSinks(w.out, w.namespace)
	for i := range w.proxy.Workloads {
		w.content.addMetricSinks(w.out, w.proxy.Workloads[i].Namespace)
	}
}
