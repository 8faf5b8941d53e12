package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/netx"
)

// Sockets knows the listening sockets of a proxy. The zero value is ready.
//
// A socket is bound without SO_REUSEPORT, so that the kernel refuses a port
// that another process has, and the other way round. Only where a socket of our
// own is in the way (one address beside all of them, or one whose drain is about
// to close it) do both get the option, after which they may share.
type Sockets struct {
	// Shared binds every socket with SO_REUSEPORT: other processes of the same
	// user that do so too get their part of the connections.
	Shared bool

	mu   sync.Mutex
	open map[*Listener]struct{} // guarded by mu
}

// bind opens the socket of l.
func (s *Sockets) bind(ctx context.Context, l *ir.Listener) (net.Listener, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	address := net.JoinHostPort(l.Address, strconv.Itoa(int(l.Port)))
	socket, err := netx.Listen(ctx, address, netx.ListenOptions{ReusePort: s.Shared})
	if errors.Is(err, syscall.EADDRINUSE) && s.share(l.Port) {
		socket, err = netx.Listen(ctx, address, netx.ListenOptions{ReusePort: true})
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("port %d is taken by another process: %w", l.Port, err)
	}
	return socket, err
}

// share gives our sockets on a port the option; it is false if there are none.
// The caller holds mu.
func (s *Sockets) share(port uint16) (ours bool) {
	for o := range s.open {
		if o.Addr().Port() == port && netx.SharePort(o.socket) == nil {
			ours = true
		}
	}
	return ours
}

func (s *Sockets) add(l *Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[*Listener]struct{}{}
	}
	s.open[l] = struct{}{}
}

func (s *Sockets) remove(l *Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, l)
}
