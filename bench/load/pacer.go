package load

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// pacer waits with the precision of the kernel's high-resolution timers. Go's
// own timers wake an idle process on whole milliseconds only, which would be
// most of the latencies measured here.
type pacer struct {
	fd int
	f  *os.File
}

func newPacer() (*pacer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("timerfd: %w", err)
	}
	// Non-blocking, so the runtime polls it beside the sockets.
	return &pacer{fd: fd, f: os.NewFile(uintptr(fd), "timerfd")}, nil
}

func (p *pacer) Close() error { return p.f.Close() }

// Until returns at t, or at once when t has passed.
func (p *pacer) Until(t time.Time) error {
	left := time.Until(t)
	if left <= 0 {
		return nil
	}
	at := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(left))}
	if err := unix.TimerfdSettime(p.fd, 0, &at, nil); err != nil {
		return fmt.Errorf("timerfd: %w", err)
	}
	var expirations [8]byte
	_, err := p.f.Read(expirations[:])
	return err
}
