package netx

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// ackOrNoSYN is a packet filter that drops the packets that ask for a new
// connection: byte 13 of the TCP header holds the flags (RFC 9293 §3.1), 0x02
// is SYN and 0x10 is ACK.
var ackOrNoSYN = [...]unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 13},
	{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: 0x12},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 0, Jf: 1, K: 0x02},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 18},
}

// HoldOff makes the kernel ignore requests for new connections on a listening
// TCP socket, while handshakes that have begun go on to be accepted. Once those
// are, closing the socket resets nobody: who was held off asks again after a
// second, and is refused, or served by another process on the same port.
func HoldOff(ln syscall.Conn) error {
	rc, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	program := ackOrNoSYN
	var optErr error
	err = rc.Control(func(fd uintptr) {
		optErr = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	})
	return errors.Join(err, optErr)
}
