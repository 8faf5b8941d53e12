package netx

import (
	"runtime"
	"syscall"
	"unsafe"
)

func sysRead(fd int, p []byte) (int, error) {
	for {
		n, err := syscall.Read(fd, p)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			n = 0
		}
		return n, err
	}
}

func sysWrite(fd int, p []byte) (int, error) {
	for {
		n, err := syscall.Write(fd, p)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			n = 0
		}
		return n, err
	}
}

// sysWritev writes two slices that are both not empty.
func sysWritev(fd int, a, b []byte) (int, error) {
	iov := [2]syscall.Iovec{{Base: unsafe.SliceData(a)}, {Base: unsafe.SliceData(b)}}
	iov[0].SetLen(len(a))
	iov[1].SetLen(len(b))
	for {
		n, _, errno := syscall.Syscall(syscall.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&iov)), 2)
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
