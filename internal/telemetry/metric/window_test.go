package metric_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridway/gridway/internal/telemetry/metric"
)

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func TestSnapshotShowsTheLastSecondsOnly(t *testing.T) {
	c := newClock()
	r := metric.New(metric.Options{Now: c.Now})
	h := r.Route("HTTPRoute/default/shop/rules/1")
	r.Route("HTTPRoute/default/idle/rules/0")
	for range 1000 { // long ago, and all errors
		h.Observe(500, time.Second, 0, 0, 0)
	}
	for range 3 {
		c.advance(metric.SampleEvery)
		r.Sample()
	}
	for range 90 {
		h.Observe(200, time.Millisecond, 100, 1000, 0)
	}
	for range 10 {
		h.Observe(502, 40*time.Millisecond, 0, 0, 0)
	}
	c.advance(2500 * time.Millisecond)
	s := r.Snapshot()
	if len(s.Routes) != 1 {
		t.Fatalf("rows %+v", s.Routes)
	}
	got := s.Routes[0]
	if got.Route != "HTTPRoute/default/shop" || got.Rule != "1" || got.Total != 1100 {
		t.Errorf("row %+v", got)
	}
	if got.Window != metric.SampleEvery+2500*time.Millisecond || !near(got.Requests, 100/7.5) || !near(got.Errors, 0.1) {
		t.Errorf("window %v, %v requests/s, %v errors", got.Window, got.Requests, got.Errors)
	}
	if !near(got.Classes[2], 90/7.5) || !near(got.Classes[5], 10/7.5) || !near(got.RequestBytes, 9000/7.5) || !near(got.ResponseBytes, 90000/7.5) {
		t.Errorf("rates %+v", got)
	}
	if got.P50 < 800*time.Microsecond || got.P50 > time.Millisecond*5/4 || got.P99 < 30*time.Millisecond || got.P99 > 50*time.Millisecond {
		t.Errorf("p50 %v, p99 %v", got.P50, got.P99)
	}
	for range 3 {
		c.advance(metric.SampleEvery)
		r.Sample()
	}
	if s := r.Snapshot(); s.Routes[0].Requests != 0 || s.Routes[0].P99 != 0 || s.Routes[0].Total != 1100 {
		t.Errorf("an idle rule shows %+v", s.Routes[0])
	}
}

func TestClusterErrorsIncludeNoAnswer(t *testing.T) {
	c := newClock()
	r := metric.New(metric.Options{Now: c.Now})
	route, cluster := r.Route("HTTPRoute/d/a/rules/0"), r.Cluster("Backend/d/a")
	for _, status := range []int{0, 200} {
		route.Observe(status, time.Millisecond, 0, 0, 0)
		cluster.Observe(status, time.Millisecond, 0, 0, 0)
	}
	c.advance(time.Second)
	s := r.Snapshot()
	if s.Routes[0].Errors != 0 || s.Clusters[0].Errors != 0.5 {
		t.Errorf("route %v, cluster %v", s.Routes[0].Errors, s.Clusters[0].Errors)
	}
}

func TestRunSamplesUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := metric.New(metric.Options{})
		h := r.Route("HTTPRoute/d/a/rules/0")
		h.Observe(200, time.Millisecond, 0, 0, 0)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { r.Run(ctx); close(done) }()
		<-time.After(3*metric.SampleEvery + time.Second)
		if s := r.Snapshot(); s.Routes[0].Requests != 0 || s.Routes[0].Window != metric.SampleEvery+time.Second {
			t.Errorf("row %+v", s.Routes[0])
		}
		cancel()
		<-done
	})
}
