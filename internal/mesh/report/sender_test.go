package report_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/mesh/report"
	"github.com/gridway/gridway/internal/telemetry/flow"
)

// judging is a control plane that never takes what tells of /bad, and is not there the first
// time that it hears of /later.
type judging struct {
	meshpb.UnimplementedTelemetryServer

	mu    sync.Mutex
	heard []string // guarded by mu
	taken chan string
}

func (j *judging) Report(stream grpc.BidiStreamingServer[meshpb.TrafficReport, meshpb.TrafficReceived]) error {
	for {
		r, err := stream.Recv()
		if err != nil {
			return err
		}
		for _, f := range r.GetFlows() {
			j.mu.Lock()
			before := strings.Join(j.heard, " ")
			j.heard = append(j.heard, f.GetPath())
			j.mu.Unlock()
			switch {
			case f.GetPath() == "/bad":
				return status.Error(codes.InvalidArgument, "that cannot be")
			case f.GetPath() == "/later" && !strings.Contains(before, "/later"):
				return status.Error(codes.Unavailable, "ask again")
			}
			j.taken <- f.GetPath()
		}
		if err := stream.Send(&meshpb.TrafficReceived{Sequence: r.GetSequence()}); err != nil {
			return err
		}
	}
}

// A report that is not taken for good is left out, once; one that finds nobody is sent again.
func TestAReportThatIsRefusedHoldsUpNone(t *testing.T) {
	j := &judging{taken: make(chan string, 8)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	meshpb.RegisterTelemetryServer(s, j)
	served := make(chan struct{})
	go func() { defer close(served); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-served })
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	r := flow.New()
	record := func(path string) {
		r.Record(&flow.Seen{
			Source: "spiffe://example.org/ns/shop/sa/cart", Namespace: "shop", Service: "orders", Port: 80, Protocol: flow.HTTP, Method: []byte("GET"), Path: []byte(path),
			Verdict: flow.Allowed, At: time.Now(), Duration: time.Millisecond,
		})
	}
	record("/bad")
	ctx, cancel := context.WithCancel(t.Context())
	sender := &report.Sender{Recorder: r, Log: slog.New(slog.DiscardHandler), Every: time.Millisecond}
	done := make(chan struct{})
	go func() { defer close(done); sender.Run(ctx, conn) }()
	defer func() { cancel(); <-done }()
	heard := func() string {
		j.mu.Lock()
		defer j.mu.Unlock()
		return strings.Join(j.heard, " ")
	}
	for end := time.Now().Add(30 * time.Second); heard() == ""; {
		if time.Now().After(end) {
			t.Fatal("no report came")
		}
	}
	record("/later")
	select {
	case path := <-j.taken:
		if path != "/later" {
			t.Errorf("%s was taken", path)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("heard %s, and took nothing", heard())
	}
	if got := heard(); got != "/bad /later /later" {
		t.Errorf("heard %s", got)
	}
}
