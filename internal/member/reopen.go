package member

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// reopenTimeout bounds the wait for a log that takes nothing.
const reopenTimeout = 5 * time.Second

// reopen opens the files of access logs anew at each SIGHUP, after they were renamed. The
// application beside a sidecar gets the signal, too. Where the process was told to ignore
// it (nohup), it stays ignored.
func (m *member) reopen(ctx context.Context) error {
	if signal.Ignored(syscall.SIGHUP) {
		return nil
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangup:
			wait, cancel := context.WithTimeout(ctx, reopenTimeout)
			if err := errors.Join(m.logging.Reopen(wait), m.plane.ReopenLogs(wait)); err != nil {
				m.log.Error("cannot reopen the access log", "error", err)
			}
			cancel()
		}
	}
}
