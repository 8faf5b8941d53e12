package netx

import "syscall"

// BufferSize is the value of SO_RCVBUF or SO_SNDBUF, in bytes that can be used:
// the kernel tells twice as much, for what it needs itself (socket(7)).
func BufferSize(c syscall.Conn, option int) (n int, err error) {
	rc, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	cerr := rc.Control(func(fd uintptr) { n, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, option) })
	if cerr != nil {
		err = cerr
	}
	return n / 2, err
}
