package app

import (
	"net"
	"sync"
	"time"
)

// door lets proxies in to a gRPC server, and can be shut without anybody being turned away
// who is in: such a server closes, as it begins to stop, connections that it has accepted
// and not looked at yet. Whoever comes to a door that is shut waits at the socket, which a
// successor has too.
type door struct {
	net.Listener

	closing sync.Once
	closed  chan struct{}

	mu      sync.Mutex
	changed chan struct{} // closed and made anew with each change of what follows
	shut    bool          // guarded by mu
	parked  bool          // guarded by mu: nobody more comes in
	waiting int           // guarded by mu: those that the server has not looked at yet
}

func newDoor(l net.Listener) *door {
	return &door{Listener: l, closed: make(chan struct{}), changed: make(chan struct{})}
}

// guest is a connection that is waiting until it is first used.
type guest struct {
	net.Conn
	seen sync.Once
	door *door
}

// Accept implements net.Listener. When the door is shut it returns as the listener closes.
func (d *door) Accept() (net.Conn, error) {
	for {
		d.mu.Lock()
		shut := d.shut
		if shut {
			d.parked = true
			d.tell()
		}
		d.mu.Unlock()
		if shut {
			<-d.closed
			return nil, net.ErrClosed
		}
		c, err := d.Listener.Accept()
		d.mu.Lock()
		if err == nil {
			d.waiting++
			d.mu.Unlock()
			return &guest{Conn: c, door: d}, nil
		}
		shut = d.shut
		d.mu.Unlock()
		if !shut {
			return nil, err
		}
	}
}

// tell wakes who waits for a change. d.mu is held.
func (d *door) tell() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// Close implements net.Listener.
func (d *door) Close() error {
	d.closing.Do(func() { close(d.closed) })
	return d.Listener.Close()
}

// leave shuts the door, and returns when everybody who is in is looked after, or after a
// time.
func (d *door) leave(within time.Duration) {
	d.mu.Lock()
	d.shut = true
	d.mu.Unlock()
	if l, ok := d.Listener.(interface{ SetDeadline(time.Time) error }); ok {
		_ = l.SetDeadline(time.Unix(1, 0)) // an Accept under way returns
	}
	enough := time.NewTimer(within)
	defer enough.Stop()
	for {
		d.mu.Lock()
		done, changed := d.parked && d.waiting == 0, d.changed
		d.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-d.closed:
			return
		case <-enough.C:
			return
		}
	}
}

func (g *guest) look() {
	g.seen.Do(func() {
		g.door.mu.Lock()
		defer g.door.mu.Unlock()
		g.door.waiting--
		g.door.tell()
	})
}

// SetDeadline is what a server begins with that means to serve the connection.
func (g *guest) SetDeadline(t time.Time) error {
	g.look()
	return g.Conn.SetDeadline(t)
}

func (g *guest) Read(p []byte) (int, error) {
	g.look()
	return g.Conn.Read(p)
}

func (g *guest) Close() error {
	g.look()
	return g.Conn.Close()
}
