package grpc

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/test/harness"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
)

func part(n int) *testgrpc.StreamingOutputCallRequest {
	return &testgrpc.StreamingOutputCallRequest{Payload: payload(n)}
}

// A client that gives a call up ends it at the server, in whatever state it is:
// the server is told by a reset, not by what it may find out later.
func TestCancellation(t *testing.T) {
	began, ended := make(chan struct{}, 1), make(chan error, 1)
	wait := func(ctx context.Context) error {
		began <- struct{}{}
		select {
		case <-ctx.Done():
			ended <- nil
		case <-time.After(harness.Patience):
			ended <- context.DeadlineExceeded
		}
		return ctx.Err()
	}
	s := (&server{
		unary: func(ctx context.Context, _ *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
			return nil, wait(ctx)
		},
		duplex: func(stream testgrpc.TestService_FullDuplexCallServer) error {
			if err := stream.Send(&testgrpc.StreamingOutputCallResponse{}); err != nil {
				return err
			}
			return wait(stream.Context())
		},
	}).start(t)
	_, tc := s.through(t, "")
	for name, call := range map[string]func(context.Context) error{
		"unary": func(ctx context.Context) error {
			_, err := tc.UnaryCall(ctx, &testgrpc.SimpleRequest{})
			return err
		},
		"half closed": func(ctx context.Context) error {
			stream, err := tc.FullDuplexCall(ctx)
			if err == nil {
				err = stream.CloseSend()
			}
			for err == nil {
				_, err = stream.Recv()
			}
			return err
		},
		"open": func(ctx context.Context) error {
			stream, err := tc.FullDuplexCall(ctx)
			for err == nil {
				_, err = stream.Recv()
			}
			return err
		},
	} {
		ctx, cancel := context.WithCancel(short(t))
		done := make(chan error, 1)
		go func() { done <- call(ctx) }()
		<-began
		cancel()
		wantStatus(t, <-done, codes.Canceled, "")
		if err := <-ended; err != nil {
			t.Errorf("%s: the server's call goes on", name)
		}
	}
}

// An endpoint that dies in the middle of a stream ends it with a status.
func TestEndpointDies(t *testing.T) {
	s := (&server{}).start(t)
	_, tc := s.through(t, "")
	stream, err := tc.FullDuplexCall(short(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(part(10)); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	s.grpc.Stop()
	_, err = stream.Recv()
	wantStatus(t, err, codes.Unavailable, "the backend broke the response off")
	_, err = tc.UnaryCall(short(t), &testgrpc.SimpleRequest{})
	wantStatus(t, err, codes.Unavailable, "no connection to the backend")
}

// A stream that is over its time, or silent for too long, is told so.
func TestStreamLimits(t *testing.T) {
	s := (&server{}).start(t)
	for spec, want := range map[string]struct {
		code    codes.Code
		message string
	}{
		"timeouts: {maxStream: 300ms}": {codes.DeadlineExceeded, "the call took longer than it may"},
		"timeouts: {request: 300ms}":   {codes.DeadlineExceeded, "the call took longer than it may"},
		"timeouts: {idle: 300ms}":      {codes.Unavailable, "silent for too long"},
	} {
		_, tc := s.through(t, spec)
		stream, err := tc.FullDuplexCall(short(t))
		if err == nil {
			err = stream.Send(part(10))
		}
		if err == nil {
			_, err = stream.Recv()
		}
		if err != nil {
			t.Errorf("%s: %v", spec, err)
			continue
		}
		_, err = stream.Recv()
		t.Run(spec, func(t *testing.T) { wantStatus(t, err, want.code, want.message) })
	}
}

// A server may answer before the client has said all it has to.
func TestEarlyAnswer(t *testing.T) {
	s := (&server{input: func(stream testgrpc.TestService_StreamingInputCallServer) error {
		if _, err := stream.Recv(); err != nil {
			return err
		}
		return stream.SendAndClose(&testgrpc.StreamingInputCallResponse{AggregatedPayloadSize: 7})
	}}).start(t)
	_, tc := s.through(t, "")
	for range 20 {
		stream, err := tc.StreamingInputCall(short(t))
		if err != nil {
			t.Fatal(err)
		}
		for err == nil { // until it is told to stop
			err = stream.Send(&testgrpc.StreamingInputCallRequest{Payload: payload(10_000)})
		}
		if err != io.EOF {
			t.Fatal(err)
		}
		if r, err := stream.CloseAndRecv(); err != nil || r.AggregatedPayloadSize != 7 {
			t.Fatal(r, err)
		}
	}
}

// Messages of many megabytes pass in both directions, and a stream whose client
// does not read holds up nobody else on the same connection.
func TestFlowControl(t *testing.T) {
	s := (&server{duplex: func(stream testgrpc.TestService_FullDuplexCallServer) error {
		for { // sends for ever
			if err := stream.Send(&testgrpc.StreamingOutputCallResponse{Payload: payload(60_000)}); err != nil {
				return err
			}
		}
	}}).start(t)
	_, tc := s.through(t, "")
	ctx, cancel := context.WithCancel(short(t))
	defer cancel()
	for range 5 {
		stream, err := tc.FullDuplexCall(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil { // and no more
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			const size = 3 << 20
			r, err := tc.UnaryCall(short(t), &testgrpc.SimpleRequest{Payload: payload(size)}, grpc.MaxCallSendMsgSize(64<<20))
			if err != nil || len(r.Payload.Body) != size {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	r, err := tc.UnaryCall(short(t), &testgrpc.SimpleRequest{Payload: payload(20 << 20)}, grpc.MaxCallSendMsgSize(64<<20))
	if err != nil || len(r.Payload.Body) != 20<<20 {
		t.Error(err)
	}
}
