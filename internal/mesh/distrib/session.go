package distrib

import (
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// errOrderly is how a stream ends that its proxy has ended.
var errOrderly = errors.New("the proxy has left")

// maxPending bounds clusters whose endpoints wait to be sent; beyond it the view is
// looked at instead.
const maxPending = 1024

// work is what is to be sent. Each thing is there once, in its newest state: what a
// slow proxy has not been sent costs no more the longer it takes.
type work struct {
	view bool
	// since is when the configuration changed that the view is for, zero for other
	// reasons to look at it.
	since time.Time
	trust bool
	// withheld is to be told, whatever it is now.
	withheld  bool
	reconnect *meshpb.Reconnect
	// endpoints are the newest of clusters that changed in nothing else.
	endpoints map[string]*Resource
	// all and forget are what the proxy says it has lost: everything, or resources.
	all    bool
	forget []Key
}

// changed has the view looked at, since the configuration has changed.
func (w *work) changed(now time.Time) {
	if !w.view || w.since.IsZero() {
		w.since = now
	}
	w.view = true
}

// session is one stream: receive and send have a goroutine each.
type session struct {
	server *Server
	stream grpc.BidiStreamingServer[meshpb.FromProxy, meshpb.FromControl]
	name   string // set before the session is joined
	joined bool   // guarded by server.mu

	replaced chan struct{} // closed when another stream of the proxy is there
	over     chan struct{} // closed when Stream returns
	wake     chan struct{}
	proxy    atomic.Pointer[Proxy] // replaced, never changed
	// changing is held by who replaces it, over what follows of that. It is taken before
	// all other locks.
	changing sync.Mutex

	mu   sync.Mutex // guards what follows
	todo work
	// ready: the proxy has said who it is and what it has.
	ready bool
	// patches: it takes resources as changes.
	patches bool
	// subscribed is the newest Subscribe, answered the newest that an Update answered.
	subscribed, answered uint64
	// sent is what the proxy has once all is read that was sent, but for endpoints
	// that changed since.
	sent      []*Resource
	endpoint  map[string]*Resource
	view      View
	begun     bool // an Update was sent
	making    bool // a view is being made
	waiting   bool // the last Update has not been answered
	served    Revision
	acked     []*Resource // the resources of what is served
	refused   []Refusal
	partial   bool // it serves the view but for what it refused
	older     bool // the proxy waits for something newer
	failed    error
	since     time.Time
	lastHeard time.Time
	// changed is when the configuration changed of which the last Update is, until it is
	// answered.
	changed time.Time
}

func newSession(s *Server, stream grpc.BidiStreamingServer[meshpb.FromProxy, meshpb.FromControl]) *session {
	now := time.Now()
	return &session{
		server: s, stream: stream, since: now, lastHeard: now,
		replaced: make(chan struct{}), over: make(chan struct{}), wake: make(chan struct{}, 1),
	}
}

// mark adds to what is to be sent.
func (x *session) mark(change func(*work)) {
	x.mu.Lock()
	change(&x.todo)
	x.mu.Unlock()
	x.kick()
}

func (x *session) kick() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// dependsOn tells whether the view has to do with one of some services.
func (x *session) dependsOn(services []string) bool {
	if len(services) == 0 {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.begun {
		return true
	}
	return slices.ContainsFunc(services, func(name string) bool {
		_, ok := slices.BinarySearch(x.view.Services, name)
		return ok
	})
}

// endpoints has those sent that are of the view.
func (x *session) endpoints(list []*Resource) {
	x.mu.Lock()
	some := false
	for _, r := range list {
		if _, ok := find(x.view.Resources, r.Key()); !ok {
			continue
		}
		if len(x.todo.endpoints) >= maxPending {
			x.todo.view, x.todo.endpoints = true, nil
		}
		if !x.todo.view {
			if x.todo.endpoints == nil {
				x.todo.endpoints = map[string]*Resource{}
			}
			x.todo.endpoints[r.Name] = r
		}
		some = true
	}
	x.mu.Unlock()
	if some {
		x.kick()
	}
}

// receive reads what the proxy says until the stream ends.
func (x *session) receive(identity string) error {
	if err := x.hello(identity); err != nil {
		return err
	}
	for {
		m, err := x.stream.Recv()
		if errors.Is(err, io.EOF) {
			return errOrderly
		}
		if err != nil {
			return err
		}
		if err := x.take(m); err != nil {
			return err
		}
	}
}

// hello reads who the proxy is and what it has.
func (x *session) hello(identity string) error {
	m, err := x.stream.Recv()
	if err != nil {
		return err
	}
	h := m.GetHello()
	if h == nil {
		return status.Error(codes.InvalidArgument, "the first message has to be a Hello")
	}
	p, err := proxyOf(h)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	p.Identity = identity
	if err := x.server.claim(p); err != nil {
		return err
	}
	var held []*Resource
	for last := !h.GetHeld(); !last; {
		if m, err = x.stream.Recv(); err != nil {
			return err
		}
		part := m.GetHeld()
		if part == nil {
			return status.Error(codes.InvalidArgument, "after a Hello has to come what the proxy has")
		}
		for _, r := range part.GetResources() {
			if len(held) >= maxHeld {
				return status.Errorf(codes.ResourceExhausted, "the proxy has more than %d resources", maxHeld)
			}
			held = append(held, &Resource{Kind: r.GetKind(), Name: r.GetName(), Hash: r.GetHash()})
		}
		last = part.GetLast()
	}
	slices.SortFunc(held, Compare)
	held = slices.CompactFunc(held, func(a, b *Resource) bool { return a.Key() == b.Key() })
	x.name = p.Name
	x.proxy.Store(p)
	x.mu.Lock()
	x.ready, x.sent, x.served, x.patches = true, held, revisionOf(h.GetRevision()), h.GetPatches()
	x.todo.view, x.todo.trust, x.todo.withheld = true, x.server.cfg.Trust != nil, p.Role == RoleNode
	x.mu.Unlock()
	if err := x.server.join(x); err != nil {
		return err
	}
	x.server.activity.Add(1)
	x.regrant() // what it may have may have changed before it was known to be there
	x.kick()
	return nil
}

// take acts on a message.
func (x *session) take(m *meshpb.FromProxy) error {
	defer x.server.activity.Add(1)
	x.mu.Lock()
	x.lastHeard = time.Now()
	x.mu.Unlock()
	switch m := m.GetMessage().(type) {
	case *meshpb.FromProxy_Hello:
		return x.again(m.Hello)
	case *meshpb.FromProxy_Subscribe:
		return x.subscribe(m.Subscribe.GetServices(), nil, m.Subscribe.GetSequence())
	case *meshpb.FromProxy_Unsubscribe:
		return x.subscribe(nil, m.Unsubscribe.GetServices(), 0)
	case *meshpb.FromProxy_Health:
		x.health(m.Health)
	case *meshpb.FromProxy_Ack:
		x.ack(revisionOf(m.Ack.GetRevision()))
	case *meshpb.FromProxy_Nack:
		x.nack(m.Nack)
	case *meshpb.FromProxy_Resend:
		x.mark(func(w *work) {
			w.view = true
			x.waiting = false // what is asked for again is not answered
			w.all = w.all || len(m.Resend.GetResources()) == 0
			for _, r := range m.Resend.GetResources() {
				w.forget = append(w.forget, Key{r.GetKind(), r.GetName()})
			}
			if len(w.forget) > maxPending {
				w.all, w.forget = true, nil
			}
		})
		x.server.cfg.Log.Warn("a proxy asks for what it was sent once more", "proxy", x.name, "reason", m.Resend.GetReason())
	}
	// Messages of later versions say nothing to this one.
	return nil
}

// again takes a further Hello: the proxy has other workloads, listeners or labels.
func (x *session) again(h *meshpb.Hello) error {
	p, err := proxyOf(h)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	x.changing.Lock()
	defer x.changing.Unlock()
	before := x.proxy.Load()
	p.Identity, p.Name, p.Role, p.Services = before.Identity, before.Name, before.Role, before.Services
	if err := x.server.claim(p); err != nil {
		return err
	}
	x.proxy.Store(p)
	x.server.rejoin(x, p)
	x.mark(func(w *work) { w.view, w.withheld = true, p.Role == RoleNode })
	return nil
}

// subscribe changes which services the proxy uses.
func (x *session) subscribe(add, remove []string, sequence uint64) error {
	x.changing.Lock()
	defer x.changing.Unlock()
	p := *x.proxy.Load()
	if err := validServices(add); err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	list := append(slices.Clone(p.Services), add...)
	slices.Sort(list)
	list = slices.Compact(list)
	gone := make(map[string]bool, len(remove))
	for _, name := range remove {
		gone[name] = true
	}
	list = slices.DeleteFunc(list, func(name string) bool { return gone[name] })
	if len(list) > maxServices {
		return status.Errorf(codes.ResourceExhausted, "the proxy uses %d services, and can use %d", len(list), maxServices)
	}
	p.Services = list
	x.proxy.Store(&p)
	x.mark(func(w *work) {
		w.view = true
		x.subscribed = max(x.subscribed, sequence)
	})
	return nil
}

// health says of workloads how they are.
func (x *session) health(h *meshpb.Health) {
	x.changing.Lock()
	defer x.changing.Unlock()
	p := *x.proxy.Load()
	p.claimed, p.Workloads = slices.Clone(p.claimed), slices.Clone(p.Workloads)
	changed := false
	for _, is := range h.GetWorkloads() {
		of := func(w *Workload) bool {
			return w.Namespace == is.GetNamespace() && w.Service == is.GetService() && w.Name == is.GetName() && w.Healthy != is.GetHealthy()
		}
		for i := range p.claimed {
			if of(&p.claimed[i]) {
				p.claimed[i].Healthy = is.GetHealthy()
			}
		}
		for i := range p.Workloads {
			if of(&p.Workloads[i]) {
				p.Workloads[i].Healthy, changed = is.GetHealthy(), true
			}
		}
	}
	if !changed {
		x.proxy.Store(&p)
		return
	}
	x.proxy.Store(&p)
	x.server.rejoin(x, &p)
}

func (x *session) ack(r Revision) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.served = r
	if r.Hash == x.view.Hash && r.Number == x.view.Number {
		x.waiting, x.refused, x.older, x.acked = false, nil, false, x.view.Resources
		if !x.changed.IsZero() {
			x.server.counters.acknowledged(time.Since(x.changed))
			x.changed = time.Time{}
		}
		x.kick()
	}
}

func (x *session) nack(n *meshpb.Nack) {
	r := revisionOf(n.GetRevision())
	x.mu.Lock()
	defer x.mu.Unlock()
	x.served = revisionOf(n.GetServing())
	if r.Hash != x.view.Hash || r.Number != x.view.Number {
		return
	}
	before := x.refused
	x.waiting, x.older, x.refused = false, n.GetWaiting(), nil
	for _, f := range n.GetRefusals()[:min(len(n.GetRefusals()), maxRefusals)] {
		x.server.counters.refusal(f.GetKind())
		x.refused = append(x.refused, Refusal{Key{short(f.GetKind()), short(f.GetName())}, short(f.GetReason())})
	}
	if !x.older && x.refused == nil {
		x.refused = []Refusal{{Reason: "it does not say why"}}
	}
	if x.partial = x.served == r; x.partial {
		x.acked = slices.DeleteFunc(slices.Clone(x.view.Resources), func(r *Resource) bool {
			return slices.ContainsFunc(x.refused, func(f Refusal) bool { return f.Key == r.Key() })
		})
	}
	x.kick()
	if !x.older && !slices.Equal(before, x.refused) {
		x.server.cfg.Log.Warn("a proxy refuses a revision", "proxy", x.name, "revision", r.Number, "reasons", x.refused)
	}
}
