package e2e

import (
	"fmt"
	"net"
	"syscall"
	"time"
)

// bindLoopback binds a socket to a free port.
func bindLoopback() (fd int, addr string, err error) {
	fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, "", err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, "", err
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, "", err
	}
	return fd, fmt.Sprintf("127.0.0.1:%d", sa.(*syscall.SockaddrInet4).Port), nil
}

// boundOnly is a port that refuses connections.
func boundOnly() (addr string, closer func(), err error) {
	fd, addr, err := bindLoopback()
	return addr, func() { syscall.Close(fd) }, err
}

// fullBacklog listens with the shortest queue, never accepts, and fills the
// queue, so that further connections get no answer to their SYN.
func fullBacklog() (addr string, closer func(), err error) {
	fd, addr, err := bindLoopback()
	if err != nil {
		return "", nil, err
	}
	if err := syscall.Listen(fd, 0); err != nil {
		return "", nil, err
	}
	var open []net.Conn
	dial := func() net.Conn {
		c, _ := net.DialTimeout("tcp", addr, 100*time.Millisecond) // fails once it is full
		return c
	}
	for c := dial(); c != nil; c = dial() {
		open = append(open, c)
	}
	return addr, func() {
		for _, c := range open {
			c.Close()
		}
		syscall.Close(fd)
	}, nil
}
