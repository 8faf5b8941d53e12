package acme

import (
	"context"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/config/issuance"
	"github.com/gridway/gridway/internal/config/store"
)

const (
	// tryTimeout bounds a whole try, storageTimeout what is read of the storage.
	tryTimeout     = 10 * time.Minute
	storageTimeout = 10 * time.Second
)

// authority asks certificate authorities; client does it in earnest.
type authority interface {
	obtain(ctx context.Context, o *issuance.Order, replaces *x509.Certificate, turn int) (*bundle, error)
	advise(ctx context.Context, o *issuance.Order, leaf *x509.Certificate) (*advice, error)
}

// worker sees to one order.
type worker struct {
	s     *Source
	order *issuance.Order
	stop  context.CancelFunc // nil until it runs

	mu      sync.Mutex // guards what follows
	bundle  *bundle    // what serves
	object  *store.Object
	setback *setback
	// forgiven is when the failure happened that counts no more, because the
	// order is another one since.
	forgiven time.Time
	advice   *advice
	trying   bool
	broken   error // of the storage
	blocked  bool  // broken in a way that a new certificate would not mend
	next     time.Time
	counts   Counts
}

// read takes over what is stored, and tells whether another certificate serves
// now. At the start it takes over the setback of an earlier process.
func (w *worker) read(ctx context.Context, start bool) (changed bool) {
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	w.mu.Lock()
	known := w.bundle
	w.mu.Unlock()
	b, err := loadBundle(ctx, w.s.opt.Storage, w.order, known)
	failed, err2 := load[setback](ctx, w.s.opt.Storage, setbackKey(w.order))
	said, err3 := load[advice](ctx, w.s.opt.Storage, adviceKey(w.order))
	err = errors.Join(err, err2, err3)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil && (w.broken == nil || w.broken.Error() != err.Error()) {
		w.s.log.Warn("certificate: what is stored cannot be read", "secret", w.order.Secret, "error", err)
	}
	w.broken = err
	w.blocked = err != nil && !errors.Is(err, errDamaged)
	if !w.blocked {
		if failed != nil && failed.Failed.Equal(w.forgiven) {
			failed = nil
		} else if start {
			failed = w.s.opt.pauses.resumed(failed)
		} else if failed != nil && w.setback != nil && failed.Failed.Equal(w.setback.Failed) {
			failed = w.setback // as it was resumed
		}
		w.setback = failed
	}
	if said != nil {
		w.advice = said
	}
	changed = w.serve(b)
	w.schedule(w.s.opt.Now())
	return changed
}

// serve makes b what is delivered, unless it is older than what there is.
func (w *worker) serve(b *bundle) (changed bool) {
	if b == nil || w.bundle != nil && b.leaf.NotAfter.Before(w.bundle.leaf.NotAfter) {
		return false
	}
	if w.bundle != nil && w.bundle.serial() == b.serial() {
		w.bundle = b
		return false
	}
	w.bundle, w.object = b, secretObject(w.order, b)
	return true
}

// run asks for certificates until ctx ends.
func (w *worker) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if w.read(ctx, false) {
			w.s.changed()
		}
		if w.until(w.s.opt.Now()) <= 0 {
			w.try(ctx)
		}
		w.consult(ctx)
		wait := max(0, min(w.until(w.s.opt.Now()), w.s.opt.pauses.look))
		timer.Reset(wait + rand.N(wait/20+1))
	}
}

// until is the wait for the next try.
func (w *worker) until(now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.schedule(now)
	if w.next.IsZero() {
		return w.s.opt.pauses.look
	}
	return w.next.Sub(now)
}

// schedule sets when the next try is, as of now; zero is while there can be none. Its
// caller has the lock.
func (w *worker) schedule(now time.Time) {
	w.next = now
	switch {
	case w.order.Hold != "" || w.blocked && w.bundle == nil:
		w.next = time.Time{}
		return
	case w.bundle != nil:
		w.next = dueAt(w.bundle, w.advice)
	}
	if w.setback != nil && w.setback.Next.After(w.next) {
		w.next = w.setback.Next
	}
}

// consult asks the authority when to renew, if it is time to.
func (w *worker) consult(ctx context.Context) {
	p := &w.s.opt.pauses
	w.mu.Lock()
	b, said := w.bundle, w.advice
	w.mu.Unlock()
	now := w.s.opt.Now()
	if b == nil || w.order.Hold != "" || said != nil && said.Serial == b.serial() && now.Before(said.Again) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*requestTimeout)
	defer cancel()
	fresh, err := w.s.authority.advise(ctx, w.order, b.leaf)
	if err != nil {
		// Also from those that do not give advice: two thirds of the life it is.
		fresh = &advice{Serial: b.serial()}
		if said != nil && said.Serial == b.serial() {
			fresh.Renew, fresh.Explanation = said.Renew, said.Explanation
		}
		w.s.log.Debug("certificate: no renewal information", "secret", w.order.Secret, "error", err)
	}
	again := p.advice
	if !fresh.Again.IsZero() {
		again = min(max(fresh.Again.Sub(now), p.adviceMin), p.adviceMax)
	}
	fresh.Again = now.Add(again).UTC()
	if fresh.Explanation != "" && (said == nil || said.Explanation != fresh.Explanation) {
		w.s.log.Warn("certificate: the authority asks for an early renewal", "secret", w.order.Secret, "explanation", fresh.Explanation, "renew", fresh.Renew)
	}
	w.mu.Lock()
	w.advice = fresh
	w.mu.Unlock()
	if err := save(ctx, w.s.opt.Storage, adviceKey(w.order), fresh); err != nil {
		w.s.log.Warn("certificate: renewal information could not be stored", "secret", w.order.Secret, "error", err)
	}
}

