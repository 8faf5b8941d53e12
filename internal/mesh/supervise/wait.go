package supervise

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// childInfo is siginfo_t of SIGCHLD (sigaction(2)), whose fields package unix
// does not show. The part that depends on the signal is aligned like a pointer.
type childInfo struct {
	signo, errno, code int32
	child              struct {
		_      [0]uintptr
		pid    int32
		uid    uint32
		status int32
		_      [96]byte
	}
}

// Values of childInfo.code (sigaction(2)).
const (
	childExited  = 1
	childStopped = 5
)

// await waits for a child that ended or stopped and leaves it to be reaped, so
// that its process ID stays its own; 0 is that there is no child.
func await() (pid int, status syscall.WaitStatus) {
	info, err := waitid(unix.WEXITED | unix.WSTOPPED | unix.WNOWAIT)
	if err != nil {
		return 0, 0
	}
	c := info.child
	switch info.code {
	case childExited:
		status = syscall.WaitStatus(c.status&0xff) << 8
	case childStopped:
		status = syscall.WaitStatus(c.status)<<8 | 0x7f
	default: // killed, or dumped
		status = syscall.WaitStatus(c.status)
	}
	return int(c.pid), status
}

// endedChild is a child that is over and not reaped yet; 0 is that none is, and
// an error that there are no children at all.
func endedChild() (pid int, err error) {
	info, err := waitid(unix.WEXITED | unix.WNOHANG | unix.WNOWAIT)
	if err != nil {
		return 0, err
	}
	return int(info.child.pid), nil
}

func waitid(options int) (info childInfo, err error) {
	for {
		_, _, errno := syscall.Syscall6(unix.SYS_WAITID, unix.P_ALL, 0, uintptr(unsafe.Pointer(&info)), uintptr(options), 0, 0)
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 {
			return info, errno
		}
		return info, nil
	}
}

func reap(pid int) {
	for {
		if _, err := syscall.Wait4(pid, nil, 0, nil); err != syscall.EINTR {
			return
		}
	}
}
