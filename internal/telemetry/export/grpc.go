package export

import (
	"context"
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/telemetry/otlp"
	"github.com/gridway/gridway/internal/wire/tlsx"
)

// maxConnectPause bounds how long a receiver that is back is taken to be gone.
const maxConnectPause = 5 * time.Second

// overGRPC is OTLP/gRPC.
type overGRPC struct {
	conn    *grpc.ClientConn
	headers metadata.MD
	options []grpc.CallOption
}

func newGRPC(cfg *ir.OTLPSink) (*overGRPC, error) {
	t := &overGRPC{headers: metadata.MD{}, options: []grpc.CallOption{grpc.ForceCodec(rawCodec{}), grpc.MaxCallRecvMsgSize(maxResponse)}}
	for _, h := range cfg.Headers {
		t.headers.Append(h.Name, h.Value)
	}
	if cfg.Gzip {
		t.options = append(t.options, grpc.UseCompressor(gzip.Name))
	}
	secure := insecure.NewCredentials()
	if cfg.TLS != nil {
		config, err := tlsx.ClientConfig(cfg.TLS)
		if err != nil {
			return nil, err
		}
		config.NextProtos = nil // it offers HTTP/2 itself
		secure = credentials.NewTLS(config)
	}
	conn, err := grpc.NewClient("dns:///"+cfg.Address, grpc.WithTransportCredentials(secure), grpc.WithUserAgent(userAgent), grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: dialTimeout, Backoff: backoff.Config{BaseDelay: firstPause, Multiplier: 2, Jitter: 0.2, MaxDelay: maxConnectPause}}))
	if err != nil {
		return nil, err
	}
	t.conn = conn
	return t, nil
}

func (t *overGRPC) close() { _ = t.conn.Close() }

func (t *overGRPC) send(ctx context.Context, signal Signal, request []byte) outcome {
	var answer []byte
	err := t.conn.Invoke(metadata.NewOutgoingContext(ctx, t.headers), signal.method(), &request, &answer, t.options...)
	if err == nil {
		var o outcome
		o.rejected, o.message = otlp.PartialSuccess(answer)
		return o
	}
	s := status.Convert(err)
	o := outcome{err: describe("%s: %s", s.Code(), s.Message())}
	switch s.Code() {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		o.retry = true
		o.after, _ = retryInfo(s)
	case codes.ResourceExhausted: // may be tried again only if the receiver says when
		o.after, o.retry = retryInfo(s)
	}
	return o
}

// retryInfo is how long the receiver wants to be left alone.
func retryInfo(s *status.Status) (time.Duration, bool) {
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			return max(0, info.GetRetryDelay().AsDuration()), true
		}
	}
	return 0, false
}

// rawCodec leaves messages as the bytes that they are.
type rawCodec struct{}

var errNotBytes = errors.New("a message is not bytes")

func (rawCodec) Marshal(v any) ([]byte, error) {
	if b, ok := v.(*[]byte); ok {
		return *b, nil
	}
	return nil, errNotBytes
}

func (rawCodec) Unmarshal(data []byte, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return errNotBytes
	}
	*b = append((*b)[:0], data...)
	return nil
}

func (rawCodec) Name() string { return "proto" }
