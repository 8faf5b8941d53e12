package metric_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

// Edges are told without their routes, by the side that has seen them.
func TestEdges(t *testing.T) {
	s := signal.New(nil)
	k := signal.Key{
		Source: signal.TheInternet, Destination: signal.Of(signal.Party{Kind: signal.Service, Namespace: "shop", Name: "cart"}), Side: signal.Server, Protocol: signal.GRPC, MutualTLS: true,
	}
	for _, route := range []string{"HTTPRoute/shop/a/rules/0", "HTTPRoute/shop/b/rules/0"} {
		k.Route = signal.RouteOf(route)
		s.Record(k, &signal.Seen{Status: 200, Duration: time.Millisecond, In: 1, Out: 2})
	}
	s.Record(k, &signal.Seen{Duration: time.Second})
	s.Open(k, 1)
	r := metric.New(metric.Options{})
	r.SetEdges(s.Totals)
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	text := w.Body.String()
	const labels = `destination="shop/cart",`
	for _, want := range []string{
		`gridway_edge_requests_total{code_class="2xx",` + labels + `mutual_tls="true",protocol="gRPC",reporter="server",source="internet"} 2`,
		`gridway_edge_requests_total{code_class="none",` + labels + `mutual_tls="true",protocol="gRPC",reporter="server",source="internet"} 1`,
		`gridway_edge_errors_total{` + labels + `protocol="gRPC",reporter="server",source="internet"} 1`,
		`gridway_edge_request_duration_seconds_count{` + labels + `protocol="gRPC",reporter="server",source="internet"} 3`,
		`gridway_edge_response_bytes_total{` + labels + `protocol="gRPC",reporter="server",source="internet"} 4`,
		`gridway_edge_open{` + labels + `protocol="gRPC",reporter="server",source="internet"} 1`,
		`gridway_edges_folded_total 0`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
}

// edges are what a sidecar has counted.
func edges() ([]signal.Edge, uint64) {
	service := func(name string) signal.Who {
		return signal.Of(signal.Party{Kind: signal.Service, Namespace: "shop", Name: name})
	}
	e := signal.Edge{Key: signal.Key{Source: service("cart"), Destination: service("orders"), Side: signal.Client, Protocol: signal.HTTP, MutualTLS: true}, Open: 2}
	e.Classes[2], e.Classes[5], e.Errors, e.Nanos, e.In, e.Out, e.Latency[7] = 9, 1, 1, 2e6, 30, 400, 10
	logs := signal.Edge{Key: signal.Key{Source: service("cart"), Destination: service("logs"), Side: signal.Client, Protocol: signal.UDP}}
	logs.Classes[2], logs.InDatagrams, logs.OutDatagrams, logs.Latency[7] = 1, 5, 6, 1
	return []signal.Edge{e, logs}, 3
}
