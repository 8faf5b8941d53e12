package metric_test

import (
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/telemetry/metric"
)

func TestObserveLosesNothing(t *testing.T) {
	now := time.Unix(1000, 0)
	r := metric.New(metric.Options{Now: func() time.Time { return now }})
	const workers, each = 8, 5000 // past the point where copies per processor begin
	h := r.Route("HTTPRoute/default/a/rules/0")
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				h.Observe(200, time.Millisecond, 1, 2, 1<<3)
			}
		})
	}
	wg.Wait()
	s := r.Snapshot()
	if len(s.Routes) != 1 || s.Routes[0].Total != workers*each {
		t.Fatalf("counted %+v, want %d", s.Routes, workers*each)
	}
}

func TestObserveDoesNotAllocate(t *testing.T) {
	r := metric.New(metric.Options{})
	route, cluster, listener := r.Route("HTTPRoute/d/a/rules/1"), r.Cluster("Backend/d/a"), r.Listener("0.0.0.0:80")
	run := func() {
		route.Observe(503, 3*time.Millisecond, 10, 20, 1|1<<5)
		cluster.Observe(0, time.Hour, 0, 0, 0)
		cluster.PoolHit()
		cluster.Connected(time.Millisecond)
		listener.Accepted()
		listener.Observe(400, 0, 0, 0, 2)
		listener.ProtocolError("BareLF")
		listener.Closed()
	}
	for range 5000 { // past the promotion to copies per processor
		run()
	}
	if n := testing.AllocsPerRun(2000, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// cpuPerOp reports CPU time, which a busy machine disturbs less than wall time.
func cpuPerOp(b *testing.B, f func()) {
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	f()
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	cpu := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(cpu)/float64(b.N), "cpu-ns/op")
}

func BenchmarkObserve(b *testing.B) {
	r := metric.New(metric.Options{})
	h := r.Route("HTTPRoute/d/a/rules/0")
	b.ReportAllocs()
	cpuPerOp(b, func() {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				h.Observe(200, 800*time.Microsecond, 0, 1024, 0)
			}
		})
	})
}

func BenchmarkObserveNative(b *testing.B) {
	r := metric.New(metric.Options{Settings: metric.Settings{Native: true}})
	h := r.Route("HTTPRoute/d/a/rules/0")
	b.ReportAllocs()
	cpuPerOp(b, func() {
		for b.Loop() {
			h.Observe(200, 800*time.Microsecond, 0, 1024, 0)
		}
	})
}

func BenchmarkEvent(b *testing.B) {
	r := metric.New(metric.Options{})
	h := r.Cluster("Backend/d/a")
	b.ReportAllocs()
	cpuPerOp(b, func() {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				h.PoolHit()
			}
		})
	})
}
