package observe

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/mesh/question"
)

// Replica is another control plane, whose proxies are asked through it.
type Replica struct {
	// ID tells it apart from one that has come in its place, and Control is how it calls
	// itself.
	ID, Control string
	// Proxies are those that it has said to be connected to it, and its own one.
	Proxies []question.Proxy
	// Ask asks them. Nil is that it cannot be reached.
	Ask func(context.Context, question.Ask) error
	// Problem is why it cannot.
	Problem string
}

// lookAgain is how soon a question that goes on is asked of control planes that were not
// there before, or did not answer.
const lookAgain = 2 * time.Second

// others asks all that other control planes have. A question that follows finds those that
// come later, too, and ends with ctx.
func (o *Observer) others(ctx context.Context, q *question.Ask) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	defer wg.Wait()
	if !q.Follow {
		for _, r := range o.Others() {
			wg.Go(func() {
				if err := r.ask(ctx, q, true); err != nil {
					cancel(err)
				}
			})
		}
		wg.Wait()
		return context.Cause(ctx)
	}
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	asked, named := map[string]bool{}, map[string]bool{}
	ended := make(chan string, 1)
	for {
		list := o.Others()
		for _, r := range list {
			if asked[r.ID] {
				continue
			}
			asked[r.ID] = true
			first := !named[r.ID]
			named[r.ID] = true // what cannot be reached is not said again with each try
			wg.Go(func() {
				if err := r.ask(ctx, q, first); err != nil {
					cancel(err)
				}
				select {
				case ended <- r.ID:
				case <-ctx.Done():
				}
			})
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		for done := false; !done; {
			select {
			case id := <-ended:
				delete(asked, id)
			default:
				done = true
			}
		}
		for id := range named {
			if !slices.ContainsFunc(list, func(r Replica) bool { return r.ID == id }) {
				delete(named, id)
			}
		}
	}
}

// ask asks the proxies of another control plane. What keeps it from that is no error: if
// that is to be told, the proxies are named as not reached.
func (r *Replica) ask(ctx context.Context, q *question.Ask, tell bool) error {
	why := r.Problem
	if r.Ask != nil {
		one, asking := *q, ctx
		if q.Within > 0 {
			var cancel context.CancelFunc
			asking, cancel = context.WithTimeout(ctx, q.Within)
			defer cancel()
		}
		var taken error
		one.Take = func(p *question.Part) error {
			taken = q.Take(p)
			return taken
		}
		err := r.Ask(asking, one)
		switch {
		case err == nil:
			return nil
		case taken != nil || ctx.Err() != nil:
			return errors.Join(taken, ctx.Err())
		}
		if why = err.Error(); asking.Err() != nil {
			why = "it has not answered in time"
		}
	}
	if !tell {
		return nil
	}
	why = "it is connected to the control plane " + r.Control + ", which cannot be asked: " + why
	for _, p := range r.Proxies {
		if !q.Only.Wants(p) {
			continue
		}
		if err := q.Take(&question.Part{Proxy: p, Problem: why}); err != nil {
			return err
		}
	}
	return nil
}
