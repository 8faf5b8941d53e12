package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/gridway/gridway/internal/handover"
	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

// Upgrade is how a gateway is replaced by another process, and replaces one.
type Upgrade struct {
	// Socket is the path at which successors find this process; empty is none.
	// With Optional a socket that cannot be opened is only told.
	Socket   string
	Optional bool
	// Predecessor is the process to replace, nil for none.
	Predecessor *handover.Taker
	// Command starts a successor; nil if that is impossible.
	Command *handover.Command
	// DrainTimeout is how long connections may go on once a successor serves.
	DrainTimeout time.Duration
	// Yielded is told that a successor serves, before this process drains; it may
	// be nil.
	Yielded func(handover.Yielded)
}

const (
	// warmUp bounds the wait for endpoints to be found and checked before a
	// predecessor, which knows them, is told to go.
	warmUp     = 5 * time.Second
	warmUpTick = 5 * time.Millisecond
	// yieldedIdleGrace is how long idle connections may stay with a process whose
	// successor serves already: nobody waits for its end, and one that brings a
	// request in that time is told to close instead of being closed.
	yieldedIdleGrace = time.Minute
)

var errStopping = errors.New("it is being stopped")

// upgrades is the part of a Gateway that hands over and takes over.
type upgrades struct {
	giver    *handover.Giver
	yielding chan *yielding
	yielded  bool // Run's own

	following sync.Mutex
	// drains is the predecessor as long as it has connections; guarded by following.
	drains *adminapi.Predecessor
}

// yielding tells Run that a successor serves.
type yielding struct {
	admin bool // the successor has the admin API's socket
	done  chan struct{}
}

func (g *Gateway) predecessor() *handover.Taker {
	if g.opt.Upgrade == nil {
		return nil
	}
	return g.opt.Upgrade.Predecessor
}

// inherit asks the predecessor for what it has.
func (g *Gateway) inherit() error {
	t := g.predecessor()
	if t == nil {
		return nil
	}
	if err := t.Take(g.opt.Build.Version); err != nil {
		return fmt.Errorf("cannot take over: %w", err)
	}
	if len(g.opt.SessionKey) == 0 {
		g.opt.SessionKey = t.SessionKey
	}
	return nil
}

// inheritTo gives the data plane the predecessor's sockets.
func (g *Gateway) inheritTo(o *proxy.Options) {
	if t := g.predecessor(); t != nil {
		o.Inherited, o.InheritedDatagrams = t.Listeners(handover.RoleListener), t.Datagrams(handover.RoleListener)
		o.InheritedTickets, o.InheritedStaples, o.InheritedKeys = t.TicketKeys, t.Staples, t.KeySets
		o.InheritedPipes = t.Pipes(handover.RoleListener)
	}
}

// openUpgrades lets successors come.
func (g *Gateway) openUpgrades() (err error) {
	g.yielding = make(chan *yielding)
	o := handover.GiverOptions{
		Version: g.opt.Build.Version, Log: g.log, Offer: g.offer, Yield: g.yield, Connections: func() int { return g.plane.Left() },
	}
	up := g.opt.Upgrade
	if up == nil {
		g.giver, err = handover.NewGiver(o)
		return err
	}
	o.Path, o.Command = up.Socket, up.Command
	if up.Predecessor != nil {
		o.Control = up.Predecessor.Listener(handover.RoleControl, up.Socket)
	}
	if g.giver, err = handover.NewGiver(o); err != nil && up.Optional {
		g.log.Warn("no successor will find this process; a signal starts one all the same", "error", err)
		o.Path = ""
		g.giver, err = handover.NewGiver(o)
	}
	return err
}

// Upgrade starts a successor from the binary that has started this process, and
// returns when it serves, or with what has gone wrong; then this process goes on.
func (g *Gateway) Upgrade(ctx context.Context) (handover.Yielded, error) {
	return g.giver.Upgrade(ctx)
}

// takeOver makes the predecessor drain, if there is one. After an error that one
// goes on, and everything here is to be closed.
func (g *Gateway) takeOver(ctx, parts context.Context, wg *sync.WaitGroup) error {
	t := g.predecessor()
	if t == nil {
		return nil
	}
	if err := g.replace(ctx, t); err != nil {
		err = fmt.Errorf("cannot take over: %w", err)
		if g.admin != nil {
			g.admin.Yield()
			_ = g.admin.Close()
		}
		t.Fail(err)
		return err
	}
	wg.Go(func() {
		t.Follow(parts, func(n int) {
			g.setDrains(&adminapi.Predecessor{PID: t.PID, Version: t.Version, Connections: n})
		})
		g.setDrains(nil)
		t.Close()
		g.log.Debug("the predecessor has ended", "predecessor", t.PID)
	})
	return nil
}

