package peers

import (
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Collector takes OTLP over HTTP, compressed as it is by default, and counts the spans.
type Collector struct {
	Addr  string
	srv   *http.Server
	done  chan struct{}
	spans atomic.Int64
}

// StartCollector starts it inside this process.
func StartCollector(ctx context.Context) (*Collector, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &Collector{Addr: ln.Addr().String(), done: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", c.traces)
	mux.HandleFunc("POST /v1/metrics", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a client that is gone has nobody to tell
		w.Header().Set("Content-Type", "application/x-protobuf")
	})
	c.srv = &http.Server{ReadHeaderTimeout: time.Minute, Handler: mux}
	go func() {
		defer close(c.done)
		_ = c.srv.Serve(ln) // returns when closed
	}()
	return c, nil
}

// Stop closes it.
func (c *Collector) Stop() {
	_ = c.srv.Close()
	<-c.done
}

// Spans is how many have come so far.
func (c *Collector) Spans() int64 { return c.spans.Load() }

func (c *Collector) traces(w http.ResponseWriter, r *http.Request) {
	var batch tracepb.TracesData // of the same form as the request
	text, err := gzip.NewReader(r.Body)
	if err == nil {
		var body []byte
		if body, err = io.ReadAll(io.LimitReader(text, 16<<20)); err == nil {
			err = proto.Unmarshal(body, &batch)
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, resource := range batch.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			c.spans.Add(int64(len(scope.GetSpans())))
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf") // an empty message: all were taken
}
