// Package replica is how the control planes of one mesh, which share a state store, reach
// each other: over mutual TLS, at the address that each has said of itself. A Dialer has the
// connections, over which questions are relayed. A Feed gives what proxies have reported of
// the service graph to others, and a Follower takes in what theirs have.
//
// The goroutine of a Follower is Run's. The package may be imported by what is of the
// control plane.
package replica

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/gridway/gridway/internal/mesh/question"
)

// Peer is another control plane.
type Peer struct {
	// ID is how it calls itself in the state store, Control is for people.
	ID, Control string
	// Address is where it is reached, HOST:PORT; empty is that it has not said so.
	Address string
	// Proxies are those that it has.
	Proxies []question.Proxy
}

// maxAddress bounds an address as it is read from the state store, in bytes.
const maxAddress = 300

// CheckAddress tells whether an address may be dialled: HOST:PORT, of a host that is one.
func CheckAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || len(address) > maxAddress {
		return fmt.Errorf("%.80q is not HOST:PORT", address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%.80q has no port from 1 to 65535", address)
	}
	if a, err := netip.ParseAddr(host); host == "" || err == nil && a.IsUnspecified() {
		return fmt.Errorf("%.80q names no host that others could reach", address)
	}
	return nil
}
