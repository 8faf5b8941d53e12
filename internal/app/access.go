package app

import (
	"context"
	"errors"
	"time"

	"github.com/gridway/gridway/internal/telemetry/accesslog"
)

// accessLog is the logger with the file behind it, if there is one. Its zero
// value writes nothing.
type accessLog struct {
	logger *accesslog.Logger
	file   *accesslog.File
}

func openAccessLog(o Options) (*accessLog, error) {
	opt := accesslog.Options{Log: o.Log, Omit: o.AccessLogOmit}
	switch o.AccessLog {
	case "off", "":
		return &accessLog{}, nil
	case "stdout":
		return &accessLog{logger: accesslog.New(o.Stdout, opt)}, nil
	case "stderr":
		opt.Log = nil // it must not write to the same output
		return &accessLog{logger: accesslog.New(o.Stderr, opt)}, nil
	}
	f, err := accesslog.OpenFile(o.AccessLog)
	if err != nil {
		return nil, err
	}
	return &accessLog{logger: accesslog.New(f, opt), file: f}, nil
}

func (a *accessLog) reopen(ctx context.Context) error {
	if a.logger == nil || a.file == nil {
		return nil
	}
	return a.logger.Reopen(ctx)
}

// flushTimeout bounds the wait for an output that takes nothing any more.
const flushTimeout = 2 * time.Second

func (a *accessLog) close() error {
	if a.logger == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	err := a.logger.Close(ctx)
	if a.file != nil {
		err = errors.Join(err, a.file.Close())
	}
	return err
}
