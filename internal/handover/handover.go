// Package handover replaces a process that serves by another one without
// anybody noticing. The process that runs is the Giver, its successor the Taker.
// They talk over a Unix socket, which also carries the listening sockets
// themselves (SCM_RIGHTS), so that connections that wait in the kernel's queues
// wait for whichever of the two accepts them:
//
//	taker → giver   hello    who I am
//	giver → taker   offer    sockets and what else is to be kept
//	taker → giver   ready    everything is open, nothing is accepted yet
//	giver → taker   go       I can be replaced now
//	taker → giver   serving  I accept, from these of your sockets
//	giver → taker   left     I drain, and so many connections are left (repeated)
//
// Until "serving" the giver goes on as if nothing was, and if the taker ends, is
// silent for too long or says "failed", that was all but for a "refuse" to a taker
// that comes too late. Both accept for a moment between "go" and "left".
//
// A successor is started by the giver (Giver.Upgrade, asked for by a signal or
// with Ask) and inherits the connection, or it is started by somebody else and
// finds the giver at a path. Only processes of the same user, and root, are
// talked to. A Giver owns the goroutines of its connections; Serve waits for
// them. Packages app and cli import this one; it imports nothing of Gridway.
package handover

import (
	"errors"
	"fmt"
	"time"
)

// Protocol is the version of the messages. A giver refuses takers of another one.
const Protocol = 1

// Roles of sockets.
const (
	RoleListener = "listener" // name is the listener's
	RoleAdmin    = "admin"    // name is the address as it was configured
	RoleMesh     = "mesh"     // likewise
	RoleControl  = "control"  // name is the path
)

// stepTimeout bounds each step of a handover: a start with a large
// configuration is the longest of them.
const stepTimeout = time.Minute

// SocketID names a socket within a handover.
type SocketID struct {
	Role string `json:"role"`
	Name string `json:"name"`
}

// ErrNobody: no gateway listens at the path.
var ErrNobody = errors.New("no gateway can be reached there")

// RefusedError is a giver that will not be replaced now.
type RefusedError struct {
	PID    int
	Reason string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the gateway that runs (process %d) refuses to be replaced: %s", e.PID, e.Reason)
}

// Kinds of messages.
const (
	kindHello   = "hello"
	kindOffer   = "offer"
	kindReady   = "ready"
	kindGo      = "go"
	kindServing = "serving"
	kindLeft    = "left"
	kindFailed  = "failed"
	kindRefuse  = "refuse"
	kindUpgrade = "upgrade" // a person asks the giver to start its successor
	kindOutcome = "outcome" // the answer to that
)

// message is one packet.
type message struct {
	Kind     string `json:"kind"`
	Protocol int    `json:"protocol,omitempty"`
	Version  string `json:"version,omitempty"`
	// PID is who speaks, and of an outcome who serves now. What the kernel tells
	// of the other end of a socket is who began to listen, maybe long ago.
	PID int `json:"pid,omitempty"`
	// Before of an outcome is who has served until now.
	Before int `json:"before,omitempty"`
	// Error is why a failed, refuse or outcome says no.
	Error string `json:"error,omitempty"`
	// Sockets of an offer come with a descriptor each, in the same order; those
	// of a serving are the ones that the taker accepts from. More of the same
	// kind follows.
	Sockets []SocketID `json:"sockets,omitempty"`
	More    bool       `json:"more,omitempty"`
	// SessionKey of an offer authenticates session persistence.
	SessionKey []byte `json:"sessionKey,omitempty"`
	// TicketKeys of an offer open the TLS session tickets of the giver.
	TicketKeys []byte `json:"ticketKeys,omitempty"`
	// Staples of an offer are OCSP responses.
	Staples [][]byte `json:"staples,omitempty"`
	// KeySets of an offer are public keys.
	KeySets     [][]byte `json:"keySets,omitempty"`
	Connections int      `json:"connections,omitempty"`
}
