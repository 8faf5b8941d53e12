package grpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/orca"
)

// The cases end their process when they fail, so that each runs in one of its
// own: this program, with these variables.
const (
	caseEnv   = "GRPC_INTEROP_CASE"
	targetEnv = "GRPC_INTEROP_TARGET"
	rootEnv   = "GRPC_INTEROP_ROOT" // PEM; without it the case is in clear text
)

// cases are those of grpc-go's interop client that need no credentials of a
// cloud, and that grpc-go's own server can answer: it gives no server IDs, which
// pick_first_unary wants, and needs a switch inside grpc-go for orca_oob.
var cases = map[string]func(context.Context, *grpc.ClientConn){
	"empty_unary":                 service(interop.DoEmptyUnaryCall),
	"large_unary":                 service(interop.DoLargeUnaryCall),
	"client_streaming":            service(interop.DoClientStreaming),
	"server_streaming":            service(interop.DoServerStreaming),
	"ping_pong":                   service(interop.DoPingPong),
	"empty_stream":                service(interop.DoEmptyStream),
	"timeout_on_sleeping_server":  service(interop.DoTimeoutOnSleepingServer),
	"cancel_after_begin":          service(interop.DoCancelAfterBegin),
	"cancel_after_first_response": service(interop.DoCancelAfterFirstResponse),
	"custom_metadata":             service(interop.DoCustomMetadata),
	"status_code_and_message":     service(interop.DoStatusCodeAndMessage),
	"special_status_message":      service(interop.DoSpecialStatusMessage),
	"unimplemented_method":        interop.DoUnimplementedMethod,
	"unimplemented_service": func(ctx context.Context, cc *grpc.ClientConn) {
		interop.DoUnimplementedService(ctx, testgrpc.NewUnimplementedServiceClient(cc))
	},
	"orca_per_rpc": func(ctx context.Context, cc *grpc.ClientConn) {
		interop.DoORCAPerRPCTest(ctx, testgrpc.NewTestServiceClient(cc))
	},
}

func service(do func(context.Context, testgrpc.TestServiceClient, ...grpc.CallOption)) func(context.Context, *grpc.ClientConn) {
	return func(ctx context.Context, cc *grpc.ClientConn) { do(ctx, testgrpc.NewTestServiceClient(cc)) }
}

// runCase is the client of one case. It ends the process if that fails.
func runCase(name string) {
	creds := insecure.NewCredentials()
	if root := os.Getenv(rootEnv); root != "" {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM([]byte(root))
		creds = credentials.NewTLS(&tls.Config{RootCAs: pool, ServerName: "grpc.example.com"})
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(creds), grpc.WithAuthority("grpc.example.com")}
	if strings.HasPrefix(name, "orca") {
		options = append(options, grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"test_backend_metrics_load_balancer": {}}]}`))
	}
	cc, err := grpc.NewClient(os.Getenv(targetEnv), options...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer cc.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cases[name](ctx, cc)
}

// TestInterop runs the cases over each combination of TLS and clear text.
func TestInterop(t *testing.T) {
	ca := newAuthority(t)
	in, secureIn := freePorts(t, 2), freePorts(t, 2)
	start(t, gateway(listener("a", in[0], ""), listener("b", in[1], ""), listener("c", secureIn[0], "edge"), listener("d", secureIn[1], "edge"))+
		ca.secret("edge")+ca.configMap("ca")+
		grpcRoute("plain", "plain", "a", "c")+backend("plain", serve(t, nil), "")+
		grpcRoute("secure", "secure", "b", "d")+backend("secure", serve(t, ca.server()), "ca"))
	for _, side := range []struct {
		name, target, root string
	}{
		{"h2c to h2c", local(in[0]), ""},
		{"h2c to TLS", local(in[1]), ""},
		{"TLS to h2c", local(secureIn[0]), ca.root},
		{"TLS to TLS", local(secureIn[1]), ca.root},
	} {
		for _, name := range slices.Sorted(maps.Keys(cases)) {
			t.Run(side.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				self, err := os.Executable()
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
				defer cancel()
				cmd := exec.CommandContext(ctx, self)
				cmd.WaitDelay = time.Second
				cmd.Env = append(os.Environ(), caseEnv+"="+name, targetEnv+"="+side.target, rootEnv+"="+side.root, "GRPC_GO_LOG_SEVERITY_LEVEL=error")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}

// serve runs grpc-go's interop server until the test ends, and returns its address.
func serve(t *testing.T, tlsConfig *tls.Config, options ...grpc.ServerOption) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if tlsConfig != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(tlsConfig)))
	}
	s := grpc.NewServer(append(options, orca.CallMetricsServerOption(nil))...)
	testgrpc.RegisterTestServiceServer(s, interop.NewTestServer(interop.NewTestServerOptions{MetricsRecorder: orca.NewServerMetricsRecorder()}))
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return l.Addr().String()
}
