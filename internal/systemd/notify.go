// Package systemd tells a service manager how the service is, with the protocol
// of sd_notify(3). It owns no goroutines; package cli imports it.
package systemd

import (
	"fmt"
	"net"
	"strings"
)

// Notifier sends to the socket of $NOTIFY_SOCKET. The zero value sends nothing.
type Notifier struct {
	socket string
}

// New takes the value of $NOTIFY_SOCKET, which is empty outside of services.
func New(socket string) Notifier { return Notifier{socket} }

// Ready says that the process serves.
func (n Notifier) Ready(pid int) error { return n.send("READY=1", fmt.Sprintf("MAINPID=%d", pid)) }

// Stopping says that it has begun to end.
func (n Notifier) Stopping() error { return n.send("STOPPING=1") }

// MainPID says that another process is the service from now on. It counts when
// it comes from the process that was the service until then.
func (n Notifier) MainPID(pid int) error { return n.send(fmt.Sprintf("MAINPID=%d", pid)) }

func (n Notifier) send(lines ...string) error {
	if n.socket == "" {
		return nil
	}
	name := n.socket
	if rest, ok := strings.CutPrefix(name, "@"); ok {
		name = "\x00" + rest
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(strings.Join(lines, "\n"))); err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	return nil
}
