package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/gridway/gridway/internal/proxy/listen/quicsock"
)

// quicSocket takes over the UDP socket of l's port, or binds one. The lock is held.
func (l *Listener) quicSocket(ctx context.Context) (*quicsock.Socket, error) {
	if e := l.estate; e != nil {
		l.estate = nil
		return e.Open()
	}
	addr := l.Addr()
	network, host := "udp", l.Current().IR.Address
	switch host {
	case "0.0.0.0":
		network = "udp4"
	case "::":
		network = "udp6"
	}
	if host != "" {
		host = addr.Addr().String()
	}
	pc, err := (&net.ListenConfig{}).ListenPacket(ctx, network, net.JoinHostPort(host, strconv.Itoa(int(addr.Port()))))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("UDP port %d is taken by another process; end that, give the listener another port, or switch client.http3 off: %w", addr.Port(), err)
	case err != nil:
		return nil, err
	}
	return quicsock.New(pc.(*net.UDPConn)), nil
}

// InheritsQUIC tells whether the UDP socket of another process is about to be
// taken over.
func (l *Listener) InheritsQUIC() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.Current()
	return l.estate != nil && s != nil && wantsQUIC(s)
}

// QUICSockets are what another process needs to take HTTP/3 over, by name.
func (l *Listener) QUICSockets() map[string]syscall.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.quic == nil {
		return nil
	}
	sockets, err := l.quic.socket.Estate(l.name)
	if err != nil {
		l.log.Warn("HTTP/3 will not be taken over by another process", "listener", l.name, "error", err)
	}
	return sockets
}

// YieldQUIC leaves what clients send to the process that has got QUICSockets, which
// passes on what belongs to connections of this one. A drain is to follow.
func (l *Listener) YieldQUIC() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.quic != nil {
		l.quic.handed.Store(true)
		l.quic.socket.HandOver()
	}
}

// refuseEstate gives back what is not wanted; the lock is held.
func (l *Listener) refuseEstate() {
	if l.estate != nil {
		_ = l.estate.Close()
		l.estate = nil
	}
}
