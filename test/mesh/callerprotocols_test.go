package mesh

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/quic-go/quic-go/http3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// openWebSocket says in the first message whom the proxy takes for the caller, and sends
// back what comes.
func openWebSocket(w http.ResponseWriter, r *http.Request) bool {
	if r.Header.Get("Upgrade") == "" {
		return false
	}
	c, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return true
	}
	defer c.Close()
	err = wsutil.WriteServerText(c, []byte(r.Header.Get("X-Consumer")))
	for err == nil {
		var said []byte
		if said, err = wsutil.ReadClientText(c); err == nil {
			err = wsutil.WriteServerText(c, said)
		}
	}
	return true
}

// relayWebSocket opens one at another service, and carries it.
func relayWebSocket(w http.ResponseWriter, r *http.Request, url string, header http.Header) {
	inner, buffered, _, err := (&ws.Dialer{Header: ws.HandshakeHeaderHTTP(header)}).Dial(r.Context(), url)
	if err != nil {
		code := http.StatusBadGateway
		if refused, ok := errors.AsType[ws.StatusError](err); ok {
			code = int(refused)
		}
		http.Error(w, err.Error(), code)
		return
	}
	defer inner.Close()
	outer, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	defer outer.Close()
	from := io.Reader(inner)
	if buffered != nil {
		from = buffered
	}
	go func() {
		_, _ = io.Copy(inner, outer)
		_ = inner.Close()
	}()
	_, _ = io.Copy(outer, from)
}

// relayHealth asks another one, where the service that it is asked for is "relay/PORT", and
// passes on what names the request and its caller; it says whom its own proxy takes for the
// caller.
type relayHealth struct{ *health.Server }

func (h relayHealth) further(ctx context.Context, service string) (grpc_health_v1.HealthClient, context.Context, func()) {
	came, _ := metadata.FromIncomingContext(ctx)
	at, ok := strings.CutPrefix(service, "relay/")
	if !ok {
		_ = grpc.SetHeader(ctx, metadata.Pairs("consumer", strings.Join(came.Get("x-consumer"), ",")))
		return nil, nil, nil
	}
	c, err := grpc.NewClient("127.0.0.1:"+at, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, nil, nil
	}
	for _, name := range passed {
		if len(came.Get("forget")) > 0 {
			break
		}
		for _, v := range came.Get(name) {
			ctx = metadata.AppendToOutgoingContext(ctx, name, v)
		}
	}
	return grpc_health_v1.NewHealthClient(c), ctx, func() { _ = c.Close() }
}

// Check implements a method of the service.
func (h relayHealth) Check(ctx context.Context, req *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	c, out, done := h.further(ctx, req.GetService())
	if c == nil {
		return h.Server.Check(ctx, req)
	}
	defer done()
	var header metadata.MD
	resp, err := c.Check(out, &grpc_health_v1.HealthCheckRequest{}, grpc.Header(&header))
	_ = grpc.SetHeader(ctx, metadata.MD{"consumer": header.Get("consumer")})
	return resp, err
}

