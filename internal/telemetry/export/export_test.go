package export_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/telemetry/export"
	"github.com/gridway/gridway/internal/telemetry/otlp"
	"github.com/gridway/gridway/internal/telemetry/otlp/otlptest"
)

// protocols are both ways to speak OTLP.
var protocols = map[string]func(testing.TB, string, *tls.Config) *otlptest.Receiver{"http": otlptest.HTTP, "grpc": otlptest.GRPC}

func sink(protocol, address string) *ir.TelemetrySink {
	return &ir.TelemetrySink{
		Name: "default/test", QueueItems: 1000, QueueBytes: 1 << 20,
		OTLP: &ir.OTLPSink{
			HTTP: protocol == "http", Address: address, Gzip: true, Timeout: 5 * time.Second, BatchDelay: 10 * time.Millisecond,
			Headers: []ir.Header{{Name: "api-key", Value: "open sesame"}},
		},
	}
}

func exporter(t *testing.T, sinks ...*ir.TelemetrySink) *export.Exporter {
	t.Helper()
	x := export.New(export.Options{})
	if err := x.Apply(sinks); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(x, 0) })
	return x
}

func end(x *export.Exporter, within time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	x.Close(ctx)
}

// record is a LogRecord with a body of text.
func record(s string) []byte {
	b := append([]byte{10, byte(len(s))}, s...) // AnyValue
	return append([]byte{42, byte(len(b))}, b...)
}

var resource = otlp.NewResource("1", otlp.Attribute{Key: "service.name", Value: "edge"})

// bodies are the texts that the receiver has taken.
func bodies(t *testing.T, r *otlptest.Receiver) string {
	var out []string
	for _, l := range r.Records(t) {
		out = append(out, l.GetBody().GetStringValue())
	}
	return strings.Join(out, " ")
}

func logs(x *export.Exporter) export.SignalState { return x.States()[0].Signals[export.Logs] }

// until waits for what nothing tells of.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 60_000 {
		if ok() {
			return
		}
		<-tick.C
	}
	t.Fatal("it does not come")
}

func TestDelivers(t *testing.T) {
	for name, open := range protocols {
		t.Run(name, func(t *testing.T) {
			r := open(t, "", nil)
			x := exporter(t, sink(name, r.Address))
			s := x.Sink("default/test")
			for i := range 3 {
				if !s.Send(export.Logs, resource, record(fmt.Sprint(i))) {
					t.Fatal("there is room")
				}
			}
			s.Send(export.Traces, resource, nil)
			s.Send(export.Metrics, resource, nil)
			end(x, time.Minute)
			if got := bodies(t, r); got != "0 1 2" {
				t.Errorf("got %q", got)
			}
			if len(r.Spans(t)) != 1 || len(r.Metrics(t)) != 1 {
				t.Errorf("got %d and %d requests with spans and metrics", len(r.Spans(t)), len(r.Metrics(t)))
			}
			l := r.Logs(t)[0]
			if got := l.Resource.Attributes[0].Value.GetStringValue(); got != "edge" {
				t.Errorf("resource of %q", got)
			}
			if got := r.Requests()[0].Headers.Get("api-key"); got != "open sesame" {
				t.Errorf("header %q", got)
			}
			if s.Send(export.Logs, resource, nil) {
				t.Error("it was closed")
			}
		})
	}
}

