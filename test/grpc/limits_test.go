package grpc

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/test/harness"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// named is a GRPCRoute for a host of its own, with a policy.
func named(name, spec string) string {
	route := strings.Replace(grpcRoute(name, "server", "http"), "spec:\n", "spec:\n  hostnames: ["+name+".example.com]\n", 1)
	return route + policy(name, spec)
}

// edgePolicy is a TrafficPolicy on the Gateway.
func edgePolicy(spec string) string {
	return "---\napiVersion: gridway.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {name: edge}\nspec:\n" +
		"  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]\n  " + spec + "\n"
}

// Streams of several routes on one connection end each by its own route's limits,
// and by the client's deadline where that comes first.
func TestStreamLimitsByRoute(t *testing.T) {
	ended := make(chan struct{}, 16)
	s := (&server{duplex: func(stream testgrpc.TestService_FullDuplexCallServer) error {
		for {
			m, err := stream.Recv()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				ended <- struct{}{}
				return err
			}
			if err := stream.Send(&testgrpc.StreamingOutputCallResponse{Payload: m.Payload}); err != nil {
				ended <- struct{}{}
				return err
			}
		}
	}}).start(t)
	port := harness.FreePorts(t, 1)[0]
	g := start(t, gateway(listener("http", port, ""))+backend("server", s.address, "")+edgePolicy("timeouts: {idle: 1h, maxStream: 1h}")+
		named("free", "retry: {attempts: 0}")+named("idle", "timeouts: {idle: 300ms}")+named("old", "timeouts: {maxStream: 300ms}")+
		named("both", "timeouts: {idle: 1h, maxStream: 1h, request: 1h}"))
	cc := dial(t, port, "free.example.com")
	open := func(route string) testgrpc.TestService_FullDuplexCallClient {
		t.Helper()
		stream, err := testgrpc.NewTestServiceClient(cc).FullDuplexCall(short(t), grpc.CallAuthority(route+".example.com"))
		if err == nil {
			err = stream.Send(part(10))
		}
		if err != nil {
			t.Fatalf("%s: %v", route, err)
		}
		return stream
	}
	free := open("free")
	if _, err := free.Recv(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		route, timeout string
		code           codes.Code
		message        string
	}{
		{"idle", "", codes.Unavailable, "silent for too long"},
		{"idle", "1H", codes.Unavailable, "silent for too long"},
		{"old", "", codes.DeadlineExceeded, "the call took longer than it may"},
		{"old", "1H", codes.DeadlineExceeded, "the call took longer than it may"},
		{"both", "300m", codes.DeadlineExceeded, ""},
		{"idle", "1m", codes.DeadlineExceeded, ""},
	} {
		var err error
		if c.timeout != "" {
			err = patientCall(t, port, c.route+".example.com", c.timeout)
		} else {
			stream := open(c.route)
			for err == nil {
				_, err = stream.Recv()
			}
		}
		t.Run(c.route+" "+c.timeout, func(t *testing.T) { wantStatus(t, err, c.code, c.message) })
		if c.timeout == "1m" { // it may never have reached the server
			continue
		}
		select {
		case <-ended:
		case <-time.After(harness.Patience):
			t.Errorf("%s %s: the server's call goes on", c.route, c.timeout)
		}
	}
	if err := free.Send(part(10)); err != nil {
		t.Error(err)
	}
	if _, err := free.Recv(); err != nil {
		t.Errorf("the stream of the route without limits: %v", err)
	}
	open1 := func() bool { return g.Metric("gridway_route_streams", `route="GRPCRoute/default/free"`) == 1 }
	if !harness.Soon(open1) {
		t.Error("the open stream is not counted")
	}
	if err := free.CloseSend(); err != nil {
		t.Error(err)
	}
	if _, err := free.Recv(); err != io.EOF {
		t.Error(err)
	}
	if !harness.Soon(func() bool { return g.Metric("gridway_route_streams", `route="GRPCRoute/default/free"`) == 0 }) {
		t.Error("a stream that has ended is counted as open")
	}
}

