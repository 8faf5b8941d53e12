package distrib

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// Connections are probed, so that a proxy whose machine is gone is known to be gone
// after 20 seconds.
var (
	serverKeepalive = keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 10 * time.Second}
	keepaliveBound  = keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}
)

// ServerConfig is how a Server is made.
type ServerConfig struct {
	// Views makes what proxies are sent.
	Views Views
	// Workloads is told who is there; it may be nil.
	Workloads Workloads
	// Trust is what proxies are told of whom to trust; it may be nil.
	Trust TrustSource
	// Name is of this process, and Version of its program.
	Name, Version string
	// Identify returns the SPIFFE ID of a stream's peer. Nil takes that of the
	// certificate which TLS has verified.
	Identify func(context.Context) (string, error)
	// Granted tells whether a proxy may speak for workloads of another identity than
	// its own. Nil is never; a node proxy needs it. An error is that this cannot be told,
	// and ends the stream; what is not granted is withheld, and the proxy goes on
	// with the rest. When answers change, Regrant is to be called.
	Granted func(p *Proxy, identity string) (bool, error)
	// MaxStreams bounds the proxies at a time; 0 is 10,000.
	MaxStreams int
	// Gone is how long a proxy whose stream broke is counted as one that does not
	// serve; 0 is ten minutes. One that ended its stream is forgotten at once.
	Gone time.Duration
	Log  *slog.Logger
}

// TrustSource is what proxies are told of whom to trust.
type TrustSource interface {
	// Trust returns what is for keyrings, and a channel that is closed when it is
	// not the newest any more.
	Trust() (bundles, denied []byte, changed <-chan struct{})
}

// Server gives proxies their views. It implements the gRPC service Distribution.
type Server struct {
	meshpb.UnimplementedDistributionServer

	cfg    ServerConfig
	deltas deltas

	// roster has locks that are held over calls of cfg.Workloads, so that those about
	// one proxy are in order; see rosterOf.
	roster [64]sync.Mutex

	// activity grows with all that may change what Proxies and Objects say.
	activity atomic.Uint64
	counters counters

	announcing sync.Mutex
	moment     uint64 // guarded by announcing: the changes up to it are announced

	mu       sync.Mutex // guards what follows
	sessions map[string]*session
	streams  int
	gone     map[string]*departed
	draining *meshpb.Reconnect
	closed   chan struct{}
	work     sync.WaitGroup
}

// NewServer makes a Server, which serves streams and needs Run to hear of changes.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Views == nil {
		return nil, errors.New("distrib: a server needs Views")
	}
	if cfg.MaxStreams == 0 {
		cfg.MaxStreams = 10_000
	}
	if cfg.Gone == 0 {
		cfg.Gone = 10 * time.Minute
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Identify == nil {
		cfg.Identify = PeerIdentity
	}
	return &Server{cfg: cfg, sessions: map[string]*session{}, gone: map[string]*departed{}, closed: make(chan struct{})}, nil
}

// Run tells sessions of changes until the context ends, then ends all streams and
// waits for them.
func (s *Server) Run(ctx context.Context) error {
	defer s.close()
	views, trust := closedChannel, closedChannel
	if s.cfg.Trust == nil {
		trust = nil
	}
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		if isClosed(views) {
			views = s.cfg.Views.Changed()
			if _, ok := s.cfg.Views.(Changes); ok {
				s.catchUp()
			} else {
				s.announce(&Change{All: true})
			}
		}
		if isClosed(trust) {
			_, _, trust = s.cfg.Trust.Trust()
			s.each(func(x *session) { x.mark(func(w *work) { w.trust = true }) })
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-views:
		case <-trust:
		case <-tick.C:
			s.forgetGone(time.Now())
		}
	}
}

var closedChannel = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// catchUp announces what has changed in views since it was last called.
func (s *Server) catchUp() {
	s.announcing.Lock()
	defer s.announcing.Unlock()
	changes, ok := s.cfg.Views.(Changes)
	if !ok {
		return
	}
	change := changes.Since(s.moment)
	s.moment = change.Moment
	s.announce(&change)
}

