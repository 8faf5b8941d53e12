package cli

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/gridway/gridway/internal/telemetry/logqueue"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// openLog makes the log of a gateway. Neither requests nor a reload nor the end
// wait for who reads it.
func (s *serving) openLog(out io.Writer, o *slog.HandlerOptions) (*slog.Logger, error) {
	var log *slog.Logger
	handler := func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, o) }
	switch s.logFormat {
	case "text":
	case "json":
		handler = func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, o) }
	default:
		return nil, usagef("", "--log-format must be text or json, not %q", s.logFormat)
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

// closeLog waits for the log's last lines. If nobody takes them, nobody takes
// an error either.
func (s *serving) closeLog(err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), logFlush)
	defer cancel()
	if s.log.Close(ctx) != nil && err != nil {
		return errProblems
	}
	return err
}

func (s *serving) logStats() metric.LogStats {
	l := s.log.Stats()
	return metric.LogStats{Written: l.Written, Dropped: l.Dropped, Errors: l.Errors}
}
