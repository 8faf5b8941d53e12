package export

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/gridway/gridway/internal/ir"
)

// Signal is a kind of telemetry.
type Signal uint8

// The signals.
const (
	Traces Signal = iota
	Metrics
	Logs
	signals
)

func (s Signal) String() string { return [...]string{"traces", "metrics", "logs"}[s] }

// path is where requests of the signal go over HTTP.
func (s Signal) path() string { return "/v1/" + s.String() }

// method is whom they are for over gRPC.
func (s Signal) method() string {
	service := [...]string{"trace.v1.TraceService", "metrics.v1.MetricsService", "logs.v1.LogsService"}[s]
	return "/opentelemetry.proto.collector." + service + "/Export"
}

// transport sends a request of OTLP.
type transport interface {
	send(ctx context.Context, signal Signal, request []byte) outcome
	close()
}

// outcome is what became of a request. Without err it was taken, but for rejected records.
type outcome struct {
	err error
	// retry says that it may be tried again, after this time if it is not zero.
	retry bool
	after time.Duration

	rejected int64
	message  string // why, or a warning
}

// maxMessage bounds what a receiver says, in bytes.
const maxMessage = 256

// clip bounds what somebody else has said, and leaves whole characters that can be shown.
func clip(s string) string {
	out := make([]rune, 0, min(len(s), maxMessage))
	for _, r := range s {
		if len(string(out)) >= maxMessage {
			return string(out) + "…"
		}
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			r = ' '
		}
		out = append(out, r)
	}
	return string(out)
}

func newTransport(cfg *ir.OTLPSink) (transport, error) {
	if cfg.HTTP {
		return newHTTP(cfg)
	}
	return newGRPC(cfg)
}

func describe(format string, args ...any) error {
	return errors.New(clip(fmt.Sprintf(format, args...)))
}