// announce has those sessions look again that a change concerns.
func (s *Server) announce(c *Change) {
	if !c.All && len(c.Services)+len(c.Proxies)+len(c.Endpoints) == 0 {
		return
	}
	s.activity.Add(1)
	now := time.Now()
	s.each(func(x *session) {
		if c.All || slices.Contains(c.Proxies, x.name) || x.dependsOn(c.Services) {
			x.mark(func(w *work) { w.changed(now) })
			return
		}
		x.endpoints(c.Endpoints)
	})
}

func (s *Server) each(do func(*session)) {
	s.mu.Lock()
	list := make([]*session, 0, len(s.sessions))
	for _, x := range s.sessions {
		list = append(list, x)
	}
	s.mu.Unlock()
	// Nobody is always the first.
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	for _, x := range list {
		do(x)
	}
}

// Drain asks proxies to go to another control plane within a time, and refuses new
// ones.
func (s *Server) Drain(within time.Duration, reason string) {
	hint := &meshpb.Reconnect{Within: uint32(within.Milliseconds()), Reason: reason}
	s.mu.Lock()
	s.draining = hint
	s.mu.Unlock()
	s.each(func(x *session) { x.mark(func(w *work) { w.reconnect = hint }) })
}

// close ends all streams and waits for their goroutines.
func (s *Server) close() {
	s.mu.Lock()
	if !isClosed(s.closed) {
		close(s.closed)
	}
	s.mu.Unlock()
	s.work.Wait()
}

var (
	errReplaced = status.Error(codes.Aborted, "another stream of the same proxy has taken over")
	errEnding   = status.Error(codes.Unavailable, "the control plane ends")
)

// Stream serves one proxy.
func (s *Server) Stream(stream grpc.BidiStreamingServer[meshpb.FromProxy, meshpb.FromControl]) error {
	if err := s.admit(); err != nil {
		return err
	}
	defer s.release()
	identity, err := s.cfg.Identify(stream.Context())
	if err != nil {
		return status.Error(codes.Unauthenticated, err.Error())
	}
	x := newSession(s, stream)
	ends := make(chan error, 2)
	s.work.Go(func() { ends <- x.receive(identity) })
	s.work.Go(func() { ends <- x.send() })
	silent := time.NewTimer(helloTimeout)
	defer silent.Stop()
	select {
	case err = <-ends:
	case <-x.replaced:
		err = errReplaced
	case <-s.closed:
		err = errEnding
	case <-silent.C:
		if !x.isReady() {
			err = status.Error(codes.DeadlineExceeded, "the proxy has not said who it is")
			break
		}
		select {
		case err = <-ends:
		case <-x.replaced:
			err = errReplaced
		case <-s.closed:
			err = errEnding
		}
	}
	// What still waits for the stream is woken when this returns, as that ends it.
	close(x.over)
	s.leave(x, err)
	if status.Code(err) == codes.PermissionDenied {
		s.cfg.Log.Warn("a proxy is refused", "identity", identity, "reason", status.Convert(err).Message())
	}
	if errors.Is(err, errOrderly) {
		return nil
	}
	return err
}

func (s *Server) rosterOf(proxy string) *sync.Mutex {
	return &s.roster[xxhash.Sum64String(proxy)%uint64(len(s.roster))]
}

func (s *Server) admit() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case isClosed(s.closed), s.draining != nil:
		return errEnding
	case s.streams >= s.cfg.MaxStreams:
		return status.Error(codes.ResourceExhausted, fmt.Sprintf("the control plane has %d proxies, as many as it takes", s.streams))
	}
	s.streams++
	return nil
}

func (s *Server) release() {
	s.mu.Lock()
	s.streams--
	s.mu.Unlock()
}

