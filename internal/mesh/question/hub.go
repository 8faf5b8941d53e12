package question

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// ErrTooMany: a control plane asks as many questions as it may.
var ErrTooMany = fmt.Errorf("%d questions are being asked already; end one of them", MaxOfHub)

// HubOptions are for NewHub.
type HubOptions struct {
	// Identity is the SPIFFE ID of a stream's peer.
	Identity func(context.Context) (string, error)
	// Known tells whether a proxy of that identity has its configuration from here.
	Known func(Proxy) bool
	// Control tells whether a peer is a control plane of the same mesh.
	Control func(identity string) bool
	// Replica is how this control plane calls itself before others that share its state
	// store.
	Replica string
	// Local asks for another control plane, and no third one; nil is Hub.Ask. It calls Take
	// for one part after the other.
	Local func(context.Context, Ask) error
	// Own are the kinds of questions that the control plane answers to others by itself.
	Own Answerers
	Log *slog.Logger
}

// Hub asks the proxies that are connected to a control plane. It implements the gRPC
// service Observation.
type Hub struct {
	meshpb.UnimplementedObservationServer
	opt HubOptions

	mu      sync.Mutex // guards what follows
	proxies map[*observed]struct{}
	asks    map[uint64]*asking
	next    uint64
}

// observed is the stream of a proxy.
type observed struct {
	proxy Proxy
	// say has what is to be sent. Who finds it full ends the stream.
	say chan *meshpb.Question
	cut context.CancelFunc
}

// NewHub makes a Hub. Its goroutines are those of its streams.
func NewHub(o HubOptions) *Hub {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Hub{opt: o, proxies: map[*observed]struct{}{}, asks: map[uint64]*asking{}}
}

// Register serves proxies and other control planes.
func (h *Hub) Register(r grpc.ServiceRegistrar) { meshpb.RegisterObservationServer(r, h) }

// Observe implements meshpb.ObservationServer.
func (h *Hub) Observe(stream grpc.BidiStreamingServer[meshpb.Observed, meshpb.Question]) error {
	identity, err := h.opt.Identity(stream.Context())
	if err != nil {
		return status.Error(codes.Unauthenticated, err.Error())
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	p := Proxy{Name: first.GetHello().GetName(), Identity: identity}
	if p.Name == "" || len(p.Name) > maxName {
		return status.Error(codes.InvalidArgument, "the first message must say the proxy's name")
	}
	if !h.opt.Known(p) {
		return status.Errorf(codes.FailedPrecondition, "no proxy %q of this identity has its configuration from here", p.Name)
	}
	ctx, cut := context.WithCancel(stream.Context())
	defer cut()
	o := &observed{proxy: p, say: make(chan *meshpb.Question, 2*MaxOfHub), cut: cut}
	h.add(o)
	defer h.remove(o)
	heard := make(chan error, 1)
	go func() { // it ends with the stream, which ends when this returns
		for {
			m, err := stream.Recv()
			if err != nil {
				heard <- err
				return
			}
			h.heard(o, m.GetAnswer())
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return status.Error(codes.Unavailable, "the proxy does not take questions, or the control plane ends")
		case err := <-heard:
			return err
		case q := <-o.say:
			if err := stream.Send(q); err != nil {
				return err
			}
		}
	}
}

// add takes a proxy in, and asks it what others are asked.
func (h *Hub) add(o *observed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.proxies[o] = struct{}{}
	for _, a := range h.asks {
		if a.Follow {
			h.ask(a, o)
		}
	}
}

// ask asks one proxy, if it is wanted. h.mu is held.
func (h *Hub) ask(a *asking, o *observed) {
	if !a.Only.Wants(o.proxy) {
		return
	}
	a.mu.Lock()
	a.pending[o] = true
	a.asked++
	a.mu.Unlock()
	o.tell(&meshpb.Question{Id: a.id, Kind: a.Kind, Query: a.Query})
}

// tell never waits: a stream that is behind by that much is at its end.
func (o *observed) tell(q *meshpb.Question) {
	select {
	case o.say <- q:
	default:
		o.cut()
	}
}

// remove forgets a proxy, which answers no more.
func (h *Hub) remove(o *observed) {
	h.mu.Lock()
	delete(h.proxies, o)
	var waiting []*asking
	for _, a := range h.asks {
		waiting = append(waiting, a)
	}
	h.mu.Unlock()
	for _, a := range waiting {
		a.mu.Lock()
		pending := a.pending[o]
		a.mu.Unlock()
		if pending {
			a.put(&Part{Proxy: o.proxy, Problem: "its connection to the control plane has ended"})
			a.end(o)
		}
	}
}

// heard gives an answer to who asked. What nobody asks any more is left.
func (h *Hub) heard(o *observed, m *meshpb.Answer) {
	if m == nil {
		return
	}
	h.mu.Lock()
	a := h.asks[m.GetId()]
	h.mu.Unlock()
	if a == nil {
		return
	}
	a.mu.Lock()
	pending := a.pending[o]
	a.mu.Unlock()
	if pending {
		a.answered(o, m)
	}
}

// Ask asks the proxies that are connected here, and returns how many it asked. The error
// is that of Take or of ctx.
func (h *Hub) Ask(ctx context.Context, q Ask) (asked int, err error) {
	if len(q.Query) > MaxQuery || len(q.Kind) > maxKind {
		return 0, Refuse("the question is longer than %d bytes", MaxQuery)
	}
	a := &asking{Ask: q, wake: make(chan struct{}, 1), pending: map[*observed]bool{}}
	h.mu.Lock()
	if len(h.asks) >= MaxOfHub {
		h.mu.Unlock()
		return 0, ErrTooMany
	}
	h.next++
	a.id = h.next
	h.asks[a.id] = a
	for o := range h.proxies {
		h.ask(a, o)
	}
	h.mu.Unlock()
	err = a.take(ctx)
	h.mu.Lock()
	delete(h.asks, a.id)
	a.mu.Lock()
	maps.Copy(a.pending, a.late)
	for o := range a.pending {
		o.tell(&meshpb.Question{Id: a.id, Stop: true})
	}
	asked = a.asked
	a.mu.Unlock()
	h.mu.Unlock()
	return asked, err
}

// Count is how many proxies are connected that are wanted.
func (h *Hub) Count(only Only) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for o := range h.proxies {
		if only.Wants(o.proxy) {
			n++
		}
	}
	return n
}

// Kinds of questions.
const (
	// KindTap is what passes from now on; see package tap.
	KindTap = "tap"
	// KindRecords is what has passed; see package trace.
	KindRecords = "records"
	// KindSignals is what the proxies of a control plane report of the service graph; it is
	// asked of control planes. See package replica.
	KindSignals = "signals"
)
