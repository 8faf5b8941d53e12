// Package observe is what the admin API asks about traffic: the answers come from the
// process's own data plane, from the proxies of its mesh, or from both. A process that has
// neither answers nothing.
//
// Its goroutines end with the call that began them.
package observe

import (
	"context"
	"errors"
	"sync"

	"github.com/gridway/gridway/internal/mesh/question"
)

// Observer asks. Its fields are not changed once it is used; each may be left out.
type Observer struct {
	// Own answers for the process's own data plane, which is called OwnProxy.
	Own      question.Answerers
	OwnProxy question.Proxy
	// Hub asks the proxies that are connected to this control plane.
	Hub *question.Hub
	// Others are the other control planes of the mesh.
	Others func() []Replica
}

// Replica is another control plane, whose proxies are asked through it.
type Replica struct {
	// Control is how it calls itself.
	Control string
	// Proxies are those that it has said to be connected to it.
	Proxies []question.Proxy
	// Ask asks them. Nil is that it cannot be reached.
	Ask func(context.Context, question.Ask) error
	// Problem is why it cannot.
	Problem string
}

// Ask asks all proxies that the question wants. Take is called for one part after the
// other, also with the names of proxies that are not reached. The error is that of Take,
// of ctx, or a *question.Refusal.
func (o *Observer) Ask(ctx context.Context, q question.Ask) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var taking sync.Mutex
	take := q.Take
	q.Take = func(p *question.Part) error {
		taking.Lock()
		defer taking.Unlock()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return take(p)
	}
	var wg sync.WaitGroup
	ask := func(f func() error) {
		wg.Go(func() {
			if err := f(); err != nil {
				cancel(err)
			}
		})
	}
	if a := o.Own[q.Kind]; a != nil && (q.Wanted == nil || q.Wanted(o.OwnProxy)) {
		ask(func() error { return o.own(ctx, a, &q) })
	}
	if o.Hub != nil {
		ask(func() error { _, err := o.Hub.Ask(ctx, q); return err })
	}
	if o.Others != nil {
		for _, r := range o.Others() {
			ask(func() error { return r.ask(ctx, &q) })
		}
	}
	wg.Wait()
	return context.Cause(ctx)
}

// own asks the process's own data plane.
func (o *Observer) own(ctx context.Context, a question.Answerer, q *question.Ask) error {
	err := a.Answer(ctx, q.Query, func(items ...[]byte) error {
		return q.Take(&question.Part{Proxy: o.OwnProxy, Items: items})
	})
	var refused *question.Refusal
	if errors.As(err, &refused) { // as another proxy would
		return q.Take(&question.Part{Proxy: o.OwnProxy, Problem: refused.Why})
	}
	return err
}

// ask asks the proxies of another control plane. What keeps it from that is no error: the
// proxies are named as not reached.
func (r *Replica) ask(ctx context.Context, q *question.Ask) error {
	var wanted []question.Proxy
	for _, p := range r.Proxies {
		if q.Wanted == nil || q.Wanted(p) {
			wanted = append(wanted, p)
		}
	}
	why := r.Problem
	if r.Ask != nil {
		var taken error
		one := *q
		one.Take = func(p *question.Part) error {
			taken = q.Take(p)
			return taken
		}
		err := r.Ask(ctx, one)
		switch {
		case err == nil:
			return nil
		case taken != nil || ctx.Err() != nil:
			return errors.Join(taken, ctx.Err())
		}
		why = err.Error()
	}
	for _, p := range wanted {
		if err := q.Take(&question.Part{Proxy: p, Problem: "it is connected to the control plane " + r.Control + ", which cannot be asked: " + why}); err != nil {
			return err
		}
	}
	return nil
}
