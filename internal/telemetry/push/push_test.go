package push_test

import (
	"context"
	"errors"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/telemetry/export"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/telemetry/otlp"
	"github.com/gridway/gridway/internal/telemetry/otlp/otlptest"
	"github.com/gridway/gridway/internal/telemetry/push"
)

const (
	patience = 30 * time.Second
	traceID  = "4bf92f3577b34da6a3ce929d0e0e4736"
)

// own are the families of Gridway's own.
type own struct{ r *metric.Registry }

func (g own) Gather() ([]*dto.MetricFamily, error) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(g.r.Collector())
	return reg.Gather()
}

// bench is a Pusher whose ticks are the test's.
type bench struct {
	*push.Pusher
	registry *metric.Registry
	ticks    chan time.Time
}

func start(t *testing.T, settings metric.Settings, x *export.Exporter, sink *ir.TelemetrySink) *bench {
	b := &bench{registry: metric.New(metric.Options{Settings: settings}), ticks: make(chan time.Time)}
	b.Pusher = push.New(push.Options{
		Gatherer: own{b.registry}, Exporter: x, Resource: otlp.NewResource("v1", otlp.Attribute{Key: "service.name", Value: "gridway"}),
		Ticks: func(time.Duration) (<-chan time.Time, func()) { return b.ticks, func() {} },
	})
	sink.Metrics = true
	b.Apply([]*ir.TelemetrySink{sink, {Name: "default/logs", StandardOutput: true}})
	t.Cleanup(b.Close)
	return b
}

// line is a line of DogStatsD.
type line struct {
	name, kind string
	value      float64
	rate       float64
	tags       []string
}

func parse(t *testing.T, text string) line {
	t.Helper()
	parts := strings.Split(text, "|")
	name, value, ok := strings.Cut(parts[0], ":")
	if !ok || len(parts) < 2 {
		t.Fatalf("no line of DogStatsD: %q", text)
	}
	out := line{name: name, kind: parts[1], rate: 1}
	var err error
	if out.value, err = strconv.ParseFloat(value, 64); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	for _, p := range parts[2:] {
		switch p[0] {
		case '@':
			if out.rate, err = strconv.ParseFloat(p[1:], 64); err != nil || out.rate <= 0 || out.rate > 1 {
				t.Fatalf("%q: %v", text, err)
			}
		case '#':
			out.tags = strings.Split(p[1:], ",")
		default:
			t.Fatalf("%q has %q", text, p)
		}
	}
	return out
}

// agent listens as Datadog's does.
func agent(t *testing.T, network, address string) net.PacketConn {
	c, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// until reads datagrams until one has the line that is looked for, and returns all.
func until(t *testing.T, c net.PacketConn, limit int, last string) (all []line) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 64<<10)
	for {
		n, _, err := c.ReadFrom(buf)
		if err != nil {
			t.Fatalf("%v after %d lines", err, len(all))
		}
		if n > limit {
			t.Errorf("a datagram of %d bytes", n)
		}
		found := false
		for text := range strings.SplitSeq(string(buf[:n]), "\n") {
			l := parse(t, text)
			all = append(all, l)
			found = found || l.name == last
		}
		if found {
			return all
		}
	}
}

func find(all []line, name string, tags ...string) (out []line) {
	for _, l := range all {
		if l.name == name && !slices.ContainsFunc(tags, func(tag string) bool { return !slices.Contains(l.tags, tag) }) {
			out = append(out, l)
		}
	}
	return out
}

// lastName is that of the last line of each push.
const lastName = "acme.gridway.ready"

