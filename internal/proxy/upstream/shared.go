package upstream

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/proxy/upstream/http2"
	"github.com/gridway/gridway/internal/proxy/upstream/pool"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// sharedConn is a connection that carries many exchanges, over HTTP/2 or HTTP/3.
type sharedConn interface {
	// Limit is how many it takes at a time, 0 if no more. tight: what they have on
	// its way may keep another waiting.
	Limit() (n int, tight bool)
	// Hold adds to the count of exchanges that have a place, and returns it. The
	// lock of the endpoint's connections guards it.
	Hold(n int) int
	// Home is the loop that it belongs to, or nil.
	Home() *loop.Loop
	// Leave lets it end with what it carries; Kill closes it at once.
	Leave()
	Kill()
}

// sharedConns are the connections of an endpoint that carry many exchanges each. One
// more is made when none has room, one at a time: who comes meanwhile waits.
//
// An endpoint of a cluster that is rebuilt goes on with those of the one before,
// which may have exchanges on them still.
type sharedConns struct {
	registry *registry

	mu      sync.Mutex // guards what follows; taken before a connection's own lock
	conns   []sharedConn
	slots   map[sharedConn]*pool.Slots // that each is counted in
	dialing bool
	waiting []chan error // of those in line
	closed  bool
}

func newSharedConns(r *registry) *sharedConns {
	return &sharedConns{registry: r, slots: make(map[sharedConn]*pool.Slots)}
}

const (
	// ownLoop makes a connection of the caller's own loop better than others, and
	// roomy one that is not tight better than any that is.
	ownLoop = 1 << 20
	roomy   = 1 << 21
	// maxForRoom is from how many connections on no more are made because all are tight.
	maxForRoom = 16
)

// take finds a connection with room, waits for one, or makes one.
func (s *sharedConns) take(e *Endpoint, a *Ask, by int64) (conn sharedConn, reused bool, err error) {
	c := e.cluster
	for frugal := false; ; {
		var tight bool
		s.mu.Lock()
		if !c.rules.Off {
			conn, tight = s.find(a)
			if conn != nil && (!tight || frugal || len(s.conns) >= maxForRoom) {
				conn.Hold(1)
				s.mu.Unlock()
				return conn, true, nil
			}
		}
		if (c.rules.Off || !s.dialing) && c.slots.Adopt() {
			s.dialing = true
			s.mu.Unlock()
			made, err := e.dialShared(a, by)
			if err = s.made(e, made, err); err != nil && conn != nil {
				frugal = true
				continue
			}
			return made, false, err
		}
		if !s.dialing && conn != nil {
			conn.Hold(1)
			s.mu.Unlock()
			return conn, true, nil
		}
		if !s.dialing && len(s.conns) == 0 {
			s.mu.Unlock()
			c.overloaded(EventOverloadConnections)
			return nil, false, errCrowded
		}
		turn := make(chan error, 1)
		s.waiting = append(s.waiting, turn)
		s.mu.Unlock()
		if told, err := s.await(e, turn, a, by); err != nil {
			if conn == nil || !told {
				return nil, false, err
			}
			frugal = true
		}
	}
}

// find looks for a place on a connection: on one that is not tight, of the caller's
// own loop if there is one, and otherwise on the one that has the most room. The
// lock is held.
func (s *sharedConns) find(a *Ask) (best sharedConn, tight bool) {
	home := a.Task.Home()
	most := 0
	for _, conn := range s.conns {
		limit, narrow := conn.Limit()
		room := limit - conn.Hold(0)
		if room <= 0 {
			continue
		}
		if home != nil && conn.Home() == home {
			room += ownLoop
		}
		if !narrow {
			room += roomy
		}
		if room > most {
			best, most, tight = conn, room, narrow
		}
	}
	return best, tight
}

// begun notes a connection that was made, on which nothing was said yet.
func (s *sharedConns) begun(e *Endpoint, conn sharedConn) {
	slots := e.cluster.slots
	s.mu.Lock()
	if heir := e.successor.Load(); heir != nil && heir.shared == s && heir.cluster.slots.Adopt() {
		slots.Release()
		slots = heir.cluster.slots
	}
	s.slots[conn] = slots
	s.mu.Unlock()
	s.registry.add(conn)
}

