package demo

import (
	"errors"
	"math/rand/v2"
	"net"

	"github.com/gridway/gridway/internal/freeport"
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
	held := freeport.Hold("127.0.0.1", port, udp)
	if held == nil {
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