func TestDogStatsD(t *testing.T) {
	for _, way := range []struct {
		network string
		limit   int
		native  bool
	}{{"udp", 1432, false}, {"unixgram", 8192, true}} {
		t.Run(way.network, func(t *testing.T) {
			at := "127.0.0.1:0"
			if way.network == "unixgram" {
				at = filepath.Join(t.TempDir(), "dsd.socket")
			}
			c := agent(t, way.network, at)
			address := c.LocalAddr().String()
			if way.network == "unixgram" {
				address = "unix:" + at
			}
			b := start(t, metric.Settings{Native: way.native}, nil, &ir.TelemetrySink{
				Name: "default/agent", DogStatsD: &ir.DogStatsDSink{Address: address, Prefix: "acme", Tags: []string{"env:test"}, Interval: time.Second},
			})
			h := b.registry.Route("HTTPRoute/d/a,b|c#d/rules/0")
			b.ticks <- time.Now() // the sink has seen what there was
			until(t, c, way.limit, lastName)
			observe := func(n int) {
				for range n {
					h.Observe(200, 3*time.Millisecond, 10, 0, 0)
				}
			}
			tags := []string{"env:test", "route:HTTPRoute/d/a_b_c_d", "rule:0", "code:200", "code_class:2xx"}
			for _, n := range []int{7, 0, 5} {
				observe(n)
				b.ticks <- time.Now()
				all := until(t, c, way.limit, lastName)
				got := find(all, "acme.gridway.route_requests", tags...)
				if n == 0 && len(got) != 0 || n > 0 && (len(got) != 1 || got[0].value != float64(n) || got[0].kind != "c") {
					t.Errorf("%d requests: %+v", n, got)
				}
				took := find(all, "acme.gridway.route_request_duration_seconds", tags[:3]...)
				if n > 0 && (len(took) != 1 || took[0].kind != "d" || math.Round(1/took[0].rate) != float64(n) || math.Abs(took[0].value-0.003) > 0.0006) {
					t.Errorf("times: %+v", took)
				}
				if got := find(all, lastName, "env:test"); len(got) != 1 || got[0].kind != "g" {
					t.Errorf("gauge: %+v", got)
				}
			}
			if s := b.States(); len(s) != 1 || s[0].Sent == 0 || s[0].Dropped+s[0].Failed > 0 || s[0].Name != "default/agent" {
				t.Errorf("%+v", s)
			}
		})
	}
}

// What a receiver does not take is lost and counted, and holds up nobody for long.
func TestDogStatsDWithoutReceiver(t *testing.T) {
	dir := t.TempDir()
	at := filepath.Join(dir, "dsd.socket")
	b := start(t, metric.Settings{}, nil, &ir.TelemetrySink{Name: "default/agent", DogStatsD: &ir.DogStatsDSink{Address: "unix:" + at, Interval: time.Second}})
	push := func() { // the second tick is taken when the first push is over
		b.ticks <- time.Now()
		b.ticks <- time.Now()
	}
	push()
	s := b.States()[0]
	failed := s.Failed
	if failed == 0 {
		t.Error("nothing failed")
	}
	if !s.Asked || s.Up || s.Since.IsZero() || s.Address != "unix:"+at || !strings.Contains(s.Problem, "dsd.socket") {
		t.Errorf("the sink that is not there is %+v", s)
	}
	// One that listens and does not read.
	deaf := agent(t, "unixgram", at)
	for i := range 3000 {
		b.registry.Route("HTTPRoute/d/r"+strconv.Itoa(i)+"/rules/0").Observe(200, time.Millisecond, 1, 1, 0)
	}
	begun := time.Now()
	push()
	if took := time.Since(begun); took > patience {
		t.Errorf("pushes took %v", took)
	}
	if s := b.States()[0]; s.Dropped == 0 {
		t.Errorf("%+v", s)
	}
	// And one that comes back.
	_ = deaf.Close()
	if err := os.Remove(at); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	c := agent(t, "unixgram", at)
	got := make(chan struct{})
	go func() {
		defer close(got)
		buf := make([]byte, 1<<16)
		_, _, _ = c.ReadFrom(buf)
	}()
	push()
	select {
	case <-got:
	case <-time.After(patience):
		t.Error("the new receiver gets nothing")
	}
}

func TestLinesThatAreTooLong(t *testing.T) {
	c := agent(t, "udp", "127.0.0.1:0")
	b := start(t, metric.Settings{}, nil, &ir.TelemetrySink{Name: "default/agent", DogStatsD: &ir.DogStatsDSink{Address: c.LocalAddr().String(), Prefix: "acme", Interval: time.Second}})
	b.registry.Route("HTTPRoute/d/"+strings.Repeat("long", 500)+"/rules/0").Observe(200, 0, 0, 0, 0)
	b.ticks <- time.Now()
	until(t, c, 1432, lastName)
	b.ticks <- time.Now()
	until(t, c, 1432, lastName)
	if s := b.States()[0]; s.Dropped == 0 {
		t.Errorf("%+v", s)
	}
}

