package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/telemetry/otlp/otlptest"
)

// What is counted reaches an agent of Datadog and a receiver of OTLP, without a scrape.
func TestMetricsGoToSinks(t *testing.T) {
	t.Parallel()
	agent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close()
	collector := otlptest.GRPC(t, "", nil)
	app := serve(t, forwarded)
	sinks := fmt.Sprintf(`apiVersion: gridway.dev/v1alpha1
kind: TelemetrySink
metadata: {name: agent}
spec:
  dogStatsD: {address: %q, prefix: acme, tags: ["env:test"], interval: 1s}
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetrySink
metadata: {name: collector}
spec:
  otlp: {address: %q, protocol: GRPC, signals: [Metrics], metricsInterval: 1s}
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetryPolicy
metadata: {name: metrics}
spec:
  metrics: {sinkRefs: [{name: agent}, {name: collector}]}
`, agent.LocalAddr(), "http://"+collector.Address)
	with := documents(plainOn(80), routeDoc("app", ""), backendDoc("app", app.addr), sinks)
	g := serveYAML(t, with)
	for range 5 {
		if resp, _ := g.get("/"); resp.StatusCode != 200 {
			t.Fatal(resp.Status)
		}
	}
	_ = agent.SetReadDeadline(time.Now().Add(4 * patience))
	buf := make([]byte, 1<<16)
	for found := false; !found; {
		n, _, err := agent.ReadFrom(buf)
		if err != nil {
			t.Fatalf("the agent: %v", err)
		}
		for line := range strings.SplitSeq(string(buf[:n]), "\n") {
			found = found || strings.HasPrefix(line, "acme.gridway.route_requests:") && strings.Contains(line, "|c|#env:test,code:200,") && strings.Contains(line, "route:HTTPRoute/default/app")
		}
	}
	collector.Wait(t, "requests at the collector", func() bool {
		for _, r := range collector.Metrics(t) {
			for _, s := range r.ScopeMetrics {
				for _, m := range s.Metrics {
					if points := m.GetSum().GetDataPoints(); m.Name == "gridway_route_requests_total" && len(points) > 0 && points[0].GetAsDouble() == 5 {
						return true
					}
				}
			}
		}
		return false
	})
	if n := g.metric("gridway_telemetry_sink_records_total", `sink="default/agent"`, `result="sent"`); n == 0 {
		t.Error("no metric says what the agent was sent")
	}
	// Who looks after it sees how full queues are, when something was taken last, and why
	// something was not.
	for _, m := range [][]string{
		{"gridway_telemetry_sink_queue_limit_records", `sink="default/collector"`, `signal="metrics"`},
		{"gridway_telemetry_sink_queue_limit_bytes", `sink="default/collector"`, `signal="metrics"`},
		{"gridway_telemetry_sink_last_success_timestamp_seconds", `sink="default/collector"`, `signal="metrics"`},
		{"gridway_telemetry_sink_last_success_timestamp_seconds", `sink="default/agent"`, `signal="metrics"`},
		{"gridway_loop_sockets"},
	} {
		if g.metric(m[0], m[1:]...) == 0 {
			t.Errorf("no metric %s", m)
		}
	}
	// Sinks that go, and come back with other settings, hold up nothing.
	g.apply(documents(plainOn(80), routeDoc("app", ""), backendDoc("app", app.addr)))
	g.apply(strings.ReplaceAll(with, "interval: 1s", "interval: 2s"))
	if resp, _ := g.get("/"); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
}
