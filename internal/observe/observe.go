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
	"time"

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

// Ask asks all proxies that the question wants. Take is called for one part after the
// other, also with the names of proxies that are not reached. The error is that of Take,
// of ctx, or a *question.Refusal. What comes before ctx's deadline is not waited for longer
// than nine tenths of the time that is left: who has not answered by then is named.
func (o *Observer) Ask(ctx context.Context, q question.Ask) error { return o.ask(ctx, q, true) }

// Local is Ask without the proxies of other control planes: it answers these.
func (o *Observer) Local(ctx context.Context, q question.Ask) error { return o.ask(ctx, q, false) }

func (o *Observer) ask(ctx context.Context, q question.Ask, others bool) error {
	if at, ok := ctx.Deadline(); ok && !q.Follow {
		q.Within = max(time.Until(at)*9/10, time.Millisecond)
	}
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
	if o.asksOwn(q.Kind, q.Only) {
		ask(func() error { return o.own(ctx, o.Own[q.Kind], &q) })
	}
	if o.Hub != nil {
		ask(func() error { _, err := o.Hub.Ask(ctx, q); return err })
	}
	if o.Others != nil && others {
		ask(func() error { return o.others(ctx, &q) })
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (o *Observer) asksOwn(kind string, only question.Only) bool {
	return o.Own[kind] != nil && only.Wants(o.OwnProxy)
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
