package netx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/gridway/gridway/internal/wire/loop"
)

// DialOptions of a new connection.
type DialOptions struct {
	// By is the monotonic time at which the attempt ends; 0 leaves it to ctx.
	By int64
	// KeepAlive is as in ListenOptions.
	KeepAlive time.Duration
	// Group is whose loops the connection belongs to; nil leaves it to the net
	// package.
	Group *loop.Group
	// Task waits for the connection and is bound to it; nil is an ordinary
	// goroutine.
	Task *loop.Task
	// Gone is asked every 100 ms whether the attempt has become pointless; it
	// needs a Group, and nil is never.
	Gone func() bool
	// Mark is the socket's mark (SO_MARK), by which rules of the kernel tell these
	// connections from others; 0 is none. It needs CAP_NET_ADMIN.
	Mark uint32
}

// Dial connects to "IP:PORT" or "unix:PATH". Names are not resolved, that is
// the business of discovery.
func Dial(ctx context.Context, address string, opts DialOptions) (*Conn, error) {
	if opts.Group != nil {
		return dialLoop(ctx, address, &opts)
	}
	d := net.Dialer{KeepAlive: -1}
	if opts.By != 0 {
		d.Deadline = wallTime(opts.By)
	}
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	} else {
		d.Control = func(_, _ string, rc syscall.RawConn) error {
			var err error
			if cerr := rc.Control(func(fd uintptr) { err = setDialOptions(fd, &opts) }); cerr != nil {
				return cerr
			}
			return err
		}
	}
	nc, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return New(nc), nil
}

func dialLoop(ctx context.Context, address string, opts *DialOptions) (*Conn, error) {
	o := loop.DialOptions{Task: opts.Task, By: opts.By, Gone: opts.Gone}
	if ctx.Done() != nil {
		o.Gone = func() bool { return ctx.Err() != nil || opts.Gone != nil && opts.Gone() }
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	s, err := dialSock(address, opts, &o)
	switch {
	case errors.Is(err, loop.ErrGone) && ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, loop.ErrGone):
		return nil, ErrWatchGone
	case err != nil:
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	return FromSock(s, netip.AddrPort{}), nil
}

func dialSock(address string, opts *DialOptions, o *loop.DialOptions) (*loop.Sock, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return opts.Group.DialUnix(path, *o)
	}
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	o.Prepare = func(fd int) error {
		if err := setInt(uintptr(fd), syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
			return err
		}
		return setDialOptions(uintptr(fd), opts)
	}
	return opts.Group.Dial(addr, *o)
}

func setDialOptions(fd uintptr, opts *DialOptions) error {
	if opts.Mark != 0 {
		if err := setInt(fd, syscall.SOL_SOCKET, syscall.SO_MARK, int(opts.Mark)); err != nil {
			return err
		}
	}
	if opts.KeepAlive < 0 {
		return nil
	}
	return setKeepAlive(fd, opts.KeepAlive)
}

// MarkControl is for net.Dialer.Control and net.ListenConfig.Control: it marks
// sockets as DialOptions.Mark does. It is nil for no mark.
func MarkControl(mark uint32) func(network, address string, rc syscall.RawConn) error {
	if mark == 0 {
		return nil
	}
	return func(_, _ string, rc syscall.RawConn) error {
		var err error
		if cerr := rc.Control(func(fd uintptr) { err = setInt(fd, syscall.SOL_SOCKET, syscall.SO_MARK, int(mark)) }); cerr != nil {
			return cerr
		}
		return err
	}
}
