package collect_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/evidence/collect"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

// A process that is on another stream already is not gone when the one before ends, and a
// stream has the reports of one process.
func TestProcessesThatReport(t *testing.T) {
	gone := make(chan uint64, 8)
	c := collect.New(collect.Options{
		DB: statetest.Open(t, "sqlite:"+t.TempDir()+"/state.db"), May: func(identity.ID, string, string) bool { return true },
		Identity: func(context.Context) (string, error) { return orders, nil },
		Signals:  func(identity.ID, *meshpb.SignalReport) (uint32, string, error) { return 0, "", nil },
		Gone:     func(_ identity.ID, incarnation uint64) { gone <- incarnation },
	})
	conn := serve(t, c)
	type client = grpc.BidiStreamingClient[meshpb.TrafficReport, meshpb.TrafficReceived]
	open := func() client {
		t.Helper()
		stream, err := meshpb.NewTelemetryClient(conn).Report(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return stream
	}
	say := func(stream client, incarnation uint64) error {
		t.Helper()
		if err := stream.Send(&meshpb.TrafficReport{Sequence: 1, Signals: &meshpb.SignalReport{Incarnation: incarnation, Sequence: 1}}); err != nil {
			t.Fatal(err)
		}
		_, err := stream.Recv()
		return err
	}
	end := func(stream client) {
		t.Helper()
		if err := stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		for err := error(nil); err == nil; {
			_, err = stream.Recv()
		}
	}
	first, second, other := open(), open(), open()
	for _, x := range []struct {
		stream      client
		incarnation uint64
	}{{first, 1}, {second, 1}, {other, 2}, {other, 2}} {
		if err := say(x.stream, x.incarnation); err != nil {
			t.Fatal(err)
		}
	}
	end(first)
	if err := say(other, 3); status.Code(err) != codes.InvalidArgument {
		t.Errorf("another process on the stream: %v", err)
	}
	if n := <-gone; n != 2 {
		t.Errorf("%d is gone, which is on another stream", n)
	}
	end(second)
	if n := <-gone; n != 1 {
		t.Errorf("%d is gone", n)
	}
}
