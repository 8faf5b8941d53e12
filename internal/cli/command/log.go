package command

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/gridway/gridway/internal/telemetry/logqueue"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// OpenLog makes the log of a gateway. Neither requests nor a reload nor the end
// wait for who reads it.
func (s *Proxy) OpenLog(out io.Writer, o *slog.HandlerOptions) (*slog.Logger, error) {
	var log *slog.Logger
	handler := func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, o) }
	switch s.LogFormat {
	case "text":
	case "json":
		handler = func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, o) }
	default:
		return nil, Usagef("", "--log-format must be text or json, not %q", s.LogFormat)
	}
	ready := make(chan struct{})
	s.log = logqueue.New(logqueue.Options{Out: out, Lost: func(dropped uint64) {
		<-ready
		log.Warn("log lines were lost: the output took none", "dropped", dropped)
	}})
	log = slog.New(handler(s.log))
	close(ready)
	return log, nil
}

// logFlush bounds the wait for a log that takes nothing any more.
const logFlush = time.Second

// CloseLog waits for the log's last lines. If nobody takes them, nobody takes
// an error either.
func (s *Proxy) CloseLog(err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), logFlush)
	defer cancel()
	if s.log.Close(ctx) != nil && err != nil {
		return ErrProblems
	}
	return err
}

// LogStats counts lines of the log.
func (s *Proxy) LogStats() metric.LogStats {
	l := s.log.Stats()
	return metric.LogStats{Written: l.Written, Dropped: l.Dropped, Errors: l.Errors}
}