// Watch implements a method of the service.
func (h relayHealth) Watch(req *grpc_health_v1.HealthCheckRequest, to grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error {
	c, out, done := h.further(to.Context(), req.GetService())
	if c == nil {
		return h.Server.Watch(req, to)
	}
	defer done()
	from, err := c.Watch(out, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		return err
	}
	header, err := from.Header()
	if err != nil {
		return err
	}
	_ = to.SetHeader(metadata.MD{"consumer": header.Get("consumer")})
	for {
		m, err := from.Recv()
		if err != nil {
			return err
		}
		if err := to.Send(m); err != nil {
			return err
		}
	}
}

// beside are documents for a caller mesh with TLS, HTTP/3 and gRPC.
const beside = `---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: secure}
spec:
  gatewayClassName: gridway
  listeners: [{name: https, port: TLSPORT, protocol: HTTPS, tls: {certificateRefs: [{name: secure}]}}]
---
apiVersion: v1
kind: Secret
metadata: {name: secure}
type: kubernetes.io/tls
data: {tls.crt: TLSCERT, tls.key: TLSKEY}
---
apiVersion: gridway.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: secure}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: secure}]
  client: {http3: {}}
---
apiVersion: gridway.dev/v1alpha1
kind: AuthenticationPolicy
metadata: {name: secure}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: secure}]
  mode: Optional
  anyOf: [{name: keys, apiKey: {from: [{header: X-API-Key}]}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: secure}
spec:
  parentRefs: [{name: secure}]
  rules:
  - backendRefs: [{name: front, port: FRONT}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: calls}
spec:
  parentRefs: [{name: public}]
  rules:
  - matches: [{path: {value: /grpc.health.v1.Health}}]
    backendRefs: [{name: calls, port: CALLS}]
---
apiVersion: gridway.dev/v1alpha1
kind: AuthenticationPolicy
metadata: {name: told-inner}
spec:
  targetRefs: [{group: "", kind: Service, name: inner}]
  mode: Anonymous
  requestHeaders: [{name: X-Consumer, value: Consumer}]
---
apiVersion: gridway.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: staff-inner}
spec:
  targetRefs: [{group: "", kind: Service, name: inner}]
  action: Allow
  rules:
  - {name: staff, groups: [staff], identities: ["spiffe://cluster.local/ns/default/sa/calls"]}
`

// secret is a certificate and its key, as a Secret has them.
func secret(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	in := func(kind string, der []byte) string {
		return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return in("CERTIFICATE", der), in("PRIVATE KEY", private)
}

// keyOf is the header by which somebody is known; nobody has none.
func keyOf(name string) http.Header {
	if name == "" {
		return http.Header{}
	}
	return http.Header{"X-Api-Key": {"a-key-of-" + name + "-that-is-long-enough"}}
}

// Callers are known two hops further whatever they speak: HTTP/1.1, HTTP/2, HTTP/3,
// WebSocket, and calls of gRPC with one answer and with many.
func TestCallerByAllProtocols(t *testing.T) {
	c := newCallerMesh(t)
	c.speaking("kubernetes.io/h2c", "inner", healthProgram)
	further := port(t)
	calls := c.speaking("kubernetes.io/h2c", "calls", healthProgram, "--upstream", "inner=:"+further)
	open := port(t)
	cert, key := secret(t)
	c.write(strings.NewReplacer("EDGE", c.open, "FRONT", c.front.port, "CALLS", calls.port, "TLSPORT", open, "TLSCERT", cert, "TLSKEY", key).Replace(callers + beside))

	// Each has its own: a transport writes its protocols into what it is given.
	insecureTLS := &tls.Config{InsecureSkipVerify: true}
	h3 := &http3.Transport{TLSClientConfig: insecureTLS.Clone()}
	defer h3.Close()
	h2 := &http.Transport{TLSClientConfig: insecureTLS.Clone(), ForceAttemptHTTP2: true}
	defer h2.CloseIdleConnections()
	h1 := &http.Transport{TLSClientConfig: insecureTLS.Clone(), TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
	defer h1.CloseIdleConnections()
	over := func(tr http.RoundTripper, proto string) func(name, query string) (int, string, error) {
		return func(name, query string) (int, string, error) {
			req, err := http.NewRequest("GET", "https://localhost:"+open+"/relay/"+c.up+"/stars"+query, nil)
			if err != nil {
				return 0, "", err
			}
			req.Header = keyOf(name)
			resp, err := (&http.Client{Transport: tr, Timeout: patience}).Do(req)
			if err != nil {
				return 0, "", err
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if resp.Proto != proto {
				return 0, "", fmt.Errorf("answered by %s", resp.Proto)
			}
			consumer := ""
			if bytes.Contains(text, []byte(`"X-Consumer":["ada"]`)) {
				consumer = "ada"
			}
			return resp.StatusCode, consumer, err
		}
	}
	conn, err := grpc.NewClient("127.0.0.1:"+c.open, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	call := func(f func(context.Context, *grpc_health_v1.HealthCheckRequest, ...grpc.CallOption) (metadata.MD, error)) func(name, query string) (int, string, error) {
		return func(name, query string) (int, string, error) {
			ctx, stop := context.WithTimeout(t.Context(), patience)
			defer stop()
			if name != "" {
				ctx = metadata.AppendToOutgoingContext(ctx, "x-api-key", keyOf(name).Get("X-Api-Key"))
			}
			if query != "" {
				ctx = metadata.AppendToOutgoingContext(ctx, "forget", "yes")
			}
			header, err := f(ctx, &grpc_health_v1.HealthCheckRequest{Service: "relay/" + further})
			switch status.Code(err) {
			case codes.OK:
				return 200, strings.Join(header.Get("consumer"), ""), nil
			case codes.PermissionDenied:
				return 403, "", nil
			}
			return 0, "", err
		}
	}
	health := grpc_health_v1.NewHealthClient(conn)
	for what, ask := range map[string]func(name, query string) (int, string, error){
		"HTTP/1.1": over(h1, "HTTP/1.1"), "HTTP/2": over(h2, "HTTP/2.0"), "HTTP/3": over(h3, "HTTP/3.0"),
		"WebSocket": c.chat,
		"gRPC": call(func(ctx context.Context, req *grpc_health_v1.HealthCheckRequest, _ ...grpc.CallOption) (header metadata.MD, err error) {
			_, err = health.Check(ctx, req, grpc.Header(&header))
			return header, err
		}),
		"a stream of gRPC": call(func(ctx context.Context, req *grpc_health_v1.HealthCheckRequest, _ ...grpc.CallOption) (metadata.MD, error) {
			s, err := health.Watch(ctx, req)
			if err != nil {
				return nil, err
			}
			if _, err := s.Recv(); err != nil {
				return nil, err
			}
			return s.Header()
		}),
	} {
		t.Run(what, func(t *testing.T) {
			eventually(t, "ada, of the staff, comes through", func() error {
				code, consumer, err := ask("ada", "")
				if err != nil || code != 200 || consumer != "ada" {
					return fmt.Errorf("%d for %q: %w", code, consumer, err)
				}
				return nil
			})
			for name, who := range map[string]string{"bob is no staff": "bob", "nobody": ""} {
				if code, _, err := ask(who, ""); code != 403 {
					t.Errorf("%s: %d %v", name, code, err)
				}
			}
			if code, _, err := ask("ada", "?Gridway-Caller="); code != 403 {
				t.Errorf("not passed on: %d %v", code, err)
			}
		})
	}
}

// chat opens a WebSocket over two hops and says something.
func (c *callerMesh) chat(name, query string) (status int, consumer string, err error) {
	conn, buffered, _, err := (&ws.Dialer{Header: ws.HandshakeHeaderHTTP(keyOf(name)), Timeout: patience}).Dial(c.t.Context(), "ws://127.0.0.1:"+c.open+"/relay/"+c.up+"/chat"+query)
	if err != nil {
		if refused, ok := errors.AsType[ws.StatusError](err); ok {
			return int(refused), "", nil
		}
		return 0, "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	var from io.Reader = conn
	if buffered != nil {
		from = buffered
	}
	both := struct {
		io.Reader
		io.Writer
	}{from, conn}
	who, err := wsutil.ReadServerText(both)
	if err != nil {
		return 0, "", err
	}
	if err := wsutil.WriteClientText(conn, []byte("hello")); err != nil {
		return 0, "", err
	}
	if said, err := wsutil.ReadServerText(both); err != nil || string(said) != "hello" {
		return 0, "", fmt.Errorf("%q came back: %w", said, err)
	}
	return 200, string(who), nil
}