// A receiver that asks for patience gets it, one that refuses is not asked again, and what
// it rejects of a request is counted.
func TestAnswers(t *testing.T) {
	patience, err := status.New(codes.ResourceExhausted, "later").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		protocol string
		first    otlptest.Answer
		atLeast  time.Duration
		asked    int
		want     export.SignalState
	}{
		{"retry after", "http", otlptest.Answer{Status: 503, RetryAfter: "1"}, time.Second, 2, export.SignalState{Sent: 1, Retries: 1}},
		{"throttled", "http", otlptest.Answer{Status: 429}, 0, 2, export.SignalState{Sent: 1, Retries: 1}},
		{"refused", "http", otlptest.Answer{Status: 400}, 0, 1, export.SignalState{Failed: 1, Refused: 1}},
		{"broken", "http", otlptest.Answer{Status: 500}, 0, 1, export.SignalState{Failed: 1, Refused: 1}},
		{"partial", "http", otlptest.Answer{Rejected: 1, Message: "too old"}, 0, 1, export.SignalState{Rejected: 1}},
		{"partial, with a parameter", "http", otlptest.Answer{Rejected: 1, Type: "Application/X-Protobuf; charset=utf-8"}, 0, 1, export.SignalState{Rejected: 1}},
		{"another type", "http", otlptest.Answer{Rejected: 1, Type: "text/html"}, 0, 1, export.SignalState{Sent: 1}},
		{"retry info", "grpc", otlptest.Answer{Err: patience.Err()}, time.Second, 2, export.SignalState{Sent: 1, Retries: 1}},
		{"unavailable", "grpc", otlptest.Answer{Err: status.Error(codes.Unavailable, "not yet")}, 0, 2, export.SignalState{Sent: 1, Retries: 1}},
		{"exhausted", "grpc", otlptest.Answer{Err: status.Error(codes.ResourceExhausted, "too large")}, 0, 1, export.SignalState{Failed: 1, Refused: 1}},
		{"invalid", "grpc", otlptest.Answer{Err: status.Error(codes.InvalidArgument, "what?")}, 0, 1, export.SignalState{Failed: 1, Refused: 1}},
		{"partial over gRPC", "grpc", otlptest.Answer{Rejected: 1, Message: "too old"}, 0, 1, export.SignalState{Rejected: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := protocols[c.protocol](t, "", nil)
			first := true
			r.Respond(func(otlptest.Request) otlptest.Answer {
				if first {
					first = false
					return c.first
				}
				return otlptest.Answer{}
			})
			x := exporter(t, sink(c.protocol, r.Address))
			began := time.Now()
			x.Sink("default/test").Send(export.Logs, resource, record("x"))
			until(t, func() bool { return logs(x).Items == 0 })
			got := logs(x)
			if failed := got.LastFailed; failed.IsZero() != (c.first.Rejected > 0) {
				t.Errorf("the last failure was at %v", failed)
			}
			if sent := got.LastSent; sent.IsZero() != (c.want.Failed > 0) {
				t.Errorf("something was taken at %v last", sent)
			}
			got.Signal, got.Bytes, got.ItemsLimit, got.BytesLimit, got.LastSent, got.LastFailed = 0, 0, 0, 0, time.Time{}, time.Time{}
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if took := time.Since(began); took < c.atLeast {
				t.Errorf("asked again after %s", took)
			}
			if r.Asked() != c.asked {
				t.Errorf("asked %d times, want %d", r.Asked(), c.asked)
			}
		})
	}
}

// A queue that is full drops what comes, and never blocks who sends.
func TestFullQueue(t *testing.T) {
	r := otlptest.HTTP(t, "", nil)
	hold := make(chan struct{})
	r.Respond(func(otlptest.Request) otlptest.Answer { return otlptest.Answer{Wait: hold} })
	cfg := sink("http", r.Address)
	cfg.QueueItems = 5
	x := exporter(t, cfg)
	s := x.Sink("default/test")
	s.Send(export.Logs, resource, record("0"))
	r.Wait(t, "the first request", func() bool { return r.Asked() == 1 })
	taken := 0
	for range 10 {
		if s.Send(export.Logs, resource, record("x")) {
			taken++
		}
	}
	if n := logs(x); taken != 4 || n.Dropped != 6 || n.Items != 5 {
		t.Errorf("%d taken, %+v", taken, n)
	}
	close(hold)
	end(x, time.Minute)
	if got := bodies(t, r); got != "0 x x x x" {
		t.Errorf("got %q", got)
	}
	cfg = sink("http", r.Address)
	cfg.QueueBytes = 64
	x = exporter(t, cfg)
	if x.Sink("default/test").Send(export.Logs, resource, bytes.Repeat([]byte("x"), 63)) {
		t.Error("65 bytes in a queue of 64")
	}
}

