package e2e

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/gridway/gridway/internal/telemetry/otlp/otlptest"
	"github.com/gridway/gridway/internal/telemetry/tap"
	"github.com/gridway/gridway/internal/testport"
)

const protocolSignals = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app}
spec:
  parentRefs: [{name: edge}]
  rules:
  - name: calls
    matches: [{path: {value: /shop.Calls}}]
    timeouts: {request: 5m}
    backendRefs: [{group: gridway.dev, kind: Backend, name: calls}]
  - name: hangs
    matches: [{path: {value: /hangs}}, {path: {value: /shop.Hangs}}]
    timeouts: {request: 100ms}
    backendRefs: [{group: gridway.dev, kind: Backend, name: calls}]
  - backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: sockets}
spec:
  parentRefs: [{name: edge}]
  rules:
  - matches: [{path: {value: /socket}}]
    backendRefs: [{group: gridway.dev, kind: Backend, name: sockets}]
---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: calls}
spec:
  protocol: h2c
  endpoints: [{address: "CALLS"}]
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetrySink
metadata: {name: collector}
spec: {otlp: {address: "http://SINK", protocol: HTTP, batchDelay: 10ms}}
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetryPolicy
metadata: {name: traces}
spec:
  tracing:
    sampling: {rate: 0, keepErrors: false}
    propagation: {accept: [W3C, B3], send: [W3C, B3Single]}
    sinkRefs: [{name: collector}]
