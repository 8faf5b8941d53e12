// Package otlptest is a receiver of OTLP for tests: over gRPC and over HTTP, in clear text
// or with TLS, with answers that a test chooses.
package otlptest

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	grpcgzip "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Request is one that came in.
type Request struct {
	// Path is "/v1/logs", or the full method of gRPC.
	Path    string
	Headers http.Header // metadata, of gRPC
	Body    []byte      // without compression
}

// Answer is what a request gets. The zero value takes everything.
type Answer struct {
	// Status of HTTP and its Retry-After, or Err of gRPC.
	Status     int
	RetryAfter string
	Err        error
	// Rejected and Message are a partial success.
	Rejected int64
	Message  string
	// Type is the media type of HTTP; empty is application/x-protobuf.
	Type string
	// Wait holds the answer until the channel is closed, or the request is given up.
	Wait <-chan struct{}
}

// Receiver collects what it is sent. Make it with HTTP or GRPC.
type Receiver struct {
	// Address is "HOST:PORT".
	Address string

	mu       sync.Mutex // guards what follows
	requests []Request  // those that were taken
	answer   func(Request) Answer
	changed  chan struct{}
	asked    int
}

func newReceiver() *Receiver {
	return &Receiver{answer: func(Request) Answer { return Answer{} }, changed: make(chan struct{})}
}

// Respond has all requests from now on answered by f.
func (r *Receiver) Respond(f func(Request) Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// HTTP starts one that speaks OTLP/HTTP at an address, or at one of its own if that is
// empty. The test ends it.
func HTTP(t testing.TB, address string, config *tls.Config) *Receiver {
	t.Helper()
	r := newReceiver()
	server := httptest.NewUnstartedServer(http.HandlerFunc(r.serveHTTP))
	server.EnableHTTP2 = true
	if address != "" {
		_ = server.Listener.Close()
		server.Listener = listen(t, address)
	}
	if config != nil {
		server.TLS = config
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	r.Address = server.Listener.Addr().String()
	return r
}

func listen(t testing.TB, address string) net.Listener {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (r *Receiver) serveHTTP(w http.ResponseWriter, h *http.Request) {
	body, err := io.ReadAll(h.Body)
	if err == nil && h.Header.Get("Content-Encoding") == "gzip" {
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
			body, err = io.ReadAll(z)
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	request := Request{Path: h.URL.Path, Headers: h.Header, Body: body}
	a := r.take(request, h.Context().Done())
	if a.Status != 0 && a.Status != http.StatusOK {
		if a.RetryAfter != "" {
			w.Header().Set("Retry-After", a.RetryAfter)
		}
		w.WriteHeader(a.Status)
		return
	}
	w.Header().Set("Content-Type", cmp.Or(a.Type, "application/x-protobuf"))
	_, _ = w.Write(a.body())
}

// GRPC starts one that speaks OTLP/gRPC.
func GRPC(t testing.TB, address string, config *tls.Config) *Receiver {
	t.Helper()
	r := newReceiver()
	l := listen(t, address)
	_ = grpcgzip.Name // it is registered by being linked
	options := []grpc.ServerOption{grpc.ForceServerCodec(raw{}), grpc.UnknownServiceHandler(r.serveGRPC)}
	if config != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(config)))
	}
	server := grpc.NewServer(options...)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-served
	})
	r.Address = l.Addr().String()
	return r
}

func (r *Receiver) serveGRPC(_ any, s grpc.ServerStream) error {
	var body []byte
	if err := s.RecvMsg(&body); err != nil {
		return err
	}
	method, _ := grpc.MethodFromServerStream(s)
	m, _ := metadata.FromIncomingContext(s.Context())
	headers := http.Header{}
	for name, values := range m {
		for _, v := range values {
			headers.Add(name, v)
		}
	}
	a := r.take(Request{Path: method, Headers: headers, Body: body}, s.Context().Done())
	if a.Err != nil {
		return a.Err
	}
	answer := a.body()
	return s.SendMsg(&answer)
}

func (r *Receiver) take(q Request, gone <-chan struct{}) Answer {
	r.mu.Lock()
	a := r.answer(q)
	r.asked++
	r.tell()
	r.mu.Unlock()
	if a.Wait != nil {
		select {
		case <-a.Wait:
		case <-gone:
			return Answer{Status: http.StatusServiceUnavailable, Err: errors.New("given up")}
		}
	}
	if a.Err == nil && (a.Status == 0 || a.Status == http.StatusOK) {
		r.mu.Lock()
		r.requests = append(r.requests, q)
		r.tell()
		r.mu.Unlock()
	}
	return a
}

// tell wakes who waits. mu is held.
func (r *Receiver) tell() {
	close(r.changed)
	r.changed = make(chan struct{})
}

func (a Answer) body() []byte {
	if a.Rejected == 0 && a.Message == "" {
		return nil
	}
	inner := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(a.Rejected))
	inner = protowire.AppendString(protowire.AppendTag(inner, 2, protowire.BytesType), a.Message)
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), inner)
}

// Requests are those that were taken so far.
func (r *Receiver) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// Asked is how many requests have come, taken or not.
func (r *Receiver) Asked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// Wait waits until ok holds, and fails the test if it does not within a minute.
func (r *Receiver) Wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			t.Fatalf("the receiver has waited for %s in vain", what)
		}
	}
}

// Logs are the log records that were taken, with their resources.
func (r *Receiver) Logs(t testing.TB) []*logspb.ResourceLogs {
	t.Helper()
	var out []*logspb.ResourceLogs
	for _, q := range r.of("logs") {
		out = append(out, decode(t, q.Body, &logspb.LogsData{}).ResourceLogs...)
	}
	return out
}

// Records are the log records alone.
func (r *Receiver) Records(t testing.TB) []*logspb.LogRecord {
	t.Helper()
	var out []*logspb.LogRecord
	for _, l := range r.Logs(t) {
		for _, s := range l.ScopeLogs {
			out = append(out, s.LogRecords...)
		}
	}
	return out
}

// Spans are those that were taken, with their resources.
func (r *Receiver) Spans(t testing.TB) []*tracepb.ResourceSpans {
	t.Helper()
	var out []*tracepb.ResourceSpans
	for _, q := range r.of("traces") {
		out = append(out, decode(t, q.Body, &tracepb.TracesData{}).ResourceSpans...)
	}
	return out
}

// Metrics are those that were taken, with their resources.
func (r *Receiver) Metrics(t testing.TB) []*metricspb.ResourceMetrics {
	t.Helper()
	var out []*metricspb.ResourceMetrics
	for _, q := range r.of("metrics") {
		out = append(out, decode(t, q.Body, &metricspb.MetricsData{}).ResourceMetrics...)
	}
	return out
}

func (r *Receiver) of(signal string) []Request {
	return slices.DeleteFunc(r.Requests(), func(q Request) bool {
		return !strings.HasSuffix(q.Path, "/v1/"+signal) && !strings.Contains(q.Path, "collector."+strings.TrimSuffix(signal, "s")+".") && !strings.Contains(q.Path, "collector."+signal+".")
	})
}

// decode reads a request, which has the same form as the data that it carries.
func decode[M proto.Message](t testing.TB, body []byte, m M) M {
	t.Helper()
	if err := proto.Unmarshal(body, m); err != nil {
		t.Fatal(err)
	}
	return m
}

type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = bytes.Clone(data)
	return nil
}
func (raw) Name() string { return "proto" }
