package metric_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/wire/grpc"
)

// line is what a scrape says of a series.
func line(t *testing.T, text, series string) string {
	t.Helper()
	for l := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(l, series+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// What has no series of its own is not lost: it counts in the overflow.
func TestBeyondTheLimitIsFolded(t *testing.T) {
	r := metric.New(metric.Options{Reasons: []string{"One"}, Decisions: []string{"allowed"}, Faults: []string{"expired"}, Settings: metric.Settings{Limit: 10}})
	for i := range 10_000 {
		r.Route(fmt.Sprintf("HTTPRoute/default/r%d/rules/0", i)) // without traffic they take no place
	}
	for i := range 25 {
		name := fmt.Sprint(i)
		route := r.Route("HTTPRoute/default/r" + name + "/rules/0")
		route.StreamOpened()
		route.Observe(200, time.Millisecond, 1, 2, 1)
		route.WebSocket().Opened()
		s := r.Stream("TCPRoute/default/s" + name + "/rules/0")
		s.Opened()
		s.Opened()
		s.Ended(time.Second, 3, 4, 0, false)
		c := r.Cluster("Backend/default/c" + name)
		c.Observe(503, time.Millisecond, 0, 0, 0)
		c.Retry()
		c.Connected(time.Millisecond)
		l := r.Listener("10.0.0.1:" + name)
		l.Accepted()
		l.ProtocolError("BareLF")
		p := r.Policy("AuthenticationPolicy/default/p" + name)
		p.Decided(0)
		p.Method("jwt").Faulted(0)
		r.RateLimit("default/p"+name, "x").Limited()
		r.RateLimitStore("default/s"+name).Call(time.Millisecond, nil)
	}
	text := scrape(t, r)
	for series, want := range map[string]string{
		`gridway_route_requests_total{code="200",code_class="2xx",route="overflow",rule="overflow"}`:       "15",
		`gridway_route_request_bytes_total{route="overflow",rule="overflow"}`:                              "15",
		`gridway_route_reasons_total{reason="One",route="overflow",rule="overflow"}`:                       "15",
		`gridway_route_request_duration_seconds_count{route="overflow",rule="overflow"}`:                   "15",
		`gridway_route_streams{route="overflow",rule="overflow"}`:                                          "15",
		`gridway_route_websocket_connections{route="overflow",rule="overflow"}`:                            "15",
		`gridway_stream_connections{route="overflow",rule="overflow"}`:                                     "15",
		`gridway_stream_connections_total{route="overflow",rule="overflow"}`:                               "15",
		`gridway_cluster_tries_total{cluster="overflow",code="503",code_class="5xx"}`:                      "15",
		`gridway_cluster_retries_total{cluster="overflow"}`:                                                "15",
		`gridway_cluster_connect_duration_seconds_count{cluster="overflow"}`:                               "15",
		`gridway_listener_connections{listener="overflow"}`:                                                "15",
		`gridway_listener_protocol_errors_total{code="BareLF",listener="overflow"}`:                        "15",
		`gridway_policy_decisions_total{decision="allowed",policy="overflow"}`:                             "15",
		`gridway_authentication_faults_total{fault="expired",method="overflow",policy="overflow"}`:         "15",
		`gridway_rate_limit_requests_total{limit="overflow",policy="overflow",result="limited"}`:           "15",
		`gridway_rate_limit_store_calls_total{result="ok",store="overflow"}`:                               "15",
		`gridway_route_requests_total{code="200",code_class="2xx",route="HTTPRoute/default/r3",rule="0"}`:  "1",
		`gridway_route_requests_total{code="200",code_class="2xx",route="HTTPRoute/default/r20",rule="0"}`: "",
		`gridway_metrics_label_sets{kind="rule"}`:                                                          "10",
		`gridway_metrics_label_sets_limit{kind="rule"}`:                                                    "10",
		`gridway_metrics_label_sets_folded{kind="rule"}`:                                                   "15",
		`gridway_metrics_label_sets_folded{kind="policy"}`:                                                 "15",
	} {
		if got := line(t, text, series); got != want {
			t.Errorf("%s is %q, not %q", series, got, want)
		}
	}
	if s := r.Snapshot(); len(s.Routes) != 22 { // with streams; each with the overflow
		t.Errorf("%d rules in the snapshot", len(s.Routes))
	}
}

// A place that is given back goes to the next that comes; what was folded stays
// folded, since its series would otherwise begin in the middle.
func TestPlacesAreGivenBack(t *testing.T) {
	c := newClock()
	r := metric.New(metric.Options{Now: c.Now, Settings: metric.Settings{Limit: 10}})
	observe := func(name string) { r.Route("HTTPRoute/d/"+name+"/rules/0").Observe(200, 0, 0, 0, 0) }
	for i := range 11 {
		observe(fmt.Sprint("old", i))
	}
	late := &ir.Route{Name: "HTTPRoute/d/old10", Rules: []*ir.Rule{{ID: "HTTPRoute/d/old10/rules/0"}}}
	r.Keep(&ir.Config{Routes: []*ir.Route{late}})
	c.advance(metric.Grace)
	r.Sample()
	observe("new")
	observe("old10")
	text := scrape(t, r)
	series := `gridway_route_requests_total{code="200",code_class="2xx",route="%s",rule="%s"}`
	for _, want := range []struct{ route, rule, n string }{
		{"HTTPRoute/d/new", "0", "1"}, {"overflow", "overflow", "2"}, {"HTTPRoute/d/old10", "0", ""}, {"HTTPRoute/d/old3", "0", ""},
	} {
		if got := line(t, text, fmt.Sprintf(series, want.route, want.rule)); got != want.n {
			t.Errorf("%s has %q, not %q", want.route, got, want.n)
		}
	}
	if got := line(t, text, `gridway_metrics_label_sets{kind="rule"}`); got != "1" {
		t.Errorf("%s places are taken", got)
	}
	r.Keep(&ir.Config{})
	c.advance(metric.Grace)
	r.Sample()
	observe("old10") // begins anew
	text = scrape(t, r)
	if got := line(t, text, fmt.Sprintf(series, "HTTPRoute/d/old10", "0")); got != "1" {
		t.Errorf("what came back has %q", got)
	}
	if got := line(t, text, `gridway_metrics_label_sets_folded{kind="rule"}`); got != "0" {
		t.Errorf("%s are folded", got)
	}
}

func TestStateOfClustersIsBounded(t *testing.T) {
	r := metric.New(metric.Options{Settings: metric.Settings{Limit: 10}})
	r.Cluster("c29").Observe(200, 0, 0, 0, 0)
	r.SetClusterGauges(func(yield func(string, metric.ClusterGauges)) {
		for i := range 30 {
			yield(fmt.Sprint("c", i), metric.ClusterGauges{Healthy: 2, Breaker: metric.BreakerState(i % 3)})
		}
	})
	r.SetDependencies(func(yield func(kind, owner, name string, up bool)) {
		for i := range 30 {
			yield("keys", "p", fmt.Sprint(i), true)
		}
	})
	text := scrape(t, r)
	if n := strings.Count(text, "gridway_cluster_breaker_state{"); n != 11 {
		t.Errorf("%d clusters", n)
	}
	for series, want := range map[string]string{
		`gridway_cluster_endpoints{cluster="c29",state="healthy"}`:      "2",
		`gridway_cluster_endpoints{cluster="overflow",state="healthy"}`: "40",
		`gridway_cluster_breaker_state{cluster="overflow"}`:             "2",
		`gridway_metrics_label_sets_folded{kind="cluster_state"}`:       "20",
		`gridway_metrics_label_sets_folded{kind="dependency"}`:          "20",
	} {
		if got := line(t, text, series); got != want {
			t.Errorf("%s is %q, not %q", series, got, want)
		}
	}
	if n := strings.Count(text, "gridway_dependency_up{"); n != 10 {
		t.Errorf("%d dependencies", n)
	}
}

// Clients choose the names of methods.
func TestMethodsOfCallsAreBounded(t *testing.T) {
	r := metric.New(metric.Options{})
	for i := range 5000 {
		r.Calls().Observe(fmt.Appendf(nil, "s%d", i), []byte("M"), grpc.OK, true)
		r.Calls().Observe(fmt.Appendf(nil, "unknown%d", i), []byte("M"), grpc.Unimplemented, false)
		r.Calls().Observe([]byte("bad\"name"), fmt.Append(nil, i), grpc.OK, true)
	}
	text := scrape(t, r)
	if n := strings.Count(text, "gridway_grpc_calls_total{"); n != 1003 {
		t.Errorf("%d series", n)
	}
	if got := line(t, text, `gridway_grpc_calls_total{method="overflow",service="overflow",status="OK"}`); got != "4000" {
		t.Errorf("%s in the overflow", got)
	}
	m := regexp.MustCompile(`label_sets_folded\{kind="grpc_method"\} (\d+)`).FindStringSubmatch(text)
	var n int
	if m == nil {
		t.Fatal("nothing says how many were folded")
	}
	if _, err := fmt.Sscan(m[1], &n); err != nil || n < 3900 || n > 4100 {
		t.Errorf("%s folded", m[1])
	}
}