// try asks for a certificate, unless another edge has just done so.
func (w *worker) try(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	w.show(true)
	defer w.show(false)
	unlock, err := w.s.opt.Storage.Lock(ctx, "order-"+w.order.ID()+".lock")
	if err != nil {
		w.fail(ctx, err)
		return
	}
	defer unlock()
	if w.read(ctx, false) {
		w.s.changed()
	}
	if w.until(w.s.opt.Now()) > 0 {
		return // another has been faster, or has failed
	}
	select {
	case w.s.slots <- struct{}{}:
		defer func() { <-w.s.slots }()
	case <-ctx.Done():
		return
	}
	w.mu.Lock()
	var old *x509.Certificate
	turn := 0
	if w.bundle != nil {
		old = w.bundle.leaf
	}
	if w.setback != nil {
		turn = w.setback.Refused
	}
	w.mu.Unlock()
	began := w.s.opt.Now()
	w.s.log.Info("certificate: asking for one", "secret", w.order.Secret, "names", w.order.Names, "directory", w.order.Directory, "renewal", old != nil)
	b, err := w.s.authority.obtain(ctx, w.order, old, turn)
	if err == nil {
		err = save(ctx, w.s.opt.Storage, certificateKey(w.order), b)
		if err != nil { // it is good for this process all the same
			w.s.log.Error("certificate: it could not be stored; other edges and a restart will ask for another", "secret", w.order.Secret, "error", err)
		}
		w.succeed(ctx, b, began)
		return
	}
	w.fail(ctx, err)
}

func (w *worker) show(trying bool) {
	w.mu.Lock()
	w.trying = trying
	w.mu.Unlock()
}

func (w *worker) succeed(ctx context.Context, b *bundle, began time.Time) {
	if err := w.s.opt.Storage.Delete(ctx, setbackKey(w.order)); err != nil {
		w.s.log.Warn("certificate: the storage fails", "secret", w.order.Secret, "error", err)
	}
	w.mu.Lock()
	w.setback = nil
	w.counts.Issued++
	w.bundle, w.object = b, secretObject(w.order, b)
	w.schedule(w.s.opt.Now())
	w.mu.Unlock()
	w.s.log.Info("certificate: issued", "secret", w.order.Secret, "names", w.order.Names, "serial", b.serial(),
		"expires", b.leaf.NotAfter, "took", w.s.opt.Now().Sub(began).Round(time.Millisecond))
	w.s.changed()
}

func (w *worker) fail(ctx context.Context, err error) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return // the process ends, or the order is gone
	}
	w.mu.Lock()
	next := w.s.opt.pauses.after(err, w.s.opt.Now(), w.setback)
	w.setback = next
	w.schedule(w.s.opt.Now())
	w.counts.Failed++
	serves := w.bundle != nil
	w.mu.Unlock()
	w.s.log.Error("certificate: not issued", "secret", w.order.Secret, "names", w.order.Names, "directory", w.order.Directory,
		"error", err, "tries", next.Tries, "next", next.Next, "another_serves", serves)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storageTimeout)
	defer cancel()
	if err := save(ctx, w.s.opt.Storage, setbackKey(w.order), next); err != nil {
		w.s.log.Warn("certificate: the storage fails", "secret", w.order.Secret, "error", err)
	}
}

// state is for status and metrics.
func (w *worker) state() issuance.State {
	w.mu.Lock()
	defer w.mu.Unlock()
	st := issuance.State{Order: w.order, Phase: phase(w.order, w.bundle, w.setback, w.trying), Next: w.next}
	if w.bundle != nil {
		st.NotBefore, st.NotAfter, st.Serial = w.bundle.leaf.NotBefore, w.bundle.leaf.NotAfter, w.bundle.serial()
	}
	switch {
	case w.order.Hold != "":
		st.Error = w.order.Hold
	case w.setback != nil:
		st.Tries, st.Failed, st.Error = w.setback.Tries, w.setback.Failed, w.setback.Error
	case w.blocked:
		st.Error = w.broken.Error()
		if w.bundle == nil {
			st.Phase = issuance.Failing
		}
	}
	return st
}
