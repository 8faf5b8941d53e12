package accesslog

import (
	"context"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// typical is a plain request to a healthy upstream.
func typical() *Entry {
	return &Entry{
		Start: time.Unix(1_700_000_000, 123_456_789), Duration: 1234 * time.Microsecond, Upstream: 1100 * time.Microsecond,
		RequestID: []byte("0190f3c2-7a51-7d1e"), Method: []byte("GET"), Scheme: "http", Host: []byte("shop.example"),
		Path: []byte("/catalog/items/42"), Protocol: "HTTP/1.1", Status: 200,
		Listener: "0.0.0.0:8080", Route: "HTTPRoute/default/catalog", Rule: "0", Cluster: "Backend/default/catalog", Endpoint: "10.0.0.1:9001",
		Attempts: 1, ResponseBytes: 1024, Client: netip.MustParseAddr("192.0.2.1"), UserAgent: []byte("curl/8.5.0"), Revision: 7,
	}
}

// cpuPerOp reports CPU time, which a busy machine disturbs less than wall time.
func cpuPerOp(b *testing.B, f func()) {
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	f()
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	cpu := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(cpu)/float64(b.N), "cpu-ns/op")
}

func BenchmarkEncode(b *testing.B) {
	for name, e := range map[string]*Entry{"typical": typical(), "full": full()} {
		b.Run(name, func(b *testing.B) {
			c := &encoder{maxField: defaultMaxField}
			buf := make([]byte, 0, 64<<10)
			b.ReportAllocs()
			cpuPerOp(b, func() {
				for range b.N {
					buf = c.append(buf[:0], e)
				}
			})
			b.ReportMetric(float64(len(buf)), "bytes/op")
		})
	}
}

type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkLog is the whole cost, the writer's goroutine included, at a rate
// that drops nothing.
func BenchmarkLog(b *testing.B) {
	l := New(nowhere{}, Options{})
	b.ReportAllocs()
	cpuPerOp(b, func() {
		b.RunParallel(func(pb *testing.PB) {
			e := typical()
			for i := 0; pb.Next(); i++ {
				l.Log(e)
				if i%256 == 255 {
					_ = l.Flush(context.Background())
				}
			}
		})
	})
	b.ReportMetric(float64(l.Stats().Dropped)/float64(b.N), "dropped/op")
	if err := l.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
}
