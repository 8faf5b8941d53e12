package metric_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/telemetry/metric"
)

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Rules without traffic must cost next to nothing: configurations have 100,000.
func TestIdleRulesAreSmall(t *testing.T) {
	r := metric.New(metric.Options{})
	const n = 20_000
	before := heap()
	for i := range n {
		r.Route(fmt.Sprintf("HTTPRoute/default/route-%d/rules/0", i))
	}
	each := (heap() - before) / n
	t.Logf("%d bytes per idle rule", each)
	runtime.KeepAlive(r)
	if each > 512 {
		t.Errorf("%d bytes per idle rule", each)
	}
}

func BenchmarkScrape10000Rules(b *testing.B) {
	r := metric.New(metric.Options{})
	before := heap()
	for i := range 10_000 {
		h := r.Route(fmt.Sprintf("HTTPRoute/default/route-%d/rules/0", i))
		h.Observe(200, time.Millisecond, 0, 1, 0)
	}
	b.ReportMetric(float64(heap()-before)/10_000, "bytes/rule")
	h := r.Handler()
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil))
	}
}

func BenchmarkSample10000Rules(b *testing.B) {
	r := metric.New(metric.Options{})
	for i := range 10_000 {
		r.Route(fmt.Sprintf("HTTPRoute/default/route-%d/rules/0", i)).Observe(200, time.Millisecond, 0, 1, 0)
	}
	for b.Loop() {
		r.Sample()
	}
}
