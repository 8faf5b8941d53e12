package export

import (
	"bytes"
	stdgzip "compress/gzip"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/otlp"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

// spans are a batch of them, as a gateway sends it.
func spans() []byte {
	var records []byte
	for i := range batchItems / 2 {
		id := trace.NewID()
		x := &trace.Exchange{
			Entry: &accesslog.Entry{
				Start: time.Unix(1_700_000_000, int64(i)*1_000_003), Duration: time.Millisecond + time.Duration(i)*1003, Method: []byte("GET"), Scheme: "http",
				Host: []byte("shop.example"), Path: fmt.Appendf(nil, "/catalog/items/%d", i*7919%1000), Protocol: "HTTP/1.1", Status: 200, RequestID: []byte(trace.NewID().String()),
				Listener: "0.0.0.0:8080", Route: "HTTPRoute/default/catalog", Rule: "HTTPRoute/default/catalog/rules/0", Cluster: "Backend/default/catalog", UserAgent: []byte("curl/8.5.0"),
			},
			Trace: id, Span: trace.NewSpan(), Sampled: true,
			Tries: []trace.Try{{Number: 1, Endpoint: "10.0.0.1:9001", Head: time.Millisecond, End: time.Millisecond, Status: 200}},
		}
		records = otlp.AppendRecord(records, trace.AppendSpan(nil, x, nil))
		records = otlp.AppendRecord(records, trace.AppendTry(nil, x, &x.Tries[0]))
	}
	return records
}

func TestPack(t *testing.T) {
	for _, request := range [][]byte{nil, []byte("a"), spans(), make([]byte, 3<<20)} {
		r, err := stdgzip.NewReader(bytes.NewReader(pack(request)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, request) {
			t.Errorf("%d bytes became %d: %v", len(request), len(got), err)
		}
	}
}

func BenchmarkPack(b *testing.B) {
	request := spans()
	b.SetBytes(int64(len(request)))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n = len(pack(request))
	}
	b.ReportMetric(float64(n), "packed-bytes")
}
