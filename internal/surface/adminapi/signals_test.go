package adminapi_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/signals"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

// graphed is a service graph of one edge.
type graphed struct{ asked *signals.Query }

func (g graphed) Longest() time.Duration { return signals.Most }

func (g graphed) Graph(_ context.Context, q signals.Query) (*signals.Graph, error) {
	if g.asked != nil {
		*g.asked = q
	}
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	return &signals.Graph{
		From: at.Add(-q.Window), To: at, Resolution: 10,
		Nodes: []signals.Node{{ID: "internet", Kind: signals.KindInternet}, {ID: "shop/cart", Kind: signals.KindService, Namespace: "shop", Name: "cart"}},
		Edges: []signals.Edge{{
			ID: "internet>shop/cart", Source: "internet", Destination: "shop/cart", Protocol: signals.ProtocolHTTP, ReportedBy: []string{"server"},
			Routes: []signals.RouteTraffic{{Route: "HTTPRoute/shop/cart", Requests: 1}}, LastSeen: at,
		}},
	}, nil
}

func (g graphed) Series(_ context.Context, q signals.Query) (*signals.Series, error) {
	if g.asked != nil {
		*g.asked = q
	}
	if strings.HasSuffix(q.Of.Destination, "/nobody") {
		return nil, signals.ErrUnknown
	}
	return &signals.Series{Of: q.Of.String(), Step: 10, Points: []signals.Point{{}}}, nil
}

func TestSignals(t *testing.T) {
	opt := newProcess().options()
	var asked signals.Query
	opt.Signals = graphed{&asked}
	base := start(t, opt)
	for _, tt := range []struct {
		path   string
		status int
		want   signals.Query
		says   string
	}{
		{"/v1/graph", 200, signals.Query{Window: 5 * time.Minute}, `shop/cart","source":"internet"`},
		{"/v1/graph?window=1h&namespace=shop", 200, signals.Query{Window: time.Hour, Namespace: "shop"}, ""},
		{"/v1/graph?window=9s", 400, signals.Query{}, "window must be a duration of 10s to 24h"},
		{"/v1/graph?window=25h", 400, signals.Query{}, "window must"},
		{"/v1/signals", 200, signals.Query{Window: time.Hour}, `"of":"mesh"`},
		{"/v1/signals?of=edge:internet%3Eshop/cart&window=10m&step=1m", 200, signals.Query{Window: 10 * time.Minute, Step: time.Minute, Of: signals.Subject{Source: "internet", Destination: "shop/cart"}}, ""},
		{"/v1/signals?of=service:shop", 400, signals.Query{}, "is not mesh, edge:SOURCE"},
		{"/v1/signals?step=x", 400, signals.Query{}, "step must"},
		{"/v1/signals?of=service:shop/nobody", 404, signals.Query{Window: time.Hour, Of: signals.Subject{Destination: "shop/nobody"}}, "nothing was seen of node:shop/nobody"},
	} {
		asked = signals.Query{}
		status, _, body := request{path: tt.path}.do(t, base)
		if status != tt.status || asked != tt.want || !strings.Contains(body, tt.says) {
			t.Errorf("%s: %d %s, asked %+v", tt.path, status, body, asked)
		}
	}
}

func TestNoSignals(t *testing.T) {
	base := start(t, newProcess().options())
	if status, _, body := (request{path: "/v1/graph"}).do(t, base); status != 409 || !strings.Contains(body, "gridway control") {
		t.Errorf("%d %s", status, body)
	}
}

var _ adminapi.Signals = graphed{}
