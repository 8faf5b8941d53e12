package quicsock

import (
	"encoding/hex"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Suffix of the name of a listener is that of its QUIC socket.
const Suffix = "/quic"

// What follows the Suffix in the names of the sockets to older processes: the
// tag, behind one of these.
const (
	fromPart = "/from/" // the process that hands over
	pastPart = "/past/" // those before it
)

// Estate is what a successor gets.
type Estate struct {
	conn   *net.UDPConn
	from   elder // its pipe is nil if it is gone
	elders []elder
}

// Estates sorts the sockets of a predecessor by the names of their listeners.
// Those that belong to no Estate are left where they are.
func Estates(datagrams map[string]*net.UDPConn, pipes map[string]*net.UnixConn) map[string]*Estate {
	out := map[string]*Estate{}
	for name, c := range datagrams {
		if listener, ok := strings.CutSuffix(name, Suffix); ok {
			out[listener] = &Estate{conn: c}
			delete(datagrams, name)
		}
	}
	for name, pipe := range pipes {
		listener, rest, _ := strings.Cut(name, Suffix)
		e := out[listener]
		if e == nil || !e.add(rest, pipe) {
			continue
		}
		delete(pipes, name)
	}
	return out
}

func (e *Estate) add(what string, pipe *net.UnixConn) bool {
	var tag Tag
	from, direct := strings.CutPrefix(what, fromPart)
	past, older := strings.CutPrefix(what, pastPart)
	switch {
	case direct && decodeTag(&tag, from):
		e.from = elder{tag, pipe}
	case older && decodeTag(&tag, past):
		e.elders = append(e.elders, elder{tag, pipe})
	default:
		return false
	}
	return true
}

func decodeTag(t *Tag, s string) bool {
	if len(s) != 2*len(t) {
		return false
	}
	_, err := hex.Decode(t[:], []byte(s))
	return err == nil
}

// Close gives the estate up: the process that it came from goes on.
func (e *Estate) Close() error {
	for _, o := range e.elders {
		_ = o.pipe.Close()
	}
	if e.from.pipe != nil {
		_ = e.from.pipe.Close()
	}
	return e.conn.Close()
}

// Open makes a Socket of it, which receives as soon as the process that it came
// from has stopped to.
func (e *Estate) Open() (*Socket, error) {
	if e.from.pipe == nil {
		_ = e.Close()
		return nil, errors.New("the process before does not say when it stops to receive")
	}
	s := New(e.conn)
	s.granted = make(chan struct{})
	all := append(e.elders, e.from)
	s.elders.Store(&all)
	for _, o := range all {
		s.watching.Go(func() { s.watch(o, o == e.from) })
	}
	return s, nil
}

// Estate is what a successor gets, by the names of the sockets. It may be asked
// for again, as long as no successor has come.
func (s *Socket) Estate(listener string) (map[string]syscall.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.left.Load() {
		return nil, net.ErrClosed
	}
	s.forget()
	var err error
	if s.ours, s.theirs, err = pair(); err != nil {
		return nil, err
	}
	out := map[string]syscall.Conn{listener + Suffix: s.UDPConn, listener + Suffix + fromPart + s.tag.String(): s.theirs}
	if elders := s.elders.Load(); elders != nil {
		for _, e := range *elders {
			out[listener+Suffix+pastPart+e.tag.String()] = e.pipe
		}
	}
	return out, nil
}

// pipeBuffer in bytes is what may be on its way to an older process; the kernel
// may grant less.
const pipeBuffer = 4 << 20

// pair makes two ends of a connection that keeps the bounds of messages.
func pair() (a, b *net.UnixConn, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, pipeBuffer) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, pipeBuffer)
		}
		f := os.NewFile(uintptr(fd), "quic")
		c, cerr := net.FileConn(f)
		_ = f.Close()
		if cerr != nil {
			err = cerr
			continue
		}
		ends[i] = c.(*net.UnixConn)
	}
	if err != nil {
		for _, c := range ends {
			if c != nil {
				_ = c.Close()
			}
		}
		return nil, nil, err
	}
	return ends[0], ends[1], nil
}
