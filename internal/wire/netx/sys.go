package netx

import (
	"runtime"
	"syscall"
	"unsafe"
)

// The sockets are non-blocking, so these calls return at once: the scheduler
// need not be told that the thread may be away, which would cost as much as
// parsing a header field. (That is what Raw means: no entersyscall.)

func sysRead(fd int, p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
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
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
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
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&iov)), 2)
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
