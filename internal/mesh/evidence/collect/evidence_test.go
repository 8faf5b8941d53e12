package collect_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gridway/gridway/internal/mesh/evidence"
	"github.com/gridway/gridway/internal/mesh/evidence/collect"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/report"
	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/statedb/statetest"
	"github.com/gridway/gridway/internal/telemetry/flow"
)

const (
	orders = "spiffe://example.org/ns/shop/sa/orders"
	cart   = "spiffe://example.org/ns/shop/sa/cart"
)

// collector serves one who is orders.
func collector(t *testing.T, db *statedb.DB) (*collect.Collector, *grpc.ClientConn) {
	t.Helper()
	c := collect.New(collect.Options{
		DB:       db,
		Identity: func(context.Context) (string, error) { return orders, nil },
		May: func(who identity.ID, namespace, service string) bool {
			return who.String() == "spiffe://example.org/ns/"+namespace+"/sa/"+service
		},
	})
	return c, serve(t, c)
}

// serve connects to a collector.
func serve(t *testing.T, c *collect.Collector) *grpc.ClientConn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	c.Register(s)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func record(r *flow.Recorder, service, path string, at time.Time) {
	r.Record(&flow.Seen{
		Source: cart, Namespace: "shop", Service: service, Port: 80, Protocol: flow.HTTP, Method: []byte("GET"), Path: []byte(path),
		Verdict: flow.Allowed, At: at, Duration: time.Millisecond,
	})
}

// flows are what was reported, once something was.
func flows(t *testing.T, c *collect.Collector, q evidence.Query, enough func([]evidence.Flow) bool) []evidence.Flow {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		list, err := c.Flows(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if enough(list) {
			return list
		}
		if time.Now().After(end) {
			t.Fatalf("%+v", list)
		}
	}
}

// What proxies have seen is kept, added up, and survives the control plane; a proxy speaks
// for its own workloads alone.
func TestReports(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		db := statetest.Open(t, place)
		c, conn := collector(t, db)
		now := time.Now()
		r := flow.New()
		for i := range 5 {
			record(r, "orders", fmt.Sprintf("/orders/%d", i), now.Add(-time.Duration(i)*time.Second))
		}
		record(r, "billing", "/", now)
		ctx, cancel := context.WithCancel(t.Context())
		s := &report.Sender{Recorder: r, Log: slog.New(slog.DiscardHandler), Every: time.Millisecond}
		done := make(chan struct{})
		go func() { defer close(done); s.Run(ctx, conn) }()
		all := evidence.Query{Since: now.Add(-time.Hour)}
		counted := func(n uint64) func([]evidence.Flow) bool {
			return func(list []evidence.Flow) bool {
				sum := uint64(0)
				for _, f := range list {
					sum += f.Count
				}
				return sum >= n
			}
		}
		flows(t, c, all, counted(5))
		record(r, "orders", "/orders/6", now)
		list := flows(t, c, all, counted(6))
		cancel()
		<-done
		if len(list) != 1 || list[0].Path != "/orders/*" || list[0].Source != cart || list[0].Service != "orders" || list[0].Verdict != evidence.Allowed || list[0].MeanMicroseconds != 1000 || list[0].Addresses != 1 {
			t.Errorf("%+v", list)
		}
		again, _ := collector(t, db)
		if list, err := again.Flows(t.Context(), evidence.Query{Namespace: "shop", Service: "orders", Since: now.Add(-time.Hour)}); err != nil || len(list) != 1 || list[0].Count != 6 {
			t.Errorf("%+v, %v", list, err)
		}
		if list, err := again.Flows(t.Context(), evidence.Query{Service: "billing", Since: now.Add(-time.Hour)}); err != nil || len(list) != 0 {
			t.Errorf("%+v, %v", list, err)
		}
		if list, err := again.Flows(t.Context(), evidence.Query{Since: now.Add(time.Minute)}); err != nil || len(list) != 0 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}
