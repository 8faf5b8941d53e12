package grpc

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/test/harness"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// A call is tried again for the statuses that the policy names, whether the
// status comes alone or behind the head of a response.
func TestRetries(t *testing.T) {
	for _, c := range []struct {
		name  string
		fail  func(ctx context.Context) error
		tries int32
	}{
		{"alone", func(context.Context) error { return status.Error(codes.Unavailable, "no") }, 3},
		{"after head", func(ctx context.Context) error {
			grpc.SendHeader(ctx, metadata.Pairs("x-head", "1"))
			return status.Error(codes.Unavailable, "no")
		}, 3},
		{"not named", func(context.Context) error { return status.Error(codes.Aborted, "no") }, 1},
		{"pushed back", func(ctx context.Context) error {
			grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", "10"))
			return status.Error(codes.Unavailable, "no")
		}, 3},
		{"not again", func(ctx context.Context) error {
			grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", "-1"))
			return status.Error(codes.Unavailable, "no")
		}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var tries atomic.Int32
			var previous atomic.Value
			s := (&server{unary: func(ctx context.Context, r *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
				md, _ := metadata.FromIncomingContext(ctx)
				previous.Store(md.Get("grpc-previous-rpc-attempts"))
				if tries.Add(1) < 3 {
					return nil, c.fail(ctx)
				}
				return &testgrpc.SimpleResponse{Payload: r.Payload}, nil
			}}).start(t)
			_, tc := s.through(t, "retry: {attempts: 4, retryOn: [Unavailable, ResourceExhausted], backoff: {base: 1ms}}")
			_, err := tc.UnaryCall(short(t), &testgrpc.SimpleRequest{Payload: payload(1000)})
			if got := tries.Load(); got != c.tries || (err == nil) != (c.tries == 3) {
				t.Errorf("%d tries, want %d; %v", got, c.tries, err)
			}
			if md := previous.Load().([]string); c.tries == 3 && (len(md) != 1 || md[0] != "2") {
				t.Errorf("the third try says %q of those before", md)
			}
		})
	}
}

// What was passed on is never taken back: a stream that has said something is
// not tried again, and one that is slow to say anything is not held up.
func TestNoRetryOfStreams(t *testing.T) {
	var tries atomic.Int32
	head := make(chan struct{})
	s := (&server{duplex: func(stream testgrpc.TestService_FullDuplexCallServer) error {
		tries.Add(1)
		if err := stream.SendHeader(metadata.Pairs("x-head", "1")); err != nil {
			return err
		}
		select {
		case <-head: // until the client has seen the head, nothing follows
		case <-time.After(harness.Patience):
			return status.Error(codes.Internal, "the client did not get the head")
		}
		if err := stream.Send(&testgrpc.StreamingOutputCallResponse{Payload: payload(10)}); err != nil {
			return err
		}
		return status.Error(codes.Unavailable, "in the middle")
	}}).start(t)
	_, tc := s.through(t, "retry: {attempts: 4, retryOn: [Unavailable], backoff: {base: 1ms}}")
	stream, err := tc.FullDuplexCall(short(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if md, err := stream.Header(); err != nil || len(md.Get("x-head")) != 1 {
		t.Fatal(md, err)
	}
	close(head)
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	wantStatus(t, err, codes.Unavailable, "in the middle")
	if n := tries.Load(); n != 1 {
		t.Errorf("%d tries", n)
	}
}
