package netx

import (
	"context"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"
)

// ListenOptions of a listening socket; the zero value is the system's defaults
// with a keep-alive of one minute.
type ListenOptions struct {
	// ReusePort lets several sockets of one user share the address
	// (SO_REUSEPORT); all of them must have the option.
	ReusePort bool
	// Backlog bounds the connections that wait to be accepted; 0 is the system's maximum.
	Backlog int
	// KeepAlive is the silence after which TCP probes the peer: 0 is one
	// minute, negative is never.
	KeepAlive time.Duration
}

// Listen listens on "IP:PORT", ":PORT" (all addresses of both families) or
// "unix:PATH". An explicit "0.0.0.0" or "[::]" is that family alone.
// Accepted sockets have TCP_NODELAY and keep-alive set.
func Listen(ctx context.Context, address string, opts ListenOptions) (net.Listener, error) {
	network, addr := "tcp", address
	switch {
	case strings.HasPrefix(address, "unix:"):
		network, addr = "unix", strings.TrimPrefix(address, "unix:")
	case strings.HasPrefix(address, "0.0.0.0:"):
		network = "tcp4"
	case strings.HasPrefix(address, "[::]:"):
		network = "tcp6"
	}
	// Accepted sockets inherit the listener's options on Linux, which saves
	// four system calls for each connection that net would make.
	lc := net.ListenConfig{KeepAlive: -1}
	// Multipath TCP, which net asks for, takes no packet filter (see HoldOff).
	lc.SetMultipathTCP(false)
	if network != "unix" {
		lc.Control = func(_, _ string, rc syscall.RawConn) error { return setListenOptions(rc, opts) }
	}
	ln, err := lc.Listen(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if opts.Backlog > 0 {
		if err := setBacklog(ln, opts.Backlog); err != nil {
			_ = ln.Close()
			return nil, err
		}
	}
	return ln, nil
}

// SharePort sets SO_REUSEPORT on a socket that listens already: another one that
// has the option may now be bound to the same address.
func SharePort(ln syscall.Conn) error {
	rc, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	var oerr error
	if err := rc.Control(func(fd uintptr) { oerr = setInt(fd, syscall.SOL_SOCKET, soReusePort, 1) }); err != nil {
		return err
	}
	return oerr
}

func setListenOptions(rc syscall.RawConn, opts ListenOptions) error {
	var err error
	if cerr := rc.Control(func(fd uintptr) {
		if opts.ReusePort {
			err = setInt(fd, syscall.SOL_SOCKET, soReusePort, 1)
		}
		if err == nil && opts.KeepAlive >= 0 {
			err = setKeepAlive(fd, opts.KeepAlive)
		}
		if err == nil {
			err = setInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
		}
	}); cerr != nil {
		return cerr
	}
	return err
}

// setKeepAlive probes three times, a quarter of idle apart.
func setKeepAlive(fd uintptr, idle time.Duration) error {
	if idle == 0 {
		idle = time.Minute
	}
	seconds := max(1, int(idle/time.Second))
	for _, o := range [][3]int{
		{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, seconds},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, max(1, seconds/4)},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 3},
	} {
		if err := setInt(fd, o[0], o[1], o[2]); err != nil {
			return err
		}
	}
	return nil
}

func setInt(fd uintptr, level, name, value int) error {
	if err := syscall.SetsockoptInt(int(fd), level, name, value); err != nil {
		return fmt.Errorf("netx: setsockopt(%d, %d): %w", level, name, err)
	}
	return nil
}

// setBacklog calls listen(2) once more, which changes the bound.
func setBacklog(ln net.Listener, n int) error {
	rc, err := ln.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	var lerr error
	if err := rc.Control(func(fd uintptr) { lerr = syscall.Listen(int(fd), n) }); err != nil {
		return err
	}
	return lerr
}