func TestOTLP(t *testing.T) {
	for _, native := range []bool{false, true} {
		receiver := otlptest.GRPC(t, "", nil)
		cfg := &ir.TelemetrySink{
			Name: "default/collector", QueueItems: 1000, QueueBytes: 1 << 20,
			OTLP: &ir.OTLPSink{Address: receiver.Address, Timeout: patience, BatchDelay: time.Millisecond, MetricsInterval: time.Second},
		}
		x := export.New(export.Options{})
		if err := x.Apply([]*ir.TelemetrySink{cfg}); err != nil {
			t.Fatal(err)
		}
		b := start(t, metric.Settings{Native: native}, x, cfg)
		h := b.registry.Route("HTTPRoute/d/a/rules/0")
		for range 3 {
			h.Observe(200, 3*time.Millisecond, 10, 20, 0)
		}
		h.Observe(200, 200*time.Second, 10, 20, 0)
		h.Traced(3*time.Millisecond, []byte(traceID), time.Now())
		b.Close() // sends once more
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		x.Close(ctx)
		cancel()
		got := map[string]*metricspb.Metric{}
		for _, r := range receiver.Metrics(t) {
			if a := r.Resource.Attributes; len(a) != 1 || a[0].Key != "service.name" {
				t.Errorf("resource %v", a)
			}
			for _, s := range r.ScopeMetrics {
				for _, m := range s.Metrics {
					got[m.Name] = m
				}
			}
		}
		sum := got["gridway_route_requests_total"].GetSum()
		if sum == nil || !sum.IsMonotonic || sum.AggregationTemporality != metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE ||
			len(sum.DataPoints) != 1 || sum.DataPoints[0].GetAsDouble() != 4 || sum.DataPoints[0].StartTimeUnixNano == 0 || sum.DataPoints[0].TimeUnixNano < sum.DataPoints[0].StartTimeUnixNano {
			t.Fatalf("%v", got["gridway_route_requests_total"])
		}
		labels := map[string]string{}
		for _, a := range sum.DataPoints[0].Attributes {
			labels[a.Key] = a.Value.GetStringValue()
		}
		if labels["route"] != "HTTPRoute/d/a" || labels["code"] != "200" {
			t.Errorf("%v", labels)
		}
		if g := got["gridway_ready"].GetGauge(); g == nil || len(g.DataPoints) != 1 {
			t.Errorf("%v", got["gridway_ready"])
		}
		m := got["gridway_route_request_duration_seconds"]
		if m.GetUnit() != "s" || m.GetDescription() == "" {
			t.Errorf("%v", m)
		}
		if !native {
			p := m.GetHistogram().GetDataPoints()[0]
			n := uint64(0)
			for _, c := range p.BucketCounts {
				n += c
			}
			if p.Count != 4 || n != 4 || len(p.BucketCounts) != len(p.ExplicitBounds)+1 || p.BucketCounts[len(p.BucketCounts)-1] != 1 || math.Abs(p.GetSum()-200.009) > 1e-6 {
				t.Errorf("%v", p)
			}
			if len(p.Exemplars) != 1 || len(p.Exemplars[0].TraceId) != 16 {
				t.Errorf("exemplars %v", p.Exemplars)
			}
			continue
		}
		p := m.GetExponentialHistogram().GetDataPoints()[0]
		if p.Count != 4 || p.Scale != 3 || p.ZeroThreshold != math.Exp2(-16) || len(p.Exemplars) != 1 {
			t.Errorf("%v", p)
		}
		for i, n := range p.Positive.BucketCounts {
			low := math.Exp2(float64(int(p.Positive.Offset)+i) / 8)
			high := math.Exp2(float64(int(p.Positive.Offset)+i+1) / 8)
			if n == 3 && (low >= 0.003 || high < 0.003) {
				t.Errorf("3 ms in (%v, %v]", low, high)
			}
		}
	}
}
