package listen

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"strconv"
	"sync"
	"syscall"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/listen/quicsock"
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

	mu        sync.Mutex
	open      map[*Listener]struct{}      // guarded by mu
	inherited map[string]*net.TCPListener // guarded by mu
	estates   map[string]*quicsock.Estate // guarded by mu
}

// Inherit gives the sockets of another process, and those of its HTTP/3, to the
// listeners of these names. Until Disown the other process goes on with them.
func (s *Sockets) Inherit(sockets map[string]*net.TCPListener, quic map[string]*quicsock.Estate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inherited, s.estates = maps.Clone(sockets), maps.Clone(quic)
}

// estate is what a listener of that name inherits for HTTP/3; nil is nothing.
func (s *Sockets) estate(name string) *quicsock.Estate {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.estates[name]
	delete(s.estates, name)
	return e
}

// Disown closes what no listener wanted of Inherit's.
func (s *Sockets) Disown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, socket := range s.inherited {
		_ = socket.Close()
	}
	for _, e := range s.estates {
		_ = e.Close()
	}
	s.inherited, s.estates = nil, nil
}

// bind opens the socket of l, or takes it over.
func (s *Sockets) bind(ctx context.Context, l *ir.Listener) (socket net.Listener, inherited bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if socket := s.inherited[l.Name]; socket != nil {
		delete(s.inherited, l.Name)
		return socket, true, nil
	}
	socket, err = s.bindAnew(ctx, l)
	return socket, false, err
}

func (s *Sockets) bindAnew(ctx context.Context, l *ir.Listener) (net.Listener, error) {
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
	for _, socket := range s.inherited {
		if socket.Addr().(*net.TCPAddr).AddrPort().Port() == port && netx.SharePort(socket) == nil {
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
