// Package freeport holds ports that another program opens a moment later. A demo and tests
// import it.
package freeport

import (
	"context"
	"fmt"
	"net"
	"strconv"
)

// Hold keeps a port of a host, which may be empty for all addresses, from others that ask
// for one here, in whichever process, until what it returns is closed. It is nil for a port
// that somebody has, with UDP also for one whose socket of UDP is somebody's.
func Hold(host string, port int, udp bool) net.Listener {
	ctx, lc := context.Background(), net.ListenConfig{} // binding does not wait
	// The name of an abstract socket stands for the port until its program opens it.
	held, err := lc.Listen(ctx, "unix", fmt.Sprintf("@gridway-port-%d", port))
	if err != nil {
		return nil
	}
	if !free(ctx, net.JoinHostPort(host, strconv.Itoa(port)), udp) {
		_ = held.Close()
		return nil
	}
	return held
}

func free(ctx context.Context, at string, udp bool) bool {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", at)
	if err != nil {
		return false
	}
	_ = ln.Close()
	if !udp {
		return true
	}
	pc, err := lc.ListenPacket(ctx, "udp", at)
	if err != nil {
		return false
	}
	_ = pc.Close()
	return true
}