func (g *Gateway) replace(ctx context.Context, t *handover.Taker) error {
	g.warmUp(ctx)
	if err := ctx.Err(); err != nil {
		return errStopping
	}
	if err := t.Ready(); err != nil {
		return err
	}
	inherited := g.plane.Inherited()
	missed := g.plane.Begin()
	if err := t.Serving(g.taken(inherited)); err != nil {
		return err
	}
	g.plane.Own()
	g.giver.Own()
	if missed != nil {
		g.missed(missed)
	}
	g.serves()
	g.log.Info("took over", "predecessor", t.PID, "version", t.Version, "sockets", len(inherited))
	return nil
}

// warmUp waits until endpoints are known, and what certificates need.
func (g *Gateway) warmUp(ctx context.Context) {
	tick := time.NewTicker(warmUpTick)
	defer tick.Stop()
	end := time.NewTimer(warmUp)
	defer end.Stop()
	for g.cold() {
		select {
		case <-tick.C:
		case <-end.C:
			g.log.Warn("not all endpoints, or OCSP responses, are known yet", "waited", warmUp)
			return
		case <-ctx.Done():
			return
		}
	}
}

func (g *Gateway) cold() bool {
	if g.discovery.Pending() || g.plane.AwaitsStaples() {
		return true
	}
	for _, c := range g.plane.Upstreams().Clusters() {
		if c.Unchecked() {
			return true
		}
	}
	return false
}

// taken lists what this process has of the predecessor's.
func (g *Gateway) taken(listeners []string) []handover.SocketID {
	var out []handover.SocketID
	for _, name := range listeners {
		out = append(out, handover.SocketID{Role: handover.RoleListener, Name: name})
	}
	if g.admin != nil {
		out = append(out, handover.SocketID{Role: handover.RoleAdmin, Name: g.opt.Admin})
	}
	if g.control != nil {
		for name := range g.control.sockets(g.opt.Mesh) {
			out = append(out, handover.SocketID{Role: handover.RoleMesh, Name: name})
		}
	}
	return append(out, handover.SocketID{Role: handover.RoleControl, Name: g.opt.Upgrade.Socket})
}

// offer is what a successor gets. No change of the configuration is applied
// until it has been told what became of it, for a listener that is closed in
// between would be closed for both.
func (g *Gateway) offer() (*handover.Offer, error) {
	select {
	case <-g.serving:
	default:
		return nil, errors.New("it does not serve yet")
	}
	g.applying.Lock()
	o := &handover.Offer{SessionKey: g.opt.SessionKey, TicketKeys: g.plane.Tickets(), Staples: g.plane.Staples(), KeySets: g.plane.KeySets(), Done: g.applying.Unlock}
	sockets := g.plane.Sockets()
	for _, name := range slices.Sorted(maps.Keys(sockets)) {
		id := handover.SocketID{Role: handover.RoleListener, Name: name}
		o.Sockets = append(o.Sockets, handover.Socket{SocketID: id, Conn: sockets[name]})
	}
	if g.admin != nil {
		id := handover.SocketID{Role: handover.RoleAdmin, Name: g.opt.Admin}
		o.Sockets = append(o.Sockets, handover.Socket{SocketID: id, Conn: g.admin.Socket()})
	}
	if g.control != nil {
		for name, l := range g.control.sockets(g.opt.Mesh) {
			id := handover.SocketID{Role: handover.RoleMesh, Name: name}
			o.Sockets = append(o.Sockets, handover.Socket{SocketID: id, Conn: l.(syscall.Conn)})
		}
	}
	return o, nil
}

// yield makes this process drain.
func (g *Gateway) yield(y handover.Yielded) {
	var listeners []string
	out := &yielding{done: make(chan struct{})}
	for _, id := range y.Taken {
		switch id.Role {
		case handover.RoleListener:
			listeners = append(listeners, id.Name)
		case handover.RoleAdmin:
			if g.admin != nil && id.Name == g.opt.Admin {
				g.admin.Yield()
				out.admin = true
			}
		}
	}
	g.plane.Yield(listeners, min(yieldedIdleGrace, g.opt.Upgrade.DrainTimeout/2))
	if told := g.opt.Upgrade.Yielded; told != nil {
		told(y)
	}
	g.yielding <- out
	<-out.done
}

func (g *Gateway) setDrains(p *adminapi.Predecessor) {
	g.following.Lock()
	defer g.following.Unlock()
	g.drains = p
}

// missed notes listeners that did not begin, to be tried again.
func (g *Gateway) missed(err error) {
	g.log.Error("not every listener could be taken over; what is missing is tried again", "error", err)
	g.applying.Lock()
	defer g.applying.Unlock()
	closed, defects := sortErrors(err)
	cfg := g.out.Config
	left := unopened(cfg, g.plane.Listening(), closed, defects)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state.unopened = left
	g.state.progress = progress(cfg, left)
	g.state.failure = &adminapi.Failure{At: time.Now(), Error: err.Error()}
	g.pokeReopen()
}
