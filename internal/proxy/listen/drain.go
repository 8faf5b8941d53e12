package listen

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/netx"
)

const (
	// acceptGrace bounds how long a drain goes on accepting what keeps coming.
	acceptGrace = 100 * time.Millisecond
	// acceptPause is between two looks for connections that wait.
	acceptPause = 3 * time.Millisecond
)

// Drain stops accepting, lets exchanges end, and closes what is left when ctx
// ends. It returns when every connection is closed, with an error if some had
// to be cut off.
func (l *Listener) Drain(ctx context.Context) error {
	l.mu.Lock()
	l.draining.Store(true)
	quic := l.quic
	l.quic = nil
	l.refuseEstate()
	l.mu.Unlock()
	quicDone := make(chan error, 1)
	go func() { quicDone <- l.drainQUIC(ctx, quic) }()
	err := l.drainTCP(ctx)
	return errors.Join(err, <-quicDone)
}

// sharedGrace is how long idle connections of HTTP/3 may bring a request when
// another process is about to serve the port.
const sharedGrace = 300 * time.Millisecond

// drainQUIC is Drain for HTTP/3.
func (l *Listener) drainQUIC(ctx context.Context, q *quicSide) error {
	var err error
	if q != nil {
		grace := time.Duration(l.idleGrace.Load())
		if l.shared.Load() && !q.handed.Load() { // who takes over waits for the port
			grace = min(grace, sharedGrace)
		}
		if err = q.drain(ctx, grace); err != nil {
			err = fmt.Errorf("listener %s: %w", l.name, err)
		}
	}
	cut := context.AfterFunc(ctx, l.stop)
	defer cut()
	l.leavingQUIC.Wait()
	l.stop()
	return err
}

func (l *Listener) drainTCP(ctx context.Context) error {
	if l.shared.Load() {
		l.leaveWaiting()
	} else {
		l.acceptWaiting()
	}
	_ = l.socket.Close()
	l.sockets.remove(l)
	if l.shared.Load() { // who serves new connections is there already
		l.each((*session).leave)
	}
	done := make(chan struct{})
	go func() {
		l.serving.Wait()
		close(done)
	}()
	idle := time.NewTimer(time.Duration(l.idleGrace.Load()))
	defer idle.Stop()
	var err error
	for {
		select {
		case <-done:
			return err
		case <-idle.C:
			l.mu.Lock()
			l.ending = true
			l.mu.Unlock()
			l.each((*session).endIdle)
		case <-ctx.Done():
			l.mu.Lock()
			n := len(l.sessions)
			l.mu.Unlock()
			if n > 0 {
				err = fmt.Errorf("listener %s: %d connections were cut off at the end of the drain", l.name, n)
			}
			l.mu.Lock()
			l.closed = true
			l.mu.Unlock()
			l.each(func(ss *session) { ss.kill(filter.Draining) })
			<-done
			return err
		}
	}
}

// leaveWaiting leaves the connections that wait to the process that has the
// socket too, but for those of which the kernel may have told only this one.
func (l *Listener) leaveWaiting() {
	l.socket.Leave()
	if !l.started.Load() {
		return
	}
	by := netx.After(acceptGrace)
	for l.socket.Accept() && netx.Monotonic() < by {
	}
}

// acceptWaiting takes the connections that the kernel has accepted already, as
// the loops do beside it: closing the socket at once would reset them. It ends
// when none has come for two moments, or after acceptGrace.
func (l *Listener) acceptWaiting() {
	if err := netx.HoldOff(l.socket); err != nil {
		l.log.Debug("new connections may be reset by the drain", "listener", l.name, "error", err)
	}
	pause := time.NewTicker(acceptPause)
	defer pause.Stop()
	by := netx.After(acceptGrace)
	for quiet := 0; quiet < 2 && netx.Monotonic() < by; {
		if l.socket.Accept() {
			quiet = 0
			continue
		}
		quiet++
		<-pause.C
	}
}

func (l *Listener) each(f func(*session)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for ss := range l.sessions {
		f(ss)
	}
}
