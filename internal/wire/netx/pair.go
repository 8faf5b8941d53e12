package netx

import (
	"net/netip"
	"os"
	"syscall"

	"github.com/gridway/gridway/internal/wire/loop"
)

// Pair makes two connections that lead to each other, within this process. They
// belong to the loop of t, or to any. The second one has these addresses, for who
// wants to know. Neither can be reset: what Abort closes looks like an end.
func Pair(g *loop.Group, t *loop.Task, remote, local netip.AddrPort) (a, b *Conn, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	first, err := g.Adopt(fds[0], t)
	if err != nil {
		_ = syscall.Close(fds[1])
		return nil, nil, err
	}
	second, err := g.Adopt(fds[1], t)
	if err != nil {
		_ = first.Close()
		return nil, nil, err
	}
	a, b = FromSock(first, netip.AddrPort{}), FromSock(second, local)
	b.SetAddrs(remote, local)
	return a, b, nil
}
