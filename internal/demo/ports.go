package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// PortPool hands out ports of the loopback address that programs open a moment later. They
// are nobody else's until Close: they lie below those that the kernel gives to connections,
// and other pools, in whichever process, leave them alone. Its zero value is ready.
type PortPool struct{ held []net.Listener }

const (
	firstPort, lastPort = 16000, 19999
	portTries           = 1000
)

// Take returns the usual port if nobody has it, and it is not 0, or another one; with UDP,
// for both TCP and UDP.
func (p *PortPool) Take(usual int, udp bool) (int, error) {
	for range portTries {
		if usual != 0 && p.take(usual, udp) {
			return usual, nil
		}
		usual = firstPort + rand.IntN(lastPort-firstPort+1)
	}
	return 0, errors.New("no port is free")
}

func (p *PortPool) take(port int, udp bool) bool {
	ctx, lc := context.Background(), net.ListenConfig{} // binding does not wait
	// The name of an abstract socket stands for the port until its program opens it.
	held, err := lc.Listen(ctx, "unix", fmt.Sprintf("@gridway-demo-port-%d", port))
	if err != nil {
		return false
	}
	at := fmt.Sprintf("127.0.0.1:%d", port)
	ln, err := lc.Listen(ctx, "tcp", at)
	if err == nil {
		_ = ln.Close()
		if udp {
			var pc net.PacketConn
			if pc, err = lc.ListenPacket(ctx, "udp", at); err == nil {
				_ = pc.Close()
			}
		}
	}
	if err != nil {
		_ = held.Close()
		return false
	}
	p.held = append(p.held, held)
	return true
}

// Close gives the ports back.
func (p *PortPool) Close() {
	for _, held := range p.held {
		_ = held.Close()
	}
	p.held = nil
}