// patientCall opens a stream, sends a message, and says nothing more. It sends
// grpc-timeout and keeps no time itself, as grpc-go would; how the stream ends is
// what it returns.
func patientCall(t *testing.T, port int, host, timeout string) error {
	t.Helper()
	client := &http.Transport{Protocols: new(http.Protocols), DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, local(port))
	}}
	client.Protocols.SetUnencryptedHTTP2(true)
	defer client.CloseIdleConnections()
	m, err := proto.Marshal(part(10))
	if err != nil {
		t.Fatal(err)
	}
	body, say := io.Pipe()
	defer say.Close()
	go say.Write(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(m))), m...))
	req, err := http.NewRequestWithContext(short(t), "POST", "http://"+host+"/grpc.testing.TestService/FullDuplexCall", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}, "Grpc-Timeout": {timeout}}
	resp, err := client.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Errorf("%s: %v", host, err)
	}
	end := resp.Trailer
	if resp.Header.Get("Grpc-Status") != "" {
		end = resp.Header
	}
	var code int
	if _, err := fmt.Sscan(end.Get("Grpc-Status"), &code); err != nil {
		t.Errorf("%s: status %q", host, end.Get("Grpc-Status"))
	}
	return status.Error(codes.Code(code), end.Get("Grpc-Message"))
}

// A stream is silent if nobody says anything: not while its endpoint speaks and the
// client listens, nor while the client speaks and the endpoint listens.
func TestStreamsAreSilentOnBothSides(t *testing.T) {
	const idle, talk, pause = time.Second, 2500 * time.Millisecond, 50 * time.Millisecond
	// speak says something again and again, and returns the longest pause that it made.
	speak := func(ctx context.Context, say func() error) (longest time.Duration, err error) {
		tick := time.NewTicker(pause)
		defer tick.Stop()
		last := time.Now()
		for end := last.Add(talk); time.Now().Before(end); {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return longest, ctx.Err()
			}
			err = say()
			now := time.Now()
			longest, last = max(longest, now.Sub(last)), now
			if err != nil {
				return longest, err
			}
		}
		return longest, nil
	}
	paused := make(chan time.Duration, 64)
	s := (&server{duplex: func(stream testgrpc.TestService_FullDuplexCallServer) error {
		if err := stream.SendHeader(nil); err != nil {
			return err
		}
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		if len(m.Payload.GetBody()) == 0 { // it is for the server to speak
			longest, err := speak(stream.Context(), func() error { return stream.Send(&testgrpc.StreamingOutputCallResponse{}) })
			paused <- longest
			return err
		}
		for {
			if _, err := stream.Recv(); err == io.EOF {
				return stream.Send(&testgrpc.StreamingOutputCallResponse{})
			} else if err != nil {
				return err
			}
		}
	}}).start(t)
	port := harness.FreePorts(t, 1)[0]
	start(t, gateway(listener("http", port, ""))+backend("server", s.address, "")+
		edgePolicy("client: {timeouts: {bodyIdle: 300ms}}")+named("calls", "timeouts: {idle: 1s}"))
	tc := testgrpc.NewTestServiceClient(dial(t, port, "calls.example.com"))
	// A machine that is too busy to speak in time proves nothing, and tries again.
	lives := func(t *testing.T, once func(stream testgrpc.TestService_FullDuplexCallClient) (time.Duration, error)) {
		t.Parallel()
		for range 10 {
			stream, err := tc.FullDuplexCall(short(t))
			if err != nil {
				t.Fatal(err)
			}
			longest, err := once(stream)
			if err == nil {
				return
			}
			if longest < idle/3 {
				t.Fatalf("%v, after pauses of at most %v", err, longest)
			}
		}
		t.Skip("the machine is too busy")
	}
	t.Run("the endpoint speaks", func(t *testing.T) {
		lives(t, func(stream testgrpc.TestService_FullDuplexCallClient) (time.Duration, error) {
			err := stream.Send(part(0)) // and nothing else
			for err == nil {
				_, err = stream.Recv()
			}
			if err == io.EOF {
				err = nil
			}
			select {
			case longest := <-paused:
				return longest, err
			case <-time.After(harness.Patience):
				return 0, err
			}
		})
	})
	t.Run("the client speaks", func(t *testing.T) {
		lives(t, func(stream testgrpc.TestService_FullDuplexCallClient) (time.Duration, error) {
			longest, err := speak(stream.Context(), func() error { return stream.Send(part(10)) })
			if err == nil {
				err = stream.CloseSend()
			}
			if err == nil || err == io.EOF {
				_, err = stream.Recv()
			}
			return longest, err
		})
	})
	t.Run("nobody speaks", func(t *testing.T) {
		t.Parallel()
		stream, err := tc.FullDuplexCall(short(t))
		if err != nil {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		wantStatus(t, err, codes.Unavailable, "silent for too long")
	})
}
