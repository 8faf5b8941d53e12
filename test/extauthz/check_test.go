package extauthz

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/test/harness"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// kitchen is a gateway that asks OPA, in front of an endpoint that tells what it got.
type kitchen struct {
	*harness.Gateway
	t       *testing.T
	opa     *opa
	address string // of the server of authorization
	stop    func() // stops it
	url     string
}

func config(port, auth, app, external, more string) string {
	return fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: gridway
  listeners: [{name: http, port: %s, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: kitchen}
spec:
  parentRefs: [{name: edge}]
  rules: [{backendRefs: [{group: gridway.dev, kind: Backend, name: app}]}]
---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: app}
spec: {endpoints: [{address: %q}]}
---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: opa}
spec: {endpoints: [{address: %q}]}
---
apiVersion: gridway.dev/v1alpha1
kind: AuthenticationPolicy
metadata: {name: who}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  anyOf:
  - external:
      backendRef: {group: gridway.dev, kind: Backend, name: opa}
      grpc: {context: {restaurant: blue}}
      %s
  requestHeaders: [{name: X-Subject, claim: sub}, {name: X-Shifts, claim: shifts}]
---
apiVersion: gridway.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: cooks}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  action: Deny
  rules: [{name: waiters, paths: [{value: /kitchen}], claims: [{claim: role, values: [waiter]}]}]
