package adminapi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
)

// ErrTokenNeeded refuses to open the API to a network without a token.
var ErrTokenNeeded = errors.New("the admin API needs a token to listen on an address that is not loopback")

// ErrTLSNeeded refuses to send tokens over a network in the clear.
var ErrTLSNeeded = errors.New("the admin API needs TLS to listen on an address that is not loopback")

// ErrTaken is that another process serves at a Unix socket.
var ErrTaken = errors.New("another process listens there; end it, or give this one another address (--admin)")

// bind opens the socket that address names, after the rules of Options.Address,
// unless there is one already.
func bind(ctx context.Context, address string, guarded, private bool, open net.Listener) (net.Listener, error) {
	var lc net.ListenConfig
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if ul, ok := open.(*net.UnixListener); ok {
			ul.SetUnlinkOnClose(true)
			return ul, nil
		}
		return bindUnix(ctx, &lc, path)
	}
	addr, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("admin API address %q: %w", address, err)
	}
	// An address without a host is every interface.
	if !addr.IP.IsLoopback() && !guarded {
		return nil, fmt.Errorf("%w: %s (set a token, or use a state store, or listen on 127.0.0.1)", ErrTokenNeeded, address)
	}
	if !addr.IP.IsLoopback() && !private {
		return nil, fmt.Errorf("%w: %s", ErrTLSNeeded, address)
	}
	if open != nil {
		return open, nil
	}
	l, err := lc.Listen(ctx, "tcp", addr.String())
	if err != nil {
		return nil, fmt.Errorf("admin API: %w", err)
	}
	return l, nil
}

// bindUnix makes a socket that only its owner may use. The socket of a process
// that is gone is replaced; that of one that still answers is not.
func bindUnix(ctx context.Context, lc *net.ListenConfig, path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		var d net.Dialer
		if c, err := d.DialContext(ctx, "unix", path); err == nil {
			_ = c.Close()
			return nil, fmt.Errorf("admin API: %s: %w", path, ErrTaken)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("admin API: %w", err)
		}
	}
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("admin API: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("admin API: %w", err)
	}
	return l, nil
}

// maxConnections bounds what the API takes of the process's descriptors.
const maxConnections = 128

// limited is a listener that has at most maxConnections open.
type limited struct {
	net.Listener
	slots chan struct{}
	done  chan struct{}
	once  sync.Once
}

func limit(l net.Listener) *limited {
	return &limited{Listener: l, slots: make(chan struct{}, maxConnections), done: make(chan struct{})}
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &slotConn{Conn: c, slots: l.slots}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

// slotConn gives its slot back once.
type slotConn struct {
	net.Conn
	slots chan struct{}
	once  sync.Once
}

func (c *slotConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { <-c.slots })
	return err
}
