package listen

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/gridway/gridway/internal/proxy/downstream/http3"
	"github.com/gridway/gridway/internal/proxy/snapshot"
)

// setQUIC opens or closes the UDP side as s asks, and says so to other clients. A
// side that is closed goes on with the connections that it has. The caller
// has stored s.
func (l *Listener) setQUIC(s *snapshot.Listener) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	wanted := wantsQUIC(s) && !l.draining.Load()
	switch {
	case wanted && l.quic == nil && l.started.Load():
		if l.quic, err = openQUIC(context.Background(), l); err != nil {
			err = &UDPError{Listener: l.name, Err: err}
			break
		}
		l.log.Info("listening", "listener", l.name, "protocol", "HTTP/3", "address", l.quic.socket.LocalAddr().String())
	case !wanted && l.quic != nil:
		q := l.quic
		l.quic = nil
		l.leavingQUIC.Go(func() {
			ctx, cancel := context.WithTimeout(l.ctx, l.drainTimeout)
			defer cancel()
			if err := q.drain(ctx, time.Duration(l.idleGrace.Load())); err != nil {
				l.log.Warn("drain", "listener", l.name, "error", err)
			}
		})
	}
	if !wanted && l.started.Load() {
		l.refuseEstate()
	}
	l.announce(s)
	return err
}

// Retry opens the UDP side if it is wanted and could not be opened before.
func (l *Listener) Retry() error {
	if s := l.Current(); s != nil {
		return l.setQUIC(s)
	}
	return nil
}

var clearAltSvc = []byte("clear")

// announce tells clients that come by TCP about HTTP/3, or that it is no more
// (RFC 7838 §3). The lock is held.
func (l *Listener) announce(s *snapshot.Listener) {
	var value []byte
	switch h := s.IR.Client.HTTP3; {
	case l.quic != nil && h != nil && h.AltSvcMaxAge >= time.Second:
		port := h.AltSvcPort
		if port == 0 {
			port = l.Addr().Port()
		}
		value = []byte(`h3=":` + strconv.Itoa(int(port)) + `"; ma=` + strconv.FormatInt(int64(h.AltSvcMaxAge/time.Second), 10))
		l.announced = true
	case l.announced:
		value = clearAltSvc
	default:
		return
	}
	s.AltSvc.Store(&value)
}

// handedGrace is how long connections may still begin after another process has
// taken over: what was received before waits in the library's queues.
const handedGrace = time.Second

// drain takes no new connections, lets requests end, and closes what is left when
// ctx ends, and then the socket.
func (q *quicSide) drain(ctx context.Context, idleGrace time.Duration) (err error) {
	q.draining.Store(true)
	q.each((*http3.Conn).LeaveSoon)
	if q.handed.Load() {
		late := time.NewTimer(min(idleGrace, handedGrace))
		defer late.Stop()
		select {
		case <-late.C:
		case <-ctx.Done():
		}
	}
	q.refuse()
	idle := time.NewTimer(idleGrace)
	defer idle.Stop()
	select {
	case <-idle.C:
	case <-q.empty:
	case <-ctx.Done():
	}
	q.mu.Lock()
	q.ending = true
	q.mu.Unlock()
	q.each((*http3.Conn).EndIdle)
	select { // who comes meanwhile is refused, and told so
	case <-q.empty:
	case <-ctx.Done():
		if left := q.cutOff(); left > 0 {
			err = errors.New(strconv.Itoa(left) + " connections of HTTP/3 were cut off at the end of the drain")
		}
	}
	_ = q.accepting.Close() // ends handshakes, too
	q.running.Wait()
	q.serving.Wait()
	_ = q.transport.Close()
	_ = q.socket.Close()
	return err
}

// refuse takes no new connections from now on.
func (q *quicSide) refuse() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refusing = true
	if q.alive == 0 {
		close(q.empty)
	}
}

// cutOff closes all connections.
func (q *quicSide) cutOff() (left int) {
	q.mu.Lock()
	q.closed = true
	conns := slices.Collect(maps.Keys(q.conns))
	q.mu.Unlock()
	for _, c := range conns {
		c.Kill()
	}
	return len(conns)
}
