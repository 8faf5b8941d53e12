package export

import (
	"bytes"
	"context"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/telemetry/otlp"
	"github.com/gridway/gridway/internal/wire/tlsx"
)

const (
	userAgent    = "gridway"
	dialTimeout  = 5 * time.Second
	idleTimeout  = 90 * time.Second
	maxHeader    = 64 << 10
	maxResponse  = 64 << 10
	protobufType = "application/x-protobuf"
)

// overHTTP is OTLP/HTTP with binary protobuf.
type overHTTP struct {
	cfg       *ir.OTLPSink
	url       string
	transport *http.Transport
	client    http.Client
}

func newHTTP(cfg *ir.OTLPSink) (*overHTTP, error) {
	t := &overHTTP{cfg: cfg, url: "http://" + cfg.Address + cfg.Path}
	dialer := &net.Dialer{Timeout: dialTimeout}
	t.transport = &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: dialTimeout, ForceAttemptHTTP2: true,
		DisableCompression: true, MaxResponseHeaderBytes: maxHeader, MaxIdleConnsPerHost: int(signals), IdleConnTimeout: idleTimeout,
	}
	if cfg.TLS != nil {
		config, err := tlsx.ClientConfig(cfg.TLS)
		if err != nil {
			return nil, err
		}
		config.NextProtos = nil // the transport offers what it can
		t.url = "https://" + cfg.Address + cfg.Path
		t.transport.TLSClientConfig = config
	}
	// Where a receiver sends us is not where the headers with credentials are meant to go.
	t.client = http.Client{Transport: t.transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return t, nil
}

func (t *overHTTP) close() { t.transport.CloseIdleConnections() }

func (t *overHTTP) send(ctx context.Context, signal Signal, request []byte) outcome {
	body := request
	if t.cfg.Gzip {
		body = pack(request)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url+signal.path(), bytes.NewReader(body))
	if err != nil {
		return outcome{err: err}
	}
	for _, h := range t.cfg.Headers {
		r.Header.Add(h.Name, h.Value)
	}
	r.Header.Set("Content-Type", protobufType)
	r.Header.Set("User-Agent", userAgent)
	if t.cfg.Gzip {
		r.Header.Set("Content-Encoding", "gzip")
	}
	answer, err := t.client.Do(r)
	if err != nil {
		return outcome{err: err, retry: true}
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxResponse))
	switch {
	case answer.StatusCode == http.StatusOK:
		if err != nil {
			return outcome{err: err, retry: true}
		}
		var o outcome
		if kind, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type")); err == nil && kind == protobufType {
			o.rejected, o.message = otlp.PartialSuccess(text)
		}
		return o
	case answer.StatusCode/100 == 2: // the specification knows 200 alone, and means it well
		return outcome{}
	}
	o := outcome{err: describe("status %d", answer.StatusCode)}
	switch answer.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		o.retry, o.after = true, retryAfter(answer.Header.Get("Retry-After"), time.Now())
	}
	return o
}

// packers keep what gzip needs to work: much, beside what a batch takes.
var packers = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // which is a level that there is
	return w
}}

// pack compresses a request, and takes little time over it: spans are much alike, so that
// all levels make little of them.
func pack(request []byte) []byte {
	packed := bytes.NewBuffer(make([]byte, 0, len(request)/8+512))
	w, _ := packers.Get().(*gzip.Writer)
	w.Reset(packed)
	_, _ = w.Write(request) // memory takes everything
	_ = w.Close()
	packers.Put(w)
	return packed.Bytes()
}

// retryAfter reads seconds or a date (RFC 9110 §10.2.3); what is neither is zero.
func retryAfter(v string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
