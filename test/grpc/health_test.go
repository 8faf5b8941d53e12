package grpc

import (
	"crypto/tls"
	"net"
	"testing"

	"github.com/gridway/gridway/test/harness"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
)

// Endpoints are in use while grpc-go's health server says SERVING of the
// service, in clear text and over TLS.
func TestHealthService(t *testing.T) {
	ca := newAuthority(t)
	for name, secure := range map[string]bool{"h2c": false, "h2": true} {
		t.Run(name, func(t *testing.T) {
			var opts []grpc.ServerOption
			bundle, extra := "", ""
			if secure {
				opts = append(opts, grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{ca.pair}})))
				bundle, extra = "ca", ca.configMap("ca")
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			said := health.NewServer()
			srv := grpc.NewServer(opts...)
			healthpb.RegisterHealthServer(srv, said)
			testgrpc.RegisterTestServiceServer(srv, &server{})
			go srv.Serve(l)
			t.Cleanup(srv.Stop)
			const service = "grpc.testing.TestService"
			said.SetServingStatus(service, healthpb.HealthCheckResponse_SERVING)
			ports := harness.FreePorts(t, 1)
			g := start(t, gateway(listener("http", ports[0], ""))+grpcRoute("calls", "server", "http")+backend("server", l.Addr().String(), bundle)+extra+
				policy("calls", "loadBalancer: {panicThreshold: 0}\n  healthCheck: {grpc: {service: "+service+"}, interval: 50ms, timeout: 10s, unhealthyThreshold: 2, healthyThreshold: 2}"))
			client := testgrpc.NewTestServiceClient(dial(t, ports[0], "grpc.example.com"))
			serves := func() bool {
				_, err := client.UnaryCall(t.Context(), &testgrpc.SimpleRequest{})
				return err == nil
			}
			is := func(state string) func() bool {
				return func() bool { return g.Metric("gridway_cluster_endpoints", `state="`+state+`"`) == 1 }
			}
			for _, status := range []healthpb.HealthCheckResponse_ServingStatus{
				healthpb.HealthCheckResponse_NOT_SERVING, healthpb.HealthCheckResponse_UNKNOWN, healthpb.HealthCheckResponse_SERVICE_UNKNOWN,
			} {
				said.SetServingStatus("", status) // of the whole, which nobody asks for
				if !harness.Soon(func() bool {
					return is("healthy")() && g.Metric("gridway_cluster_health_checks_total", `result="ok"`) > 2
				}) || !serves() {
					t.Fatal("a serving service is not served")
				}
				said.SetServingStatus(service, status)
				if !harness.Soon(is("unhealthy")) || !harness.Soon(func() bool { return !serves() }) {
					t.Fatalf("%s is served", status)
				}
				said.SetServingStatus(service, healthpb.HealthCheckResponse_SERVING)
				if !harness.Soon(serves) {
					t.Fatal("a service that serves again is not served")
				}
			}
			// A server that ends says so before: its service serves no more.
			said.Shutdown()
			if !harness.Soon(is("unhealthy")) {
				t.Error("a server that ends is served")
			}
		})
	}
	t.Run("without the service", func(t *testing.T) {
		s := (&server{}).start(t)
		g, _ := s.through(t, "healthCheck: {grpc: {}, interval: 50ms, timeout: 10s, unhealthyThreshold: 1}")
		if !harness.Soon(func() bool { return g.Metric("gridway_cluster_endpoints", `state="unhealthy"`) == 1 }) {
			t.Error("a server without a health service is healthy")
		}
	})
}
