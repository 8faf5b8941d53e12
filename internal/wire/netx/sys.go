package netx

import (
	"runtime"
	"syscall"
	"unsafe"
)

// Every descriptor here is a socket, for which the calls of sockets are shorter
// ways through the kernel than read(2) and write(2).
//
// The sockets are non-blocking, so these calls return at once: the scheduler
// need not be told that the thread may be away, which would cost as much as
// parsing a header field. (That is what Raw means: no entersyscall.)

func sysRead(fd int, p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
			continue
		}
		return 0, errno
	}
}

func sysWrite(fd int, p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), syscall.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
			continue
		}
		return 0, errno
	}
}

// sysWritev writes two slices that are both not empty.
func sysWritev(fd int, a, b []byte) (int, error) {
	iov := [2]syscall.Iovec{{Base: unsafe.SliceData(a)}, {Base: unsafe.SliceData(b)}}
	iov[0].SetLen(len(a))
	iov[1].SetLen(len(b))
	msg := syscall.Msghdr{Iov: &iov[0]}
	msg.Iovlen = 2
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), syscall.MSG_NOSIGNAL)
		if errno == syscall.EINTR {
			continue
		}
		runtime.KeepAlive(a)
		runtime.KeepAlive(b)
		if errno != 0 {
			return 0, errno
		}
		return int(n), nil
	}
}
