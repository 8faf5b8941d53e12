package metric_test

import (
	"bytes"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/gridway/gridway/internal/telemetry/metric"
)

const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"

// ask scrapes with an Accept header.
func ask(t *testing.T, r *metric.Registry, accept string) (contentType string, body []byte) {
	t.Helper()
	w := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	req.Header.Set("Accept", accept)
	r.Handler().ServeHTTP(w, req)
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Header().Get("Content-Type"), w.Body.Bytes()
}

const protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"

// inProtobuf are the families of a scrape in the format of native histograms.
func inProtobuf(t *testing.T, r *metric.Registry) map[string]*dto.MetricFamily {
	t.Helper()
	contentType, body := ask(t, r, protobuf)
	if !strings.HasPrefix(contentType, "application/vnd.google.protobuf") {
		t.Fatalf("content type %q", contentType)
	}
	d := expfmt.NewDecoder(bytes.NewReader(body), expfmt.NewFormat(expfmt.TypeProtoDelim))
	out := map[string]*dto.MetricFamily{}
	for {
		f := new(dto.MetricFamily)
		if err := d.Decode(f); err != nil {
			return out
		}
		out[f.GetName()] = f
	}
}

func TestExemplarsAreInOpenMetrics(t *testing.T) {
	c := newClock()
	r := metric.New(metric.Options{Now: c.Now})
	h, cl := r.Route("HTTPRoute/d/a/rules/0"), r.Cluster("Backend/d/a")
	for _, d := range []time.Duration{150 * time.Microsecond, 3 * time.Second, 100 * time.Second} {
		h.Observe(200, d, 0, 0, 0)
		h.Traced(d, []byte(strings.Repeat("0", 31)+"1"), c.now)
		h.Traced(d, []byte(traceID), c.now) // the last one counts
		h.Traced(d, []byte("too short"), c.now)
		cl.Observe(200, d, 0, 0, 0)
		cl.Traced(d, []byte(traceID), c.now)
	}
	contentType, body := ask(t, r, "application/openmetrics-text;version=1.0.0")
	if !strings.HasPrefix(contentType, "application/openmetrics-text; version=1.0.0") {
		t.Errorf("content type %q", contentType)
	}
	for _, want := range []string{
		`gridway_route_request_duration_seconds_bucket{route="HTTPRoute/d/a",rule="0",le="0.0002"} 1 # {trace_id="` + traceID + `"} 0.00015 1.7e+09`,
		`gridway_route_request_duration_seconds_bucket{route="HTTPRoute/d/a",rule="0",le="3.2768"} 2 # {trace_id="` + traceID + `"} 3.0 1.7e+09`,
		`gridway_route_request_duration_seconds_bucket{route="HTTPRoute/d/a",rule="0",le="+Inf"} 3 # {trace_id="` + traceID + `"} 100.0 1.7e+09`,
		`gridway_cluster_try_duration_seconds_bucket{cluster="Backend/d/a",le="0.0002"} 1 # {trace_id="` + traceID + `"} 0.00015 1.7e+09`,
	} {
		if !strings.Contains(string(body), want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
	if !strings.HasSuffix(string(body), "# EOF\n") {
		t.Error("no end")
	}
	// The older format has no place for them.
	if _, body := ask(t, r, "text/plain;version=0.0.4"); strings.Contains(string(body), "trace_id") {
		t.Error("exemplars in the older format")
	}
}

// Native histograms are there beside the classic buckets, in the format that has them.
func TestNativeHistograms(t *testing.T) {
	c := newClock()
	r := metric.New(metric.Options{Now: c.Now, Settings: metric.Settings{Native: true}})
	h := r.Route("HTTPRoute/d/a/rules/0")
	took := []time.Duration{0, 10 * time.Microsecond, time.Millisecond, 1100 * time.Microsecond, 1100 * time.Microsecond, time.Second, 500 * time.Millisecond, time.Hour}
	for _, d := range took {
		h.Observe(200, d, 0, 0, 0)
	}
	h.Traced(time.Second, []byte(traceID), c.now)
	m := inProtobuf(t, r)["gridway_route_request_duration_seconds"].GetMetric()[0].GetHistogram()
	if m.GetSchema() != 3 || m.GetSampleCount() != uint64(len(took)) || len(m.GetBucket()) != 20 || m.GetZeroThreshold() != math.Exp2(-16) {
		t.Errorf("%v", m)
	}
	if m.GetCreatedTimestamp().AsTime().Unix() != c.now.Unix() {
		t.Errorf("created at %v", m.GetCreatedTimestamp())
	}
	if len(m.GetExemplars()) != 1 || m.GetExemplars()[0].GetValue() != 1 {
		t.Errorf("exemplars %v", m.GetExemplars())
	}
	// Each event is in the bucket that covers it: (2^((i-1)/8), 2^(i/8)].
	got := map[int]int64{}
	index, at, n := 0, 0, int64(0)
	for _, s := range m.GetPositiveSpan() {
		index += int(s.GetOffset())
		for range s.GetLength() {
			n += m.GetPositiveDelta()[at]
			got[index] += n
			index, at = index+1, at+1
		}
	}
	if at != len(m.GetPositiveDelta()) {
		t.Errorf("%d deltas for %d buckets", len(m.GetPositiveDelta()), at)
	}
	want := map[int]int64{}
	zero := uint64(0)
	for _, d := range took {
		if d.Seconds() <= math.Exp2(-16) {
			zero++
			continue
		}
		want[min(int(math.Ceil(math.Log2(d.Seconds())*8)), 7*8)]++
	}
	if zero != m.GetZeroCount() || len(want) != len(got) {
		t.Errorf("%v (%d), not %v (%d)", got, m.GetZeroCount(), want, zero)
	}
	for i, n := range want {
		if got[i] != n {
			t.Errorf("bucket %d has %d, not %d", i, got[i], n)
		}
	}
	// Who does not know of them gets what there was.
	if text := scrape(t, r); !strings.Contains(text, `gridway_route_request_duration_seconds_bucket{route="HTTPRoute/d/a",rule="0",le="0.0008"} 2`) {
		t.Error("no classic buckets")
	}
}

// Whatever takes how long, the number of buckets stays within the bound.
func TestNativeBucketsAreBounded(t *testing.T) {
	r := metric.New(metric.Options{Settings: metric.Settings{Native: true}})
	h := r.Cluster("c")
	for d := time.Duration(1); d > 0 && d < 1<<60; d += d/40 + 1 {
		h.Connected(d)
	}
	m := inProtobuf(t, r)["gridway_cluster_connect_duration_seconds"].GetMetric()[0].GetHistogram()
	if n := len(m.GetPositiveDelta()); n != 184 || len(m.GetPositiveSpan()) != 1 {
		t.Errorf("%d buckets in %d spans", n, len(m.GetPositiveSpan()))
	}
}

func TestNativeObserveDoesNotAllocate(t *testing.T) {
	r := metric.New(metric.Options{Settings: metric.Settings{Native: true}})
	h := r.Route("HTTPRoute/d/a/rules/1")
	run := func() {
		h.Observe(200, 3*time.Millisecond, 10, 20, 0)
		h.Traced(3*time.Millisecond, []byte(traceID), time.Time{})
	}
	for range 5000 {
		run()
	}
	if n := testing.AllocsPerRun(2000, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
