package grpc

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/test/harness"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// short is the context of a call that should not take long.
func short(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	t.Cleanup(cancel)
	return ctx
}

func wantStatus(t *testing.T, err error, code codes.Code, message string) {
	t.Helper()
	if s := status.Convert(err); s.Code() != code || !strings.Contains(s.Message(), message) {
		t.Errorf("%v: %q, want %v: %q", s.Code(), s.Message(), code, message)
	}
}

// What Gridway itself has to say is a status of gRPC, with its reason beside it.
func TestRepliesOfOurOwn(t *testing.T) {
	s := (&server{unary: func(ctx context.Context, _ *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}).start(t)
	ports := harness.FreePorts(t, 2)
	nobody := local(ports[1])
	route := func(name, backend string) string {
		return strings.Replace(grpcRoute(name, backend, "http"), "spec:\n", "spec:\n  hostnames: ["+name+".example.com]\n", 1)
	}
	g := start(t, gateway(listener("http", ports[0], ""))+
		backend("server", s.address, "")+backend("nobody", nobody, "")+
		route("refused", "nobody")+policy("refused", "retry: {attempts: 0}")+
		route("unresolved", "missing")+
		route("slow", "server")+policy("slow", "timeouts: {request: 200ms}")+
		route("try", "server")+policy("try", "timeouts: {backendRequest: 200ms}")+
		route("fault", "server")+policy("fault", "fault: {abort: {status: 429}}")+
		route("maintenance", "server")+policy("maintenance", `directResponse: {status: 503, body: "back at 10 % \u00e9"}`)+
		route("own", "server")+policy("own", `directResponse: {status: 200, headers: [{name: grpc-status, value: "9"}, {name: grpc-message, value: "not%20now"}]}`)+
		route("small", "server")+policy("small", "maxBodyBytes: 10"))
	for _, c := range []struct {
		host, reason string
		code         codes.Code
		message      string
	}{
		{"refused", "UpstreamConnectFailure", codes.Unavailable, "no connection to the backend"},
		{"unresolved", "BackendInvalid", codes.Unavailable, "could not be resolved"},
		{"slow", "UpstreamTimeout", codes.DeadlineExceeded, "did not answer in time"},
		{"try", "UpstreamTimeout", codes.DeadlineExceeded, "did not answer in time"},
		{"fault", "FaultInjected", codes.Unavailable, ""},
		{"maintenance", "", codes.Unavailable, "back at 10 % é"},
		{"own", "", codes.FailedPrecondition, "not now"},
		{"small", "BodyTooLarge", codes.ResourceExhausted, "over the limit"},
		{"nowhere", "RouteNotFound", codes.Unimplemented, "no route matches"},
	} {
		var header metadata.MD
		tc := testgrpc.NewTestServiceClient(dial(t, ports[0], c.host+".example.com"))
		_, err := tc.UnaryCall(short(t), &testgrpc.SimpleRequest{Payload: payload(100)}, grpc.Header(&header))
		t.Run(c.host, func(t *testing.T) {
			wantStatus(t, err, c.code, c.message)
		})
	}
	for _, want := range []string{
		`gridway_route_requests_total{code="502",code_class="5xx",route="GRPCRoute/default/refused",rule="0"} 1`,
		`gridway_route_requests_total{code="504",code_class="5xx",route="GRPCRoute/default/slow",rule="0"} 1`,
	} {
		if !harness.Soon(func() bool { return strings.Contains(g.Get("/metrics"), want) }) {
			t.Errorf("no %s", want)
		}
	}
}

func payload(n int) *testgrpc.Payload {
	return interop.ClientNewPayload(testgrpc.PayloadType_COMPRESSABLE, n)
}

// The deadline of a client reaches the server less the time that was used, and
// ends the call at the gateway by itself.
func TestDeadlines(t *testing.T) {
	left := make(chan time.Duration, 1)
	s := (&server{unary: func(ctx context.Context, _ *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
		by, ok := ctx.Deadline()
		if !ok {
			by = time.Now().Add(-time.Hour)
		}
		left <- time.Until(by)
		return &testgrpc.SimpleResponse{}, nil
	}}).start(t)
	_, tc := s.through(t, "timeouts: {request: 30s}\n  fault: {delay: {duration: 300ms}}")
	ask := func(d time.Duration, r *testgrpc.SimpleRequest) (time.Duration, error) {
		ctx, cancel := t.Context(), context.CancelFunc(func() {})
		if d > 0 {
			ctx, cancel = context.WithTimeout(ctx, d)
		}
		defer cancel()
		_, err := tc.UnaryCall(ctx, r)
		return <-left, err
	}
	if got, err := ask(20*time.Second, &testgrpc.SimpleRequest{}); err != nil || got > 19700*time.Millisecond || got < 0 {
		t.Errorf("%v, of 20 s less a delay of 300 ms %v are left", err, got)
	}
	if got, err := ask(0, &testgrpc.SimpleRequest{}); err != nil || got > 29700*time.Millisecond || got < 0 {
		t.Errorf("%v, of the route's 30 s less 300 ms %v are left", err, got)
	}
	if got, err := ask(24*time.Hour, &testgrpc.SimpleRequest{}); err != nil || got > 29700*time.Millisecond {
		t.Errorf("%v, a client's day is bounded to %v by the route's 30 s", err, got)
	}

	// That the deadline is the gateway's own, too, is in TestStreamLimitsByRoute.
}

// Access log and metrics know service, method and status.
func TestObserved(t *testing.T) {
	s := (&server{unary: func(context.Context, *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
		return nil, status.Error(codes.DataLoss, "gone")
	}}).start(t)
	g, tc := s.through(t, "")
	cc := dial(t, g.port(t), "grpc.example.com")
	_, err := tc.UnaryCall(short(t), &testgrpc.SimpleRequest{})
	wantStatus(t, err, codes.DataLoss, "gone")
	for range 3 {
		err := cc.Invoke(short(t), "/made.up.Service/Method", &testgrpc.Empty{}, &testgrpc.Empty{})
		wantStatus(t, err, codes.Unimplemented, "")
	}
	for _, want := range []string{
		`gridway_grpc_calls_total{method="UnaryCall",service="grpc.testing.TestService",status="DATA_LOSS"} 1`,
		`gridway_grpc_calls_total{method="other",service="other",status="UNIMPLEMENTED"} 3`,
		`gridway_route_requests_total{code="500",code_class="5xx",route="GRPCRoute/default/calls",rule="0"} 1`,
		`gridway_cluster_tries_total{cluster="Backend/default/server~h2",code="500",code_class="5xx"} 1`,
	} {
		if !harness.Soon(func() bool { return strings.Contains(g.Get("/metrics"), want) }) {
			t.Errorf("no %s", want)
		}
	}
	type entry struct {
		Status  int
		Service string `json:"grpc_service"`
		Method  string `json:"grpc_method"`
		Code    string `json:"grpc_status"`
	}
	want := entry{200, "grpc.testing.TestService", "UnaryCall", "DATA_LOSS"}
	if !harness.Soon(func() bool {
		text, err := os.ReadFile(filepath.Join(g.Dir, "access.log"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var e entry
			if json.Unmarshal([]byte(line), &e) == nil && e == want {
				return true
			}
		}
		return false
	}) {
		t.Errorf("the access log has no %+v", want)
	}
}
