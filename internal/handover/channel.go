package handover

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxPacket bounds a message in bytes.
	maxPacket = 64 << 10
	// perPacket is how many sockets one message names; the kernel takes 253
	// descriptors at most.
	perPacket = 64
	// maxText bounds the explanations that come from the other process.
	maxText = 16 << 10
)

// channel carries messages over a Unix socket that keeps their bounds
// (SOCK_SEQPACKET). One goroutine reads it and one writes.
type channel struct {
	conn *net.UnixConn
	pid  int // the other process
}

func (c *channel) close() { _ = c.conn.Close() }

// send sends a message with descriptors, which stay the caller's.
func (c *channel) send(m *message, fds ...int) error {
	if m.PID == 0 {
		m.PID = os.Getpid()
	}
	if len(m.Error) > maxText {
		m.Error = m.Error[:maxText]
	}
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if len(b) > maxPacket {
		return fmt.Errorf("handover: a message of %d bytes", len(b))
	}
	var rights []byte
	if len(fds) > 0 {
		rights = syscall.UnixRights(fds...)
	}
	if err := c.conn.SetWriteDeadline(time.Now().Add(stepTimeout)); err != nil {
		return err
	}
	_, _, err = c.conn.WriteMsgUnix(b, rights, nil)
	return err
}

// receive waits for a message. Its descriptors, which are the caller's to close,
// are as many as it names sockets, or none.
func (c *channel) receive(within time.Duration) (*message, []int, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return nil, nil, err
	}
	b := make([]byte, maxPacket)
	oob := make([]byte, syscall.CmsgSpace(perPacket*4))
	n, oobn, flags, _, err := c.conn.ReadMsgUnix(b, oob)
	if err != nil {
		return nil, nil, err
	}
	fds, err := descriptors(oob[:oobn])
	if err == nil && flags&syscall.MSG_CTRUNC != 0 {
		err = errors.New("not all sockets could be taken over: the limit of open files may be too low")
	}
	if err == nil && flags&syscall.MSG_TRUNC != 0 {
		err = errors.New("handover: the message is too long")
	}
	var m *message
	if err == nil {
		m, err = decode(b[:n], len(fds))
	}
	if err != nil {
		closeAll(fds)
		return nil, nil, err
	}
	if m.PID != 0 && m.Kind != kindOutcome {
		c.pid = m.PID
	}
	return m, fds, nil
}

// hear is receive from a giver, whose refusal is an error.
func (c *channel) hear(within time.Duration) (*message, []int, error) {
	m, fds, err := c.receive(within)
	if errors.Is(err, syscall.ECONNRESET) { // it has closed without reading all, but may have said something
		m, fds, err = c.receive(within)
	}
	if err == nil && m.Kind == kindRefuse {
		err = &RefusedError{PID: c.pid, Reason: m.Error}
	}
	return m, fds, err
}

func descriptors(oob []byte) ([]int, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	all, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var fds []int
	for i := range all {
		more, err := syscall.ParseUnixRights(&all[i])
		if err != nil {
			continue // credentials and the like
		}
		fds = append(fds, more...)
	}
	return fds, nil
}

// decode checks what a message says about itself.
func decode(b []byte, fds int) (*message, error) {
	m := new(message)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("handover: %w", err)
	}
	want := 0
	if m.Kind == kindOffer {
		want = len(m.Sockets)
	}
	if fds != want {
		return nil, fmt.Errorf("handover: %d descriptors for %d sockets", fds, want)
	}
	if len(m.Sockets) > perPacket {
		return nil, fmt.Errorf("handover: %d sockets in one message", len(m.Sockets))
	}
	return m, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = syscall.Close(fd)
	}
}

// duplicate makes a descriptor of a socket that stays open whatever its owner
// does. Unlike os.File.Fd it leaves the socket non-blocking, for both processes
// share that.
func duplicate(s syscall.Conn) (int, error) {
	rc, err := s.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var derr error
	if err := rc.Control(func(old uintptr) {
		fd, derr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return -1, err
	}
	return fd, os.NewSyscallError("fcntl", derr)
}

// checkPeer refuses processes of other users. Root may do anything anyway.
func checkPeer(conn *net.UnixConn) (pid int, err error) {
	rc, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var cerr error
	if err := rc.Control(func(fd uintptr) {
		cred, cerr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if cerr != nil {
		return 0, os.NewSyscallError("getsockopt", cerr)
	}
	if cred.Uid != 0 && int(cred.Uid) != os.Geteuid() {
		return 0, fmt.Errorf("process %d is user %d's, not %d's", cred.Pid, cred.Uid, os.Geteuid())
	}
	return int(cred.Pid), nil
}
