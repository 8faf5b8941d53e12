package grpc

import (
	"context"
	"io"
	"net"
	"testing"

	"github.com/gridway/gridway/test/harness"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
)

// server answers as a test says.
type server struct {
	testgrpc.UnimplementedTestServiceServer
	unary  func(context.Context, *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error)
	duplex func(testgrpc.TestService_FullDuplexCallServer) error
	input  func(testgrpc.TestService_StreamingInputCallServer) error

	address string
	grpc    *grpc.Server
}

func (s *server) UnaryCall(ctx context.Context, r *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
	if s.unary == nil {
		return &testgrpc.SimpleResponse{Payload: r.Payload}, nil
	}
	return s.unary(ctx, r)
}

// FullDuplexCall answers each message with what came, unless the test has said otherwise.
func (s *server) FullDuplexCall(stream testgrpc.TestService_FullDuplexCallServer) error {
	if s.duplex != nil {
		return s.duplex(stream)
	}
	for {
		m, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(&testgrpc.StreamingOutputCallResponse{Payload: m.Payload}); err != nil {
			return err
		}
	}
}

func (s *server) StreamingInputCall(stream testgrpc.TestService_StreamingInputCallServer) error {
	if s.input == nil {
		return s.UnimplementedTestServiceServer.StreamingInputCall(stream)
	}
	return s.input(stream)
}

// start serves until the test ends.
func (s *server) start(t *testing.T) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address, s.grpc = l.Addr().String(), grpc.NewServer(grpc.MaxRecvMsgSize(64<<20))
	testgrpc.RegisterTestServiceServer(s.grpc, s)
	go s.grpc.Serve(l)
	t.Cleanup(s.grpc.Stop)
	return s
}

// through starts a gateway that sends everything to the server under the
// policy, which may be empty, and returns a client of it.
func (s *server) through(t *testing.T, spec string) (*gridway, testgrpc.TestServiceClient) {
	t.Helper()
	port := harness.FreePorts(t, 1)[0]
	yaml := gateway(listener("http", port, "")) + grpcRoute("calls", "server", "http") + backend("server", s.address, "")
	if spec != "" {
		yaml += policy("calls", spec)
	}
	g := start(t, yaml)
	return g, testgrpc.NewTestServiceClient(dial(t, port, "grpc.example.com"))
}

// dial returns a client in clear text. It tries nothing twice by itself.
func dial(t *testing.T, port int, authority string) *grpc.ClientConn {
	t.Helper()
	cc, err := grpc.NewClient(local(port), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority(authority),
		grpc.WithDisableRetry(), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return cc
}
