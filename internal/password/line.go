package password

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// line is a bounded number of places for work, and a bounded line of those who wait
// for one. Clients take turns, however many of each wait; when the line is full, one
// of a client with few waiting takes the place of the last of the client with the
// most. So nobody can fill it alone.
type line struct {
	mu      sync.Mutex
	free    int       // guarded by mu
	waiting int       // guarded by mu; of all clients
	most    int       // how many may wait
	clients []*client // guarded by mu; those with somebody waiting, the next to be served first
}

type client struct {
	from    netip.Prefix
	waiters []chan bool
}

func newLine(places, waiting int) *line { return &line{free: places, most: waiting} }

// take waits for a place, which leave gives back; false is that there are too many
// or that it took longer than patience.
func (l *line) take(from netip.Prefix, patience time.Duration) bool {
	turn, ok := l.enter(from)
	if turn == nil {
		return ok
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case ok = <-turn:
		return ok
	case <-late.C:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case ok = <-turn: // it came meanwhile
		return ok
	default:
	}
	c := l.client(from)
	i := slices.Index(l.clients[c].waiters, turn)
	l.remove(c, i)
	return false
}

// enter takes a place if there is a free one; else it returns what tells whether
// the client got one, or nothing if there is no room to wait.
func (l *line) enter(from netip.Prefix) (turn chan bool, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free > 0 {
		l.free--
		return nil, true
	}
	at := l.client(from)
	if l.waiting >= l.most && !l.push(at) {
		return nil, false
	}
	if at = l.client(from); at < 0 { // push may have moved it
		at = len(l.clients)
		l.clients = append(l.clients, &client{from: from})
	}
	turn = make(chan bool, 1) // who tells does not wait
	l.clients[at].waiters = append(l.clients[at].waiters, turn)
	l.waiting++
	return turn, true
}

// push turns the last away of the client with the most waiting, unless that would
// make it worse off than the client at a place.
func (l *line) push(at int) bool {
	mine, worst := 0, 0
	if at >= 0 {
		mine = len(l.clients[at].waiters)
	}
	for i, c := range l.clients {
		if len(c.waiters) > len(l.clients[worst].waiters) {
			worst = i
		}
	}
	n := len(l.clients[worst].waiters)
	if n <= mine+1 {
		return false
	}
	l.clients[worst].waiters[n-1] <- false
	l.remove(worst, n-1)
	return true
}

// leave gives a place to the next client, or back.
func (l *line) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == 0 {
		l.free++
		return
	}
	next := l.clients[0]
	next.waiters[0] <- true
	l.remove(0, 0)
	if len(next.waiters) > 0 { // behind all the others
		l.clients = append(l.clients[1:], next)
	}
}

func (l *line) client(from netip.Prefix) int {
	return slices.IndexFunc(l.clients, func(c *client) bool { return c.from == from })
}

// remove takes the i-th waiter of a client out, and the client if it was the last.
func (l *line) remove(at, i int) {
	c := l.clients[at]
	c.waiters = slices.Delete(c.waiters, i, i+1)
	l.waiting--
	if len(c.waiters) == 0 {
		l.clients = slices.Delete(l.clients, at, at+1)
	}
}

// network is what counts as one client: an IPv4 address, or an IPv6 network of 64
// bits, which is what a subscriber gets (RFC 6177).
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // the zero Prefix for the zero Addr, which is a client as well
	return p
}
