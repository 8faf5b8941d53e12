package acme

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/issuance"
	"github.com/gridway/gridway/internal/config/store"
)

// maxAtOnce bounds the orders that are asked for at the same time.
const maxAtOnce = 4

// Options of a Source.
type Options struct {
	Storage Storage
	// Changed is told that Objects has something new; it must not block.
	Changed func()
	Log     *slog.Logger
	// UserAgent names the program to authorities.
	UserAgent string
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	pauses pauses
}

// Counts of an order, since the process started.
type Counts struct{ Issued, Failed uint64 }

// Source obtains certificates. Its methods may be called at the same time.
type Source struct {
	opt       Options
	log       *slog.Logger
	client    *client
	authority authority
	responder *Responder
	slots     chan struct{}

	mu      sync.Mutex
	workers map[store.Key]*worker // guarded by mu; by Order.Secret
	running context.Context       // guarded by mu; nil before Run and after it
	working sync.WaitGroup        // grows only while running is not done, with mu held
}

// New makes a Source; Run makes it work.
func New(o Options) *Source {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	if o.pauses == (pauses{}) {
		o.pauses = usual
	}
	s := &Source{opt: o, log: o.Log, slots: make(chan struct{}, maxAtOnce), workers: map[store.Key]*worker{}}
	s.responder = newResponder(o.Storage, o.Log)
	s.client = newClient(&o, s.responder)
	s.authority = s.client
	return s
}

// Responder answers the challenges of the orders.
func (s *Source) Responder() *Responder { return s.responder }

// Set makes these the orders. What is stored for new ones is read at once, so
// that Objects has it when Set returns. Of an order that changed its authority
// or kind of key the certificate that there is serves until the new one comes.
func (s *Source) Set(ctx context.Context, orders []issuance.Order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.responder.shared.Store(len(orders) > 0)
	wanted := map[store.Key]bool{}
	for i := range orders {
		o := &orders[i]
		wanted[o.Secret] = true
		old := s.workers[o.Secret]
		if old != nil && old.order.Equal(o) {
			continue
		}
		w := &worker{s: s, order: o}
		if old != nil {
			old.end()
			w.inherit(old)
		}
		w.read(ctx, true)
		s.workers[o.Secret] = w
		s.start(w)
	}
	for key, w := range s.workers {
		if !wanted[key] {
			w.end()
			delete(s.workers, key)
		}
	}
}

// inherit lets w begin with what another order's worker has.
func (w *worker) inherit(old *worker) {
	old.mu.Lock()
	defer old.mu.Unlock()
	w.counts = old.counts
	if s := old.setback; s != nil && !s.Binding {
		w.forgiven = s.Failed
	}
	if old.bundle == nil {
		return
	}
	if old.order.ID() == w.order.ID() {
		w.bundle = old.bundle
	}
	w.object = old.object
}

func (w *worker) end() {
	if w.stop != nil {
		w.stop()
	}
}

// start lets w work, if the Source does. The caller holds s.mu.
func (s *Source) start(w *worker) {
	if s.running == nil || s.running.Err() != nil {
		return
	}
	var ctx context.Context
	ctx, w.stop = context.WithCancel(s.running)
	s.working.Go(func() { w.run(ctx) })
}

// Run works until ctx ends, and waits for what it has begun.
func (s *Source) Run(ctx context.Context) {
	s.mu.Lock()
	s.running = ctx
	for _, w := range s.workers {
		s.start(w)
	}
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	s.running = nil // no worker is started after this
	s.mu.Unlock()
	s.working.Wait()
	s.client.close()
}

func (s *Source) changed() { s.opt.Changed() }

// sorted lists the workers in the order of their Secrets.
func (s *Source) sorted() []*worker {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*worker, 0, len(s.workers))
	for _, w := range s.workers {
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b *worker) int {
		return cmp.Or(cmp.Compare(a.order.Secret.Namespace, b.order.Secret.Namespace), cmp.Compare(a.order.Secret.Name, b.order.Secret.Name))
	})
	return out
}

// Objects are the certificates that there are, as Secrets.
func (s *Source) Objects() []*store.Object {
	var out []*store.Object
	for _, w := range s.sorted() {
		w.mu.Lock()
		if w.object != nil {
			out = append(out, w.object)
		}
		w.mu.Unlock()
	}
	return out
}

// States say what became of the orders.
func (s *Source) States() []issuance.State {
	var out []issuance.State
	for _, w := range s.sorted() {
		out = append(out, w.state())
	}
	return out
}

// Count calls yield with the counts of each order.
func (s *Source) Count(yield func(issuance.State, Counts)) {
	for _, w := range s.sorted() {
		w.mu.Lock()
		c := w.counts
		w.mu.Unlock()
		yield(w.state(), c)
	}
}

// secretObject is a certificate as compile finds it.
func secretObject(o *issuance.Order, b *bundle) *store.Object {
	v := &corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{
			Name: o.Secret.Name, Namespace: o.Secret.Namespace,
			Annotations: map[string]string{"gridway.dev/issuer": o.Issuer.Name, "gridway.dev/directory": o.Directory},
		},
		Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: []byte(b.Chain), corev1.TLSPrivateKeyKey: []byte(b.Key)},
	}
	return &store.Object{Key: o.Secret, Version: "v1", Value: v, Source: compile.SourceACME, Hash: xxhash.Sum64String(b.Chain + b.Key), Locator: issuedBy(o.Issuer)}
}

// issuedBy is the place of what no file has: its issuer.
type issuedBy store.Key

func (k issuedBy) Locate(string) store.Position { return store.Position{File: store.Key(k).String()} }
