package handover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// helloTimeout bounds the wait for the first message of whoever connects.
	helloTimeout = 5 * time.Second
	// goTimeout bounds the wait for a successor that was told to go.
	goTimeout = 10 * time.Second
	// acceptPause is what accepting waits for after it has failed.
	acceptPause = time.Second
	// maxCallers bounds who may be connected at a time.
	maxCallers = 16
	// leftEvery is between two reports of what is left.
	leftEvery = time.Second
)

// Socket is what a giver has to offer.
type Socket struct {
	SocketID
	Conn syscall.Conn
}

// Offer is everything that a successor gets.
type Offer struct {
	Sockets    []Socket
	SessionKey []byte
	// TicketKeys are the secrets of TLS session tickets.
	TicketKeys []byte
	// Staples are OCSP responses. Any that is longer than 32 KiB is left out.
	Staples [][]byte
	// KeySets are public keys that were fetched, within the same bound.
	KeySets [][]byte
	// Done, if not nil, is called when the handover has ended, either way.
	Done func()
}

// Yielded says who serves now.
type Yielded struct {
	PID     int
	Version string
	// Taken are the sockets that it accepts from.
	Taken []SocketID
	// Child: this process has started it.
	Child bool
}

// GiverOptions of a Giver; Offer, Yield and Connections are needed.
type GiverOptions struct {
	Version string
	Log     *slog.Logger
	// Path of the control socket; empty for none. Control is one for that path
	// which was taken over from a predecessor.
	Path    string
	Control net.Listener
	// Offer is asked for when a successor has come. Its error refuses.
	Offer func() (*Offer, error)
	// Yield is called once: the successor accepts, and this process is to drain.
	Yield func(Yielded)
	// Command starts a successor; nil if that is impossible.
	Command *Command
	// Patience bounds each step of a successor; zero is a minute.
	Patience time.Duration
	// Connections counts what is left after Yield.
	Connections func() int
}

// Giver is the side of the process that is replaced.
type Giver struct {
	opt     GiverOptions
	control *net.UnixListener // nil without a path
	// turn is held by the handover under way. After one that succeeded nobody
	// gets it any more.
	turn    chan struct{}
	yielded chan struct{} // closed when a successor serves
	told    chan struct{} // closed when Yield has returned
	over    chan struct{} // closed when Serve ends
	// callers also counts who has claimed the turn.
	callers sync.WaitGroup
	// foreign: the path of the control socket is another process's to remove.
	foreign atomic.Bool

	mu      sync.Mutex
	with    *channel // guarded by mu: the successor before its go
	closed  error    // guarded by mu: why nobody is a successor any more
	serving bool     // guarded by mu
}

// NewGiver opens the control socket, or goes on with the one of a predecessor.
func NewGiver(o GiverOptions) (*Giver, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Patience == 0 {
		o.Patience = stepTimeout
	}
	g := &Giver{opt: o, turn: make(chan struct{}, 1), yielded: make(chan struct{}), told: make(chan struct{}), over: make(chan struct{})}
	if control, ok := o.Control.(*net.UnixListener); ok {
		g.control = control
		g.foreign.Store(true)
	} else if o.Path != "" {
		var err error
		if g.control, err = listen(o.Path); err != nil {
			return nil, fmt.Errorf("upgrade socket: %w", err)
		}
	}
	if g.control != nil {
		g.control.SetUnlinkOnClose(false) // it may be a successor's by then
	}
	return g, nil
}

// Own says that the predecessor, whose control socket this is, has left it.
func (g *Giver) Own() { g.foreign.Store(false) }

// Serve answers who calls until ctx ends. After that the control socket is gone,
// unless a successor has it.
func (g *Giver) Serve(ctx context.Context) {
	g.setServing(true)
	defer func() {
		g.setServing(false)
		close(g.over)
		g.callers.Wait()
	}()
	if g.control == nil {
		<-ctx.Done()
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = g.control.Close() })
	defer stop()
	callers := make(chan struct{}, maxCallers)
	for {
		conn, err := g.control.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			break
		}
		if err != nil { // no descriptors, which others may give back
			g.opt.Log.Warn("the upgrade socket failed", "path", g.opt.Path, "error", err)
			select {
			case <-time.After(acceptPause):
			case <-ctx.Done():
			}
			continue
		}
		select {
		case callers <- struct{}{}:
		default:
			_ = conn.Close()
			continue
		}
		g.callers.Go(func() {
			defer func() { <-callers }()
			g.answer(ctx, conn)
		})
	}
	<-ctx.Done()
}