// join makes a session the one of its proxy.
func (s *Server) join(x *session) error {
	p := x.proxy.Load()
	roster := s.rosterOf(x.name)
	roster.Lock()
	defer roster.Unlock()
	s.mu.Lock()
	before := s.sessions[p.Name]
	if before != nil && before.proxy.Load().Identity != p.Identity {
		s.mu.Unlock()
		return status.Errorf(codes.PermissionDenied, "there is a proxy %q of another identity", p.Name)
	}
	s.sessions[p.Name] = x
	x.joined = true
	delete(s.gone, p.Name)
	if s.draining != nil {
		hint := s.draining
		x.mark(func(w *work) { w.reconnect = hint })
	}
	s.mu.Unlock()
	if before != nil {
		close(before.replaced)
	}
	if s.cfg.Workloads != nil {
		s.cfg.Workloads.Joined(p)
	}
	s.cfg.Log.Info("a proxy has come", "proxy", p.Name, "identity", p.Identity, "role", string(p.Role), "version", p.Version)
	return nil
}

// rejoin tells that workloads of a proxy changed.
func (s *Server) rejoin(x *session, p *Proxy) {
	if s.cfg.Workloads == nil {
		return
	}
	roster := s.rosterOf(x.name)
	roster.Lock()
	defer roster.Unlock()
	s.mu.Lock()
	current := s.sessions[x.name] == x
	s.mu.Unlock()
	if current {
		s.cfg.Workloads.Joined(p)
	}
}

// leave forgets a session, unless another has taken its place.
func (s *Server) leave(x *session, err error) {
	orderly := errors.Is(err, errOrderly)
	defer s.activity.Add(1)
	roster := s.rosterOf(x.name)
	roster.Lock()
	defer roster.Unlock()
	s.mu.Lock()
	current := x.joined && s.sessions[x.name] == x
	if current {
		delete(s.sessions, x.name)
		if !orderly {
			s.depart(x)
		}
	}
	s.mu.Unlock()
	if !current {
		return
	}
	p := x.proxy.Load()
	if s.cfg.Workloads != nil {
		s.cfg.Workloads.Left(p, orderly)
	}
	if orderly {
		s.cfg.Log.Info("a proxy has left", "proxy", p.Name)
		return
	}
	s.cfg.Log.Warn("the stream of a proxy is over", "proxy", p.Name, "error", err)
}

func (s *Server) forgetGone(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, d := range s.gone {
		if now.Sub(d.status.Since) >= s.cfg.Gone {
			delete(s.gone, name)
			s.activity.Add(1)
		}
	}
}

// depart remembers a proxy whose stream broke. s.mu is held.
func (s *Server) depart(x *session) {
	st := x.status()
	st.State, st.Since = StateGone, time.Now()
	x.mu.Lock()
	acked := x.acked
	x.mu.Unlock()
	if len(s.gone) >= s.cfg.MaxStreams {
		oldest := ""
		for name, d := range s.gone {
			if oldest == "" || d.status.Since.Before(s.gone[oldest].status.Since) {
				oldest = name
			}
		}
		delete(s.gone, oldest)
	}
	s.gone[x.name] = &departed{st, x.proxy.Load(), acked}
}

// Elsewhere forgets proxies whose streams broke here and that are connected to another
// control plane, as that says, since a time.
func (s *Server) Elsewhere(since map[string]time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, d := range s.gone {
		if at, ok := since[name]; ok && at.After(d.status.Since.Add(-maxSkew)) {
			delete(s.gone, name)
			s.activity.Add(1)
		}
	}
}

// Moment is another number when what Proxies or Objects say may have changed.
func (s *Server) Moment() uint64 {
	s.catchUp()
	return s.activity.Load()
}

// maxSkew is by how much the clocks of control planes may differ, and by how much a
// stream may be noticed to be over later than the next one to have begun.
const maxSkew = time.Minute

// Register puts the service on a gRPC server, which was made with ServerOptions.
func (s *Server) Register(r grpc.ServiceRegistrar) { meshpb.RegisterDistributionServer(r, s) }