// made notes what has become of a connection that was to be made.
func (s *sharedConns) made(e *Endpoint, conn sharedConn, err error) error {
	s.mu.Lock()
	s.dialing = false
	closed := s.closed
	if err == nil {
		conn.Hold(1)
		if s.slots[conn] != nil { // else it has ended already
			s.conns = append(s.conns, conn)
		}
	}
	s.wake(len(s.waiting), err)
	s.mu.Unlock()
	var ended *endedError
	switch {
	case errors.As(err, &ended): // over gives its place back
	case err != nil:
		e.cluster.slots.Release()
	case closed || e.cluster.rules.Off:
		conn.Leave() // with this exchange
	}
	return err
}

// bequeath has the connections that are counted in one cluster's limit counted
// in another's. Those that are too many there end with what they carry.
func (s *sharedConns) bequeath(from, to *pool.Slots) {
	var tooMany []sharedConn
	s.mu.Lock()
	for conn, slots := range s.slots {
		switch {
		case slots != from:
		case to.Adopt():
			s.slots[conn] = to
			from.Release()
		default:
			tooMany = append(tooMany, conn)
		}
	}
	s.mu.Unlock()
	for _, conn := range tooMany {
		conn.Leave()
	}
}

// wake lets the first n in line look again, or fail. The lock is held.
func (s *sharedConns) wake(n int, err error) {
	for _, turn := range s.waiting[:n] {
		turn <- err
	}
	s.waiting = slices.Delete(s.waiting, 0, n)
}

// await waits for a turn. told: that has come, and the error is of the connection
// that was to be made.
func (s *sharedConns) await(e *Endpoint, turn chan error, a *Ask, by int64) (told bool, err error) {
	a.Task.Detach()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case err := <-turn:
			return true, err
		case <-timer.C:
		}
		left := by - netx.Monotonic()
		gone := a.Gone != nil && a.Gone()
		if left > 0 && !gone {
			s.lookAgain()
			timer.Reset(min(time.Duration(left), 100*time.Millisecond))
			continue
		}
		s.mu.Lock()
		if i := slices.Index(s.waiting, turn); i >= 0 {
			s.waiting = slices.Delete(s.waiting, i, i+1)
		} else {
			s.wake(min(1, len(s.waiting)), nil) // the turn has come too late: another's
		}
		s.mu.Unlock()
		if gone {
			return false, &ConnectError{Address: e.address, Kind: Cancelled, Err: netx.ErrWatchGone}
		}
		e.cluster.overloaded(EventOverloadConnections)
		return false, errCrowded
	}
}

// lookAgain wakes the first in line if the endpoint takes more than it did, of
// which nobody is told.
func (s *sharedConns) lookAgain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.conns {
		if limit, _ := conn.Limit(); limit > conn.Hold(0) {
			s.wake(min(1, len(s.waiting)), nil)
			return
		}
	}
}

// leave gives a place back.
func (s *sharedConns) leave(conn sharedConn) {
	s.mu.Lock()
	conn.Hold(-1)
	if len(s.waiting) > 0 {
		s.wake(1, nil)
	}
	s.mu.Unlock()
}

// Over implements http2.Owner.
func (s *sharedConns) Over(conn *http2.Conn) {
	conn.Peer().Leave()
	s.over(conn)
}

// over notes that a connection takes nothing more and carries nothing.
func (s *sharedConns) over(conn sharedConn) {
	s.mu.Lock()
	if i := slices.Index(s.conns, conn); i >= 0 {
		s.conns = slices.Delete(s.conns, i, i+1)
	}
	slots := s.slots[conn]
	delete(s.slots, conn)
	s.wake(len(s.waiting), nil)
	s.mu.Unlock()
	slots.Release()
	s.registry.remove(conn)
}

// registry is the shared connections of a Set, whatever became of their
// clusters.
type registry struct {
	mu    sync.Mutex
	conns map[sharedConn]struct{} // guarded by mu
	gone  sync.WaitGroup
}

func (r *registry) add(conn sharedConn) {
	r.gone.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conns == nil {
		r.conns = map[sharedConn]struct{}{}
	}
	r.conns[conn] = struct{}{}
}

func (r *registry) remove(conn sharedConn) {
	r.mu.Lock()
	delete(r.conns, conn)
	r.mu.Unlock()
	r.gone.Done()
}

// close cuts all connections and waits for their end.
func (r *registry) close() {
	r.mu.Lock()
	conns := slices.Collect(maps.Keys(r.conns))
	r.mu.Unlock()
	for _, conn := range conns {
		conn.Kill()
	}
	r.gone.Wait()
}

// close lets the connections end with what they carry.
func (s *sharedConns) close() {
	s.mu.Lock()
	s.closed = true
	conns := slices.Clone(s.conns)
	s.mu.Unlock()
	for _, conn := range conns {
		conn.Leave()
	}
}