func (g *Giver) setServing(is bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.serving = is
}

// Release gives back what NewGiver opened, for a Giver that never served or that
// has ended. The path goes too, unless it is another process's.
func (g *Giver) Release() {
	if g.control == nil {
		return
	}
	_ = g.control.Close()
	if !g.foreign.Load() {
		_ = os.Remove(g.opt.Path)
	}
}

func (g *Giver) isYielded() bool {
	select {
	case <-g.yielded:
		return true
	default:
		return false
	}
}

// answer serves one caller.
func (g *Giver) answer(ctx context.Context, conn *net.UnixConn) {
	c := &channel{conn: conn}
	defer c.close()
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	var err error
	if c.pid, err = checkPeer(conn); err != nil {
		g.opt.Log.Warn("a stranger asked for our sockets", "error", err)
		_ = c.send(&message{Kind: kindRefuse, Error: err.Error()})
		return
	}
	m, _, err := c.receive(helloTimeout)
	if err != nil {
		return
	}
	switch {
	case m.Protocol != Protocol:
		_ = c.send(&message{Kind: kindRefuse, Error: protocolError(m.Protocol)})
	case m.Kind == kindUpgrade:
		stop() // after a success this process may end before the answer is sent
		g.upgradeFor(ctx, c)
	case m.Kind == kindHello:
		if err := g.claim(); err != nil {
			_ = c.send(&message{Kind: kindRefuse, Error: err.Error()})
			return
		}
		if err := g.give(c, m, false); err != nil {
			g.unclaim()
			g.opt.Log.Error("the upgrade has failed; this process goes on", "successor", c.pid, "error", err)
			return
		}
		g.report(c)
		g.callers.Done()
	}
}

func protocolError(theirs int) string {
	return fmt.Sprintf("it speaks version %d of the handover and the other side version %d; restart it instead", Protocol, theirs)
}

// upgradeFor starts a successor and tells the caller what became of it.
func (g *Giver) upgradeFor(ctx context.Context, c *channel) {
	y, err := g.Upgrade(ctx)
	out := &message{Kind: kindOutcome, PID: y.PID, Before: os.Getpid(), Version: y.Version}
	if err != nil {
		out.Error = err.Error()
	}
	_ = c.send(out) // the caller may have gone
}

// claim makes the caller the only one who hands over. What fails ends with
// unclaim, and what succeeds with callers.Done once it is reported to the end.
func (g *Giver) claim() error {
	select {
	case g.turn <- struct{}{}:
	default:
		if g.isYielded() {
			return errors.New("it was replaced already and ends when its connections do")
		}
		return errors.New("another upgrade is under way")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	err := g.closed
	if err == nil && !g.serving {
		err = errors.New("it has not begun to serve itself")
	}
	if err != nil {
		<-g.turn
		return err
	}
	g.callers.Add(1)
	return nil
}

func (g *Giver) unclaim() {
	<-g.turn
	g.callers.Done()
}

// report tells the successor what is left until this process ends.
func (g *Giver) report(c *channel) {
	tick := time.NewTicker(leftEvery)
	defer tick.Stop()
	for {
		if c.send(&message{Kind: kindLeft, Connections: g.opt.Connections()}) != nil {
			return
		}
		select {
		case <-tick.C:
		case <-g.over:
			return
		}
	}
}

// Close refuses successors from now on, because of why, and ends the handover
// under way unless its taker was told to go; then it waits for the outcome. A
// Yield has returned by then.
func (g *Giver) Close(why error) {
	g.mu.Lock()
	g.closed = why
	if g.with != nil {
		_ = g.with.conn.CloseRead()
	}
	g.mu.Unlock()
	select {
	case g.turn <- struct{}{}:
		<-g.turn
	case <-g.told:
	}
}