`

// sentWith is what clients of the test do: it sends a body to a path, and returns what
// the client was told: a status, and that of gRPC.
type sentWith func(path string, body io.Reader, header http.Header) (status int, grpcStatus string)

// protocolCase is an exchange, and what all signals are to say of it.
type protocolCase struct {
	name, client, path, body string
	grpc                     bool
	// status, that of gRPC, bytes of both bodies, and flags.
	status     int
	grpcStatus string
	in, out    int64
	flags      string
	b3, socket bool
}

// signalsApp remembers what it was told of traces.
type signalsApp struct {
	mu     sync.Mutex
	header map[string]http.Header // guarded by mu, by trace ID
}

func (s *signalsApp) note(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if part := strings.Split(r.Header.Get("Traceparent"), "-"); len(part) == 4 {
		s.header[part[1]] = r.Header.Clone()
	}
}

func (s *signalsApp) of(trace string) http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.header[trace]
}

// serve answers what its path says, with messages of 3 bytes.
func (s *signalsApp) serve(w http.ResponseWriter, r *http.Request) {
	s.note(r)
	message := []byte{0, 0, 0, 0, 3, 'a', 'b', 'c'}
	_, method, _ := strings.Cut(r.URL.Path, "/shop.Calls/")
	if r.Header.Get("Content-Type") == "application/grpc" {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
	}
	switch {
	case strings.HasPrefix(r.URL.Path, "/hangs"), strings.HasPrefix(r.URL.Path, "/shop.Hangs"):
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	case method == "Watch":
		_, _ = io.Copy(io.Discard, r.Body)
		for range 3 {
			_, _ = w.Write(message)
			_ = http.NewResponseController(w).Flush()
		}
		w.Header().Set("Grpc-Status", "0")
	case method == "Chat": // an answer to each message
		b := make([]byte, len(message))
		for {
			if _, err := io.ReadFull(r.Body, b); err != nil {
				break
			}
			_, _ = w.Write(b)
			_ = http.NewResponseController(w).Flush()
		}
		w.Header().Set("Grpc-Status", "0")
	case method == "Fails":
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Grpc-Status", "13")
	case method != "":
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(message)
		w.Header().Set("Grpc-Status", "0")
	case r.URL.Path == "/fails":
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, "sorry")
	default:
		_, _ = io.Copy(w, r.Body)
	}
}

// What is known of an exchange is the same in its spans, its line of the access log, taps
// and metrics, whatever the client speaks; and its trace goes on, by W3C's headers or B3.
func TestSignalsOfProtocols(t *testing.T) {
	t.Parallel()
	seen := &signalsApp{header: map[string]http.Header{}}
	app := serveProtocols(t, plainProtocols(), seen.serve)
	sockets := serveWS(t, nil)
	receiver := otlptest.HTTP(t, "", nil)
	ca := newAuthority(t, "servers")
	cert, key := ca.issue("a.example")
	plain, secure := testport.Free(t), testport.Free(t)
	p := start(t, documents(gatewayOn("",
		fmt.Sprintf("{name: http, port: %d, protocol: HTTP}", plain),
		fmt.Sprintf("{name: https, port: %d, protocol: HTTPS, hostname: a.example, tls: {certificateRefs: [{name: a}]}}", secure)),
		secretDoc("a", cert, key), http3Policy("http3: {}"), backendDoc("app", app.addr), backendDoc("sockets", sockets.addr),
		strings.NewReplacer("CALLS", app.addr, "SINK", receiver.Address).Replace(protocolSignals)))
	events := p.tapped("")

	clients := map[string]sentWith{
		"HTTP/1.1": over(t, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 6 * patience}, fmt.Sprintf("http://127.0.0.1:%d", plain)),
		"HTTP/2":   over(t, overHTTP2(t, &tls.Config{ServerName: "a.example", InsecureSkipVerify: true}), fmt.Sprintf("https://127.0.0.1:%d", secure)),
		"HTTP/3":   over(t, overHTTP3(t, "a.example"), fmt.Sprintf("https://127.0.0.1:%d", secure)),
	}
	message := "\x00\x00\x00\x00\x03abc"
	var cases []protocolCase
	for _, v := range slices.Sorted(maps.Keys(clients)) {
		cases = append(cases,
			protocolCase{name: "answered", client: v, path: "/echo", body: "hello", status: 200, in: 5, out: 5},
			protocolCase{name: "failed", client: v, path: "/fails", status: 500, out: 5, b3: true},
			protocolCase{name: "too late", client: v, path: "/hangs", body: "hello", status: 504, in: 5, out: -1, flags: "UpstreamTimeout"})
		if v == "HTTP/1.1" {
			continue
		}
		cases = append(cases,
			protocolCase{name: "a call", client: v, grpc: true, path: "/shop.Calls/Price", body: message, status: 200, grpcStatus: "OK", in: 8, out: 8},
			protocolCase{name: "a call that fails", client: v, grpc: true, path: "/shop.Calls/Fails", body: message, status: 200, grpcStatus: "INTERNAL", in: 8},
			protocolCase{name: "a stream of answers", client: v, grpc: true, path: "/shop.Calls/Watch", body: message, status: 200, grpcStatus: "OK", in: 8, out: 24, b3: true},
			protocolCase{name: "streams both ways", client: v, grpc: true, path: "/shop.Calls/Chat", body: message + message, status: 200, grpcStatus: "OK", in: 16, out: 16},
			protocolCase{name: "a call that is too late", client: v, grpc: true, path: "/shop.Hangs/Now", body: message, status: 200, grpcStatus: "DEADLINE_EXCEEDED", in: 8, flags: "UpstreamTimeout"})
	}
	for i := range cases {
		c := &cases[i]
		t.Run(c.client+" "+c.name, func(t *testing.T) {
			trace := fmt.Sprintf("%032x", i+0x7ace)
			header := http.Header{"Traceparent": {"00-" + trace + "-b7ad6b7169203331-01"}}
			if c.b3 {
				header = http.Header{"B3": {trace + "-b7ad6b7169203331-1"}}
			}
			if c.grpc {
				header.Set("Content-Type", "application/grpc")
				header.Set("Te", "trailers")
			}
			status, grpcStatus := clients[c.client](c.path, strings.NewReader(c.body), header)
			if status != c.status || grpcStatus != grpcCodes[c.grpcStatus] {
				t.Errorf("the client got %d and %q", status, grpcStatus)
			}
			p.judge(t, c, trace, seen.of(trace), receiver, events)
		})
	}
	t.Run("WebSocket", func(t *testing.T) {
		const trace = "0000000000000000000000000000f00d"
		dialer := ws.Dialer{Header: ws.HandshakeHeaderHTTP{"Traceparent": {"00-" + trace + "-b7ad6b7169203331-01"}}, Timeout: 4 * patience}
		conn, _, _, err := dialer.Dial(t.Context(), fmt.Sprintf("ws://127.0.0.1:%d/socket", plain))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(6 * patience))
		if err := errors.Join(exchanged(conn, ws.NewTextFrame([]byte("hi"))), exchanged(conn, ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")))); err != nil {
			t.Fatal(err)
		}
		p.judge(t, &protocolCase{client: "HTTP/1.1", path: "/socket", status: 101, in: -1, out: -1, socket: true}, trace, nil, receiver, events)
	})
	p.counted(t, cases)
}

// judge waits for all that is said of an exchange, and compares it.
func (p *process) judge(t *testing.T, c *protocolCase, trace string, header http.Header, receiver *otlptest.Receiver, events *tapEvents) {
	t.Helper()
	var spans []*tracepb.Span
	receiver.Wait(t, "two spans of "+trace, func() bool {
		spans = spans[:0]
		for _, r := range receiver.Spans(t) {
			for _, scope := range r.ScopeSpans {
				for _, s := range scope.Spans {
					if hex.EncodeToString(s.TraceId) == trace {
						spans = append(spans, s)
					}
				}
			}
		}
		return len(spans) >= 2
	})
	server, try := spans[0], spans[1]
	if server.Kind != tracepb.Span_SPAN_KIND_SERVER {
		server, try = try, server
	}
	if len(spans) != 2 || hex.EncodeToString(server.ParentSpanId) != "b7ad6b7169203331" || !bytes.Equal(try.ParentSpanId, server.SpanId) {
		t.Errorf("the spans are %v", spans)
	}
	if want := "00-" + trace + "-" + hex.EncodeToString(try.SpanId) + "-01"; header != nil && (header.Get("Traceparent") != want || header.Get("B3") != want[3:len(want)-2]+"1") {
		t.Errorf("the endpoint was told %q and %q, want %q", header.Get("Traceparent"), header.Get("B3"), want)
	}
	got := attributes(server)
	want := map[string]string{
		"http.response.status_code": fmt.Sprint(c.status), "network.protocol.version": strings.TrimPrefix(c.client, "HTTP/"), "url.path": c.path,
		"rpc.response.status_code": c.grpcStatus, "gridway.flags": c.flags,
	}
	for key, want := range want {
		if got[key] != want {
			t.Errorf("the span says %s=%q, want %q", key, got[key], want)
		}
	}
	if c.flags == "" {
		got := attributes(try)
		if got["rpc.response.status_code"] != c.grpcStatus || got["http.response.status_code"] != fmt.Sprint(c.status) {
			t.Errorf("the try's span says %v", got)
		}
	}
	failed := c.status >= 500 || c.grpcStatus == "INTERNAL" || c.grpcStatus == "DEADLINE_EXCEEDED"
	if is := server.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR; is != failed {
		t.Errorf("the span has failed: %v, want %v", is, failed)
	}

	var line struct {
		Protocol      string
		Status        int
		GRPCStatus    string `json:"grpc_status"`
		RequestBytes  int64  `json:"request_bytes"`
		ResponseBytes int64  `json:"response_bytes"`
		Flags         string
	}
	if err := json.Unmarshal([]byte(p.accessed(`"trace_id":"`+trace+`"`)), &line); err != nil {
		t.Fatal(err)
	}
	e := events.of(t, trace)
	grpcStatus := ""
	if e.GRPC != nil {
		grpcStatus = e.GRPC.Status
	}
	for what, got := range map[string]protocolCase{
		"the access log": {client: line.Protocol, status: line.Status, grpcStatus: line.GRPCStatus, in: line.RequestBytes, out: line.ResponseBytes, flags: line.Flags, socket: c.socket},
		"the tap":        {client: e.Protocol, status: e.Status, grpcStatus: grpcStatus, in: e.RequestBytes, out: e.ResponseBytes, flags: strings.Join(e.Flags, ","), socket: e.WebSocket},
	} {
		if c.in < 0 {
			got.in = c.in
		}
		if c.out < 0 {
			got.out = c.out
		}
		if want := (protocolCase{client: c.client, status: c.status, grpcStatus: c.grpcStatus, in: c.in, out: c.out, flags: c.flags, socket: c.socket}); got != want {
			t.Errorf("%s says %+v, want %+v", what, got, want)
		}
	}
}

// counted holds metrics to all cases together.
func (p *process) counted(t *testing.T, cases []protocolCase) {
	t.Helper()
	in, codes, calls := int64(0), map[int]int{}, map[string]int{}
	for _, c := range cases {
		in += c.in
		codes[c.status]++
		if c.grpc {
			calls[c.grpcStatus]++
		}
	}
	const route = `route="HTTPRoute/default/app"`
	if got := p.metric("gridway_route_request_bytes_total", route); got != float64(in) {
		t.Errorf("%v bytes of requests were counted, want %d", got, in)
	}
	if got := p.metric("gridway_route_requests_total", route); got != float64(len(cases)) {
		t.Errorf("%v exchanges were counted, want %d", got, len(cases))
	}
	for code, want := range calls {
		if got := p.metric("gridway_grpc_calls_total", `status="`+code+`"`); got != float64(want) {
			t.Errorf("%v calls with %s were counted, want %d", got, code, want)
		}
	}
	if got := p.metric("gridway_route_websocket_connections_opened_total", `route="HTTPRoute/default/sockets"`); got != 1 {
		t.Errorf("%v WebSockets were counted", got)
	}
}

var grpcCodes = map[string]string{"OK": "0", "INTERNAL": "13", "DEADLINE_EXCEEDED": "4"}

// over sends by a client to a base URL.
func over(t *testing.T, client *http.Client, base string) sentWith {
	return func(path string, body io.Reader, header http.Header) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "POST", base+path, body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header, req.Host = header, "a.example"
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Error(err)
		}
		if v := resp.Header.Get("Grpc-Status"); v != "" {
			return resp.StatusCode, v
		}
		return resp.StatusCode, resp.Trailer.Get("Grpc-Status")
	}
}

// tapEvents are what a tap has shown.
type tapEvents struct {
	mu   sync.Mutex
	list []tap.Event // guarded by mu
}

// tapped begins to look, with parameters of the tap.
func (p *process) tapped(query string) *tapEvents {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), "GET", "http://localhost/v1/tap?for=10m&"+query, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	client := *p.api
	client.Timeout = 0 // it goes on
	resp, err := client.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("a tap: %v %v", resp, err)
	}
	e := &tapEvents{}
	done := make(chan struct{})
	p.t.Cleanup(func() { resp.Body.Close(); <-done })
	go func() {
		defer close(done)
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			var v tap.Event
			if json.Unmarshal(lines.Bytes(), &v) == nil {
				e.mu.Lock()
				e.list = append(e.list, v)
				e.mu.Unlock()
			}
		}
	}()
	return e
}

// of waits for the exchange of a trace.
func (e *tapEvents) of(t *testing.T, trace string) (found tap.Event) {
	t.Helper()
	eventually(t, "an event of the tap", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		for i := range e.list {
			if v := &e.list[i]; v.Type == tap.Exchange && v.TraceID == trace {
				found = *v
				return true
			}
		}
		return false
	})
	return found
}

// exchanged sends a frame, and waits for one.
func exchanged(c io.ReadWriter, f ws.Frame) error {
	err := ws.WriteFrame(c, ws.MaskFrame(f))
	if err != nil {
		return err
	}
	h, err := ws.ReadHeader(c)
	if err == nil {
		_, err = io.CopyN(io.Discard, c, h.Length)
	}
	return err
}