// A receiver that is gone is asked until it is back, and what was sent meanwhile is there.
func TestGoneAndBack(t *testing.T) {
	for name, open := range protocols {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var address string
			t.Run("first", func(t *testing.T) { address = open(t, "", nil).Address }) // it ends with the test
			x := exporter(t, sink(name, address))
			s := x.Sink("default/test")
			s.Send(export.Logs, resource, record("lost?"))
			until(t, func() bool { return x.States()[0].Asked })
			if st := x.States()[0]; st.Up || st.Problem == "" {
				t.Errorf("a sink that is gone: %+v", st)
			}
			r := open(t, address, nil)
			r.Wait(t, "the record", func() bool { return len(r.Requests()) > 0 })
			if got := bodies(t, r); got != "lost?" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// A sink that changes keeps what waits; one that goes is sent what waits.
func TestChange(t *testing.T) {
	first, second := otlptest.HTTP(t, "", nil), otlptest.GRPC(t, "", nil)
	hold := make(chan struct{})
	defer close(hold)
	first.Respond(func(otlptest.Request) otlptest.Answer { return otlptest.Answer{Wait: hold} })
	cfg := sink("http", first.Address)
	cfg.OTLP.Timeout = 100 * time.Millisecond
	x := exporter(t, cfg)
	s := x.Sink("default/test")
	s.Send(export.Logs, resource, record("kept"))
	first.Wait(t, "a request", func() bool { return first.Asked() > 0 })
	if err := x.Apply([]*ir.TelemetrySink{sink("grpc", second.Address)}); err != nil {
		t.Fatal(err)
	}
	second.Wait(t, "the record", func() bool { return len(second.Requests()) == 1 })
	s.Send(export.Logs, resource, record("last"))
	if err := x.Apply(nil); err != nil {
		t.Fatal(err)
	}
	second.Wait(t, "the last record", func() bool { return len(second.Requests()) == 2 })
	if s.Takes() || s.Send(export.Logs, resource, nil) {
		t.Error("it is not configured any more")
	}
	if got := bodies(t, second); got != "kept last" {
		t.Errorf("got %q", got)
	}
}

// The end is bounded, whatever the receiver does.
func TestHangingEnd(t *testing.T) {
	for name, open := range protocols {
		t.Run(name, func(t *testing.T) {
			r := open(t, "", nil)
			r.Respond(func(otlptest.Request) otlptest.Answer { return otlptest.Answer{Wait: make(chan struct{})} })
			x := exporter(t, sink(name, r.Address))
			x.Sink("default/test").Send(export.Logs, resource, record("x"))
			began := time.Now()
			end(x, 100*time.Millisecond)
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	for name, open := range protocols {
		t.Run(name, func(t *testing.T) {
			pair := httptest.NewTLSServer(nil)
			defer pair.Close()
			r := open(t, "", &tls.Config{Certificates: pair.TLS.Certificates, MinVersion: tls.VersionTLS12})
			cfg := sink(name, r.Address)
			cfg.OTLP.TLS = &ir.UpstreamTLS{System: true}
			x := exporter(t, cfg)
			x.Sink("default/test").Send(export.Logs, resource, record("x"))
			until(t, func() bool { return x.States()[0].Problem != "" })
			if got := x.States()[0].Problem; !strings.Contains(got, "certificate") {
				t.Errorf("an unknown authority: %s", got)
			}
			if len(r.Requests()) > 0 {
				t.Error("it was sent something")
			}
		})
	}
}

func BenchmarkSend(b *testing.B) {
	r := otlptest.HTTP(b, "", nil)
	x := export.New(export.Options{})
	if err := x.Apply([]*ir.TelemetrySink{{Name: "default/test", QueueItems: 10000, QueueBytes: 16 << 20, OTLP: sink("http", r.Address).OTLP}}); err != nil {
		b.Fatal(err)
	}
	defer end(x, time.Second)
	s, rec := x.Sink("default/test"), bytes.Repeat([]byte("x"), 300)
	b.ReportAllocs()
	for b.Loop() {
		s.Send(export.Logs, resource, rec)
	}
}