%s`, port, app, auth, external, more)
}

func open(t *testing.T, external string) *kitchen {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s\n", r.Method, r.RequestURI)
		for _, name := range []string{"Authorization", "X-Role", "X-Shifts", "X-Subject", "X-User"} {
			if v := r.Header.Get(name); v != "" {
				fmt.Fprintf(w, "%s: %s\n", name, v)
			}
		}
	}))
	t.Cleanup(app.Close)
	k := &kitchen{t: t, opa: newOPA(t)}
	k.address, k.stop = k.opa.serve(t, "127.0.0.1:0")
	port := strconv.Itoa(harness.FreePort(t))
	k.Gateway = harness.Start(t, config(port, k.address, app.Listener.Addr().String(), external, ""))
	k.url = "http://127.0.0.1:" + port
	return k
}

// ask sends a request as somebody, or as nobody.
func (k *kitchen) ask(method, path, user string) (resp *http.Response, body string) {
	k.t.Helper()
	req, err := http.NewRequestWithContext(k.t.Context(), method, k.url+path, nil)
	if err != nil {
		k.t.Fatal(err)
	}
	if user != "" {
		req.SetBasicAuth(user, "")
	}
	req.Header.Set("X-User", "root")
	resp, err = http.DefaultClient.Do(req)
	if err != nil {
		k.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	return resp, string(text)
}

func TestDecisions(t *testing.T) {
	t.Parallel()
	k := open(t, "upstreamHeaders: [X-User, X-Role]")
	for _, c := range []struct {
		method, path, user string
		status             int
		reason, body       string
	}{
		{"GET", "/menu", "", 200, "", "GET /menu\n"},
		{"POST", "/menu", "ada", 403, "ExternalDenied", ""},
		{"POST", "/orders?table=9&x", "ada", 200, "", "POST /orders?x&table=7\nX-Role: cook\nX-Shifts: 1,2\nX-Subject: ada\nX-User: ada\n"},
		{"GET", "/orders", "", 401, "ExternalDenied", "who are you?"},
		{"GET", "/orders", "eve", 401, "ExternalDenied", "who are you?"},
		{"GET", "/kitchen/oven", "ada", 200, "", "GET /kitchen/oven?table=7\nX-Role: cook\nX-Shifts: 1,2\nX-Subject: ada\nX-User: ada\n"},
		{"GET", "/kitchen/oven", "ben", 403, "AccessDenied", ""},
		{"GET", "/", "ada", 403, "ExternalDenied", ""},
	} {
		resp, body := k.ask(c.method, c.path, c.user)
		if resp.StatusCode != c.status || resp.Header.Get("X-Gridway-Reason") != c.reason || c.body != "" && body != c.body {
			t.Errorf("%s %s as %q: %d %s\n%s", c.method, c.path, c.user, resp.StatusCode, resp.Header.Get("X-Gridway-Reason"), body)
		}
		if decided := resp.Header.Get("X-Decided-By"); (decided == "opa") != (strings.Contains(c.body, "X-User") || c.reason == "AccessDenied") {
			t.Errorf("%s %s as %q: decided by %q", c.method, c.path, c.user, decided)
		}
		if c.status == 401 && resp.Header.Get("WWW-Authenticate") != `Basic realm="kitchen"` {
			t.Errorf("%v", resp.Header)
		}
	}
	if !harness.Soon(func() bool {
		return strings.Contains(k.AccessLog(), `"auth_method":"external"`) && strings.Contains(k.AccessLog(), `"policy":"default/who"`)
	}) {
		t.Error(k.AccessLog())
	}
}

// What the server is told is what Envoy would tell it.
func TestAttributes(t *testing.T) {
	t.Parallel()
	k := open(t, "")
	req, err := http.NewRequestWithContext(t.Context(), "POST", k.url+"/menu/./x?q=1", strings.NewReader("some body"))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "Menu.Example:8080"
	req.Header = http.Header{"X-A": {"1", "2"}, "Cookie": {"c=1"}, "X-Raw": {"caf\xe9"}, "User-Agent": {"test"}}
	before := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	r, _ := k.opa.seen()
	a := r.GetAttributes()
	h := a.GetRequest().GetHttp()
	if got := a.GetSource().GetAddress().GetSocketAddress(); got.GetAddress() != "127.0.0.1" || got.GetPortValue() == 0 {
		t.Errorf("source %v", got)
	}
	if got := a.GetDestination().GetAddress().GetSocketAddress(); fmt.Sprintf("http://%s:%d", got.GetAddress(), got.GetPortValue()) != k.url {
		t.Errorf("destination %v", got)
	}
	if at := a.GetRequest().GetTime().AsTime(); at.Before(before.Add(-time.Second)) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("time %v", at)
	}
	if h.GetId() != resp.Header.Get("X-Request-Id") || h.GetId() == "" {
		t.Errorf("id %q, and the client's %q", h.GetId(), resp.Header.Get("X-Request-Id"))
	}
	got := fmt.Sprint(h.GetMethod(), " ", h.GetScheme(), " ", h.GetHost(), " ", h.GetPath(), " ", h.GetProtocol(), " ", h.GetSize(), " ", h.GetQuery(), a.GetContextExtensions())
	if got != "POST http menu.example:8080 /menu/x?q=1 HTTP/1.1 9 map[restaurant:blue]" {
		t.Error(got)
	}
	for name, want := range map[string]string{
		"x-a": "1,2", "cookie": "c=1", "x-raw": "caf\uFFFD", "user-agent": "test", "content-length": "9",
		":path": "/menu/x?q=1", ":method": "POST", ":authority": "menu.example:8080", ":scheme": "http", "x-request-id": h.GetId(),
	} {
		if h.GetHeaders()[name] != want {
			t.Errorf("header %s is %q, want %q, of %q", name, h.GetHeaders()[name], want, slices.Sorted(maps.Keys(h.GetHeaders())))
		}
	}
}

// Nobody gets through while the server is away or slow, and everybody when it is back.
func TestServerGoesAway(t *testing.T) {
	t.Parallel()
	k := open(t, "timeout: 300ms")
	want := func(status int, reason string) {
		t.Helper()
		if !harness.Soon(func() bool {
			resp, _ := k.ask("GET", "/menu", "")
			return resp.StatusCode == status && resp.Header.Get("X-Gridway-Reason") == reason
		}) {
			t.Fatalf("it is never %d %s", status, reason)
		}
	}
	want(200, "")
	k.opa.setSlow(10 * time.Second)
	want(503, "IdentityUnavailable")
	k.opa.setSlow(0)
	want(200, "")
	k.stop()
	want(503, "IdentityUnavailable")
	k.opa.serve(t, k.address)
	want(200, "")
}

// Each request is asked about, once, whatever else is under way.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	k := open(t, "upstreamHeaders: [X-User, X-Role]")
	const workers, each = 16, 100
	var wrong atomic.Int64
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			user := []string{"ada", "ben", "", "eve"}[i%4]
			for range each {
				resp, body := k.ask("GET", "/orders", user)
				if known := i%4 < 2; known && !strings.Contains(body, "X-User: "+user+"\n") || known != (resp.StatusCode == 200) {
					wrong.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if _, asked := k.opa.seen(); asked != workers*each || wrong.Load() > 0 {
		t.Errorf("%d questions about %d requests, %d of them decided wrongly", asked, workers*each, wrong.Load())
	}
}

func TestCalls(t *testing.T) {
	t.Parallel()
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, health.NewServer())
	app := strconv.Itoa(harness.FreePort(t))
	l := listen(t, "127.0.0.1:"+app)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() { server.Stop(); <-done })
	o := newOPA(t)
	auth, stop := o.serve(t, "127.0.0.1:0")
	port := strconv.Itoa(harness.FreePort(t))
	yaml := strings.Replace(config(port, auth, "127.0.0.1:"+app, "", ""), "kind: HTTPRoute", "kind: GRPCRoute", 1)
	harness.Start(t, yaml)
	conn, err := grpc.NewClient("127.0.0.1:"+port, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := healthpb.NewHealthClient(conn)
	call := func(probe string) error {
		ctx := metadata.AppendToOutgoingContext(context.Background(), "x-probe", probe)
		_, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
		return err
	}
	if err := call("yes"); err != nil {
		t.Error(err)
	}
	if err := call("no"); status.Code(err) != codes.PermissionDenied {
		t.Error(err)
	}
	if r, _ := o.seen(); r.GetAttributes().GetRequest().GetHttp().GetProtocol() != "HTTP/2" {
		t.Errorf("%v", r)
	}
	stop()
	if err := call("yes"); status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
}
