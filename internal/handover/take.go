package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"strconv"
	"syscall"
)

// Variable names the descriptor that a successor inherits from the gateway that
// has started it.
const Variable = "GRIDWAY_HANDOVER_FD"

// Taker is the side of the new process.
type Taker struct {
	c *channel
	// PID and Version of the process that is replaced.
	PID     int
	Version string
	// SessionKey authenticates session persistence.
	SessionKey []byte
	// TicketKeys are the secrets of TLS session tickets; empty from a process that
	// hands none over.
	TicketKeys []byte
	// Staples are OCSP responses.
	Staples [][]byte
	// KeySets are public keys that were fetched.
	KeySets [][]byte

	sockets map[SocketID]io.Closer // net.Listener, *net.UDPConn or *net.UnixConn
	gone    bool                   // the giver ended, which leaves its work to us
}

// Inherited is the connection to the gateway that has started this process, nil
// if none has. It takes the variable out of the environment.
func Inherited() (*Taker, error) {
	value := os.Getenv(Variable)
	if value == "" {
		return nil, nil
	}
	_ = os.Unsetenv(Variable)
	fd, err := strconv.Atoi(value)
	if err != nil || fd < 0 {
		return nil, fmt.Errorf("%s is %q, which is no descriptor", Variable, value)
	}
	syscall.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "handover")
	if f == nil {
		return nil, fmt.Errorf("%s: no descriptor %d", Variable, fd)
	}
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", Variable, err)
	}
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		_ = conn.Close()
		return nil, fmt.Errorf("%s: descriptor %d is no Unix socket", Variable, fd)
	}
	return &Taker{c: &channel{conn: uc, pid: os.Getppid()}}, nil
}

// Reach finds the gateway at path. The error is ErrNobody if there is none.
func Reach(ctx context.Context, path string) (*Taker, error) {
	c, err := dial(ctx, path)
	if err != nil {
		return nil, err
	}
	return &Taker{c: c}, nil
}

// Take asks for everything that is to be taken over.
func (t *Taker) Take(version string) error {
	_ = t.c.send(&message{Kind: kindHello, Protocol: Protocol, Version: version}) // who reads nothing has said why
	t.sockets = map[SocketID]io.Closer{}
	for {
		m, fds, err := t.c.hear(stepTimeout)
		if over(err) {
			err = fmt.Errorf("no sockets came from process %d: %w", t.c.pid, err)
		}
		if err != nil {
			return err
		}
		if m.Kind != kindOffer {
			return fmt.Errorf("handover: %q where sockets should come", m.Kind)
		}
		t.PID, t.Version, t.SessionKey, t.TicketKeys = t.c.pid, m.Version, m.SessionKey, m.TicketKeys
		t.Staples = append(t.Staples, m.Staples...)
		t.KeySets = append(t.KeySets, m.KeySets...)
		for i, fd := range fds {
			s, err := adopt(fd)
			if err != nil {
				closeAll(fds[i+1:])
				return fmt.Errorf("%s %s: %w", m.Sockets[i].Role, m.Sockets[i].Name, err)
			}
			if old := t.sockets[m.Sockets[i]]; old != nil {
				_ = old.Close()
			}
			t.sockets[m.Sockets[i]] = s
		}
		if !m.More {
			return nil
		}
	}
}

// adopt makes a listener, a socket of UDP or a connection of a descriptor, which
// it closes.
func adopt(fd int) (io.Closer, error) {
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	kind, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TYPE)
	if err != nil {
		return nil, os.NewSyscallError("getsockopt", err)
	}
	if kind == syscall.SOCK_DGRAM {
		return net.FilePacketConn(f)
	}
	listens, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
	if err != nil {
		return nil, os.NewSyscallError("getsockopt", err)
	}
	if listens == 0 {
		return net.FileConn(f)
	}
	return net.FileListener(f)
}

// Listeners are the TCP sockets of a role by their names. They are the caller's
// from now on.
func (t *Taker) Listeners(role string) map[string]*net.TCPListener {
	return take[*net.TCPListener](t, role)
}

// Datagrams are the UDP sockets of a role by their names. They are the caller's
// from now on.
func (t *Taker) Datagrams(role string) map[string]*net.UDPConn { return take[*net.UDPConn](t, role) }

// Pipes are the connections between processes of a role by their names. They are
// the caller's from now on.
func (t *Taker) Pipes(role string) map[string]*net.UnixConn { return take[*net.UnixConn](t, role) }

func take[S io.Closer](t *Taker, role string) map[string]S {
	out := map[string]S{}
	for id, s := range maps.Clone(t.sockets) {
		if s, ok := s.(S); ok && id.Role == role {
			out[id.Name] = s
			delete(t.sockets, id)
		}
	}
	return out
}

// Listener is one socket, which is the caller's from now on; nil if there is none.
func (t *Taker) Listener(role, name string) net.Listener {
	id := SocketID{role, name}
	l, ok := t.sockets[id].(net.Listener)
	if ok {
		delete(t.sockets, id)
	}
	return l
}

// Ready says that everything is open, and waits for the giver's leave to accept.
// A giver that is gone cannot mind.
func (t *Taker) Ready() error {
	_ = t.c.send(&message{Kind: kindReady})
	m, _, err := t.c.hear(stepTimeout)
	switch {
	case over(err):
		t.gone = true
		return nil
	case err != nil:
		return err
	case m.Kind != kindGo:
		return fmt.Errorf("handover: %q where leave to go should come", m.Kind)
	}
	return nil
}

// over tells that the other process has closed the connection, or ended.
func over(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

// Serving says that this process accepts from those of the giver's sockets. It
// closes what nobody wanted, so that the giver is the last to have it. A giver
// that did not wait for so long, and goes on, is an error.
func (t *Taker) Serving(taken []SocketID) error {
	t.closeSockets()
	if t.gone {
		return nil
	}
	for {
		n := min(len(taken), perPacket)
		err := t.c.send(&message{Kind: kindServing, Sockets: taken[:n], More: n < len(taken)})
		taken = taken[n:]
		if err != nil && !over(err) {
			return err
		}
		if err != nil || len(taken) == 0 {
			break
		}
	}
	_, _, err := t.c.hear(stepTimeout)
	if over(err) {
		t.gone = true
		return nil
	}
	return err
}

// Follow tells how many connections the giver has left, until it ends.
func (t *Taker) Follow(ctx context.Context, left func(connections int)) {
	stop := context.AfterFunc(ctx, t.c.close)
	defer stop()
	for !t.gone {
		m, _, err := t.c.receive(stepTimeout)
		if err != nil {
			return
		}
		if m.Kind == kindLeft {
			left(m.Connections)
		}
	}
}

// Fail tells the giver why it will not be replaced.
func (t *Taker) Fail(err error) {
	_ = t.c.send(&message{Kind: kindFailed, Error: err.Error()}) // it notices the end of the connection, too
	t.Close()
}

// Close ends the connection. The sockets that nobody took are closed.
func (t *Taker) Close() {
	t.closeSockets()
	t.c.close()
}

func (t *Taker) closeSockets() {
	for id, l := range t.sockets {
		_ = l.Close()
		delete(t.sockets, id)
	}
}
