package tlsx

import (
	"crypto/tls"
	"sync"
)

// Guard cuts connections of the mesh whose peers are denied while they are open. It
// starts no goroutines: whoever denies also cuts.
type Guard struct {
	ids  Identities
	stop func()

	mu sync.Mutex // guards what follows
	// denials counts how often identities were denied.
	denials uint64
	conns   map[*Guarded]struct{}
}

// Guarded is a connection that a Guard looks after.
type Guarded struct {
	guard *Guard
	peer  Peer
	kill  func()
}

// NewGuard starts to look after connections, until Close. Nil identities have nobody
// to guard.
func NewGuard(ids Identities) *Guard {
	g := &Guard{ids: ids, conns: map[*Guarded]struct{}{}, stop: func() {}}
	if ids != nil {
		g.stop = ids.WatchDenied(g.cut)
	}
	return g
}

// Close stops looking after the connections that are left.
func (g *Guard) Close() { g.stop() }

// Denials is to be asked before a handshake, and its answer to be given to Add.
func (g *Guard) Denials() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.denials
}

// Add looks after a connection after its handshake: kill is called, on any goroutine
// and at most once, if its peer is denied before Leave. It is an error if that has
// happened since Denials was asked.
func (g *Guard) Add(state *tls.ConnectionState, since uint64, kill func()) (*Guarded, error) {
	c := &Guarded{guard: g, peer: PeerOf(state), kill: kill}
	g.mu.Lock()
	g.conns[c] = struct{}{}
	late := g.denials != since
	g.mu.Unlock()
	if !late {
		return c, nil
	}
	if shown, err := verifyPeer(g.ids, state); err != nil {
		c.Leave()
		return nil, &IdentityError{Shown: shown, Err: err}
	}
	return c, nil
}

// Peer is who is on the other side.
func (c *Guarded) Peer() Peer {
	if c == nil {
		return Peer{}
	}
	return c.peer
}

// Leave ends the guard over a connection. Nil is guarded by nobody.
func (c *Guarded) Leave() {
	if c == nil {
		return
	}
	c.guard.mu.Lock()
	delete(c.guard.conns, c)
	c.guard.mu.Unlock()
}

// cut kills the connections of peers that are denied.
func (g *Guard) cut(denied func(id, serial string) bool) {
	var lost []*Guarded
	g.mu.Lock()
	g.denials++
	for c := range g.conns {
		if denied(c.peer.ID, c.peer.SerialNumber) {
			lost = append(lost, c)
			delete(g.conns, c)
		}
	}
	g.mu.Unlock()
	for _, c := range lost {
		c.kill()
	}
}
