package grpc

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gridway/gridway/test/harness"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// jsonCodec makes messages JSON: application/grpc+json.
type jsonCodec struct{}

func (jsonCodec) Name() string { return "json" }

func (jsonCodec) Marshal(v any) ([]byte, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is no message", v)
	}
	return protojson.Marshal(m)
}

func (jsonCodec) Unmarshal(data []byte, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no message", v)
	}
	return protojson.Unmarshal(data, m)
}

func init() { encoding.RegisterCodec(jsonCodec{}) } // as the library has it

// Calls whose messages are JSON pass as others do, with the content type that
// says so, and Gridway's own replies are understood.
func TestJSONCodec(t *testing.T) {
	types := make(chan string, 64)
	see := func(md metadata.MD) { types <- strings.Join(md.Get("content-type"), ",") }
	s := &server{duplex: func(stream testgrpc.TestService_FullDuplexCallServer) error {
		md, _ := metadata.FromIncomingContext(stream.Context())
		see(md)
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
	}}
	s.start(t)
	ports := harness.FreePorts(t, 2)
	g := start(t, gateway(listener("http", ports[0], ""))+backend("server", s.address, "")+backend("nobody", local(ports[1]), "")+
		named("calls", "retry: {attempts: 0}")+
		strings.Replace(named("refused", "retry: {attempts: 0}"), "name: server", "name: nobody", 1))
	cc := dial(t, ports[0], "calls.example.com")
	tc := testgrpc.NewTestServiceClient(cc)
	text := grpc.CallContentSubtype("json")
	r, err := tc.UnaryCall(short(t), &testgrpc.SimpleRequest{Payload: payload(100_000)}, text)
	if err != nil || len(r.GetPayload().GetBody()) != 100_000 {
		t.Errorf("%d bytes, %v", len(r.GetPayload().GetBody()), err)
	}
	var header metadata.MD
	stream, err := tc.FullDuplexCall(short(t), text, grpc.Header(&header))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if err := stream.Send(part(i * 1000)); err != nil {
			t.Fatal(err)
		}
		if m, err := stream.Recv(); err != nil || len(m.GetPayload().GetBody()) != i*1000 {
			t.Fatalf("message %d: %d bytes, %v", i, len(m.GetPayload().GetBody()), err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Error(err)
	}
	if got := <-types; got != "application/grpc+json" {
		t.Errorf("the endpoint was sent %q", got)
	}
	if md, err := stream.Header(); err != nil || strings.Join(md.Get("content-type"), ",") != "application/grpc+json" {
		t.Errorf("the client was answered %q, %v", md.Get("content-type"), err)
	}
	for host, want := range map[string]codes.Code{"refused": codes.Unavailable, "nowhere": codes.Unimplemented} {
		_, err := tc.UnaryCall(short(t), &testgrpc.SimpleRequest{}, text, grpc.CallAuthority(host+".example.com"))
		t.Run(host, func(t *testing.T) { wantStatus(t, err, want, "") })
	}
	if want := `gridway_grpc_calls_total{method="UnaryCall",service="grpc.testing.TestService",status="OK"} 1`; !harness.Soon(func() bool { return strings.Contains(g.Get("/metrics"), want) }) {
		t.Errorf("no %s", want)
	}
}
