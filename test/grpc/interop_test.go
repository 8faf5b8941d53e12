package grpc

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/test/harness"
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

// elsewhere are the cases of grpc-go's interop client that are not run: their
// servers ask for credentials that a cloud gives to its machines.
var elsewhere = []string{
	"compute_engine_creds", "service_account_creds", "jwt_token_creds", "per_rpc_creds", "oauth2_auth_token",
	"google_default_credentials", "compute_engine_channel_credentials",
}

// cases are all others.
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
	"pick_first_unary": func(ctx context.Context, cc *grpc.ClientConn) {
		interop.DoPickFirstUnary(ctx, testgrpc.NewTestServiceClient(cc))
	},
	"rpc_soak": func(ctx context.Context, cc *grpc.ClientConn) {
		soak(ctx, func() (*grpc.ClientConn, func()) { return cc, func() {} })
	},
	"channel_soak": func(ctx context.Context, _ *grpc.ClientConn) {
		soak(ctx, func() (*grpc.ClientConn, func()) {
			cc := connect("")
			return cc, func() { cc.Close() }
		})
	},
	"orca_oob": func(ctx context.Context, cc *grpc.ClientConn) {
		interop.DoORCAOOBTest(ctx, testgrpc.NewTestServiceClient(cc))
	},
	"orca_per_rpc": func(ctx context.Context, cc *grpc.ClientConn) {
		interop.DoORCAPerRPCTest(ctx, testgrpc.NewTestServiceClient(cc))
	},
}

func service(do func(context.Context, testgrpc.TestServiceClient, ...grpc.CallOption)) func(context.Context, *grpc.ClientConn) {
	return func(ctx context.Context, cc *grpc.ClientConn) { do(ctx, testgrpc.NewTestServiceClient(cc)) }
}

// soak is what grpc-go's client does by default, but for the time that it gives.
func soak(ctx context.Context, channel func() (*grpc.ClientConn, func())) {
	interop.DoSoakTest(ctx, interop.SoakTestConfig{
		RequestSize: 271828, ResponseSize: 314159, Iterations: 10, NumWorkers: 1,
		PerIterationMaxAcceptableLatency: harness.Patience, OverallTimeout: harness.Patience, ServerAddr: os.Getenv(targetEnv), ChannelForTest: channel,
	})
}

// connect is the connection of a case.
func connect(name string) *grpc.ClientConn {
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
	return cc
}

// runCase is the client of one case. It ends the process if that fails.
func runCase(name string) {
	cc := connect(name)
	defer cc.Close()
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	cases[name](ctx, cc)
}

// TestNoCaseIsMissing compares the cases with those of the programs of grpc-go that
// is used.
func TestNoCaseIsMissing(t *testing.T) {
	theirs := func(program, file string) (names []string) {
		dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "google.golang.org/grpc/interop/"+program).Output()
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), file))
		if err != nil {
			t.Fatal(err)
		}
		_, text, _ = bytes.Cut(text, []byte("switch *testCase {"))
		for _, m := range regexp.MustCompile(`case "(\w+)":`).FindAllSubmatch(text, -1) {
			names = append(names, string(m[1]))
		}
		slices.Sort(names)
		return names
	}
	ours := append(slices.Sorted(maps.Keys(cases)), elsewhere...)
	slices.Sort(ours)
	if client := theirs("client", "client.go"); !slices.Equal(client, ours) {
		t.Errorf("grpc-go's client has %q,\nof which these are known: %q", client, ours)
	}
	negative := slices.Sorted(maps.Keys(negativeCases)) // TestNegative, TestNegativeProgram
	if client := theirs("http2", "negative_http2_client.go"); !slices.Equal(client, negative) {
		t.Errorf("grpc-go's negative client has %q, not %q", client, negative)
	}
}

// TestInterop runs the cases over each combination of TLS and clear text.
func TestInterop(t *testing.T) {
	ca := newAuthority(t)
	in, secureIn := harness.FreePorts(t, 2), harness.FreePorts(t, 2)
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
			if name == "orca_oob" { // whose server needs a switch inside grpc-go
				continue
			}
			t.Run(side.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				caseIn(t, name, side.target, side.root)
			})
		}
	}
}

// TestInteropServer runs the cases with grpc-go's own program as the server.
func TestInteropServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server")
	if out, err := exec.Command("go", "build", "-o", path, "google.golang.org/grpc/interop/server").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ports := harness.FreePorts(t, 2)
	program := exec.Command(path, "-port", fmt.Sprint(ports[1]))
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		program.Process.Kill()
		program.Wait()
	})
	if !harness.Soon(func() bool {
		nc, err := net.Dial("tcp", local(ports[1]))
		if err == nil {
			nc.Close()
		}
		return err == nil
	}) {
		t.Fatal("the server does not listen")
	}
	start(t, gateway(listener("http", ports[0], ""))+grpcRoute("calls", "server", "http")+backend("server", local(ports[1]), ""))
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		if name == "pick_first_unary" { // the program does not say who it is
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caseIn(t, name, local(ports[0]), "")
		})
	}
}

// caseIn runs a case in a process of its own.
func caseIn(t *testing.T, name, target, root string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*harness.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, self)
	cmd.WaitDelay = time.Second
	cmd.Env = append(os.Environ(), caseEnv+"="+name, targetEnv+"="+target, rootEnv+"="+root, "GRPC_GO_LOG_SEVERITY_LEVEL=error")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
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
	testgrpc.RegisterTestServiceServer(s, identified{interop.NewTestServer(interop.NewTestServerOptions{MetricsRecorder: orca.NewServerMetricsRecorder()})})
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

// identified says who it is, as pick_first_unary asks.
type identified struct{ testgrpc.TestServiceServer }

func (s identified) UnaryCall(ctx context.Context, r *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
	resp, err := s.TestServiceServer.UnaryCall(ctx, r)
	if err == nil && r.FillServerId {
		resp.ServerId = "interop"
	}
	return resp, err
}
