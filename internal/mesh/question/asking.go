package question

import (
	"context"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// Bounds of what waits for who asks.
const (
	maxWaiting      = 4 << 20 // bytes
	maxWaitingParts = 4096
	// itemBytes is what an item needs beside what it says.
	itemBytes = 48
	// maxProblems is how many parts wait that only say why a proxy answers no more: one that
	// comes and goes says it each time.
	maxProblems = 4 * maxWaitingParts
)

// Ask is a question to proxies.
type Ask struct {
	Kind, Query string
	// Only says which proxies are asked.
	Only Only
	// Follow asks proxies that come later, too, and ends with its context. Without it the
	// question ends when all that are there have answered.
	Follow bool
	// Within, if it is not 0, is how long proxies have to answer. Those that have not are
	// named then; a question that follows has no such bound.
	Within time.Duration
	// Take gets the parts of answers, one after the other; its error ends the question.
	Take func(*Part) error
}

// Part is a part of an answer.
type Part struct {
	Proxy
	Items [][]byte
	// Problem is why the proxy answers no more, unless it has answered to the end.
	Problem string
	// Lost is how many items, of all proxies, were left out since the last part as Take was
	// slow.
	Lost uint64
}

// asking is an Ask on its way.
type asking struct {
	Ask
	id   uint64
	wake chan struct{} // has one place: there may be something for who asks

	mu      sync.Mutex // guards what follows
	waiting []*Part
	size    int
	lost    uint64
	// pending are those that have not answered to the end.
	pending map[*observed]bool
	// late are those that were given up.
	late  map[*observed]bool
	asked int
}

func (a *asking) wakeUp() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// put adds a part, or counts what it has as lost.
func (a *asking) put(p *Part) {
	size := 0
	for _, item := range p.Items {
		size += itemBytes + len(item)
	}
	a.mu.Lock()
	if len(p.Items) > 0 && (a.size+size > maxWaiting || len(a.waiting) >= maxWaitingParts) {
		a.lost += uint64(len(p.Items))
		p.Items, size = nil, 0
	}
	if len(p.Items) > 0 || p.Problem != "" && len(a.waiting) < maxProblems {
		a.waiting = append(a.waiting, p)
		a.size += size
	}
	a.mu.Unlock()
	a.wakeUp()
}

// answered takes in what a proxy has said, and tells whether that was all.
func (a *asking) answered(o *observed, m *meshpb.Answer) bool {
	p := &Part{Proxy: o.proxy}
	for _, item := range m.GetItems() {
		if n := len(item); n > 0 && n <= MaxItem {
			p.Items = append(p.Items, item)
		}
	}
	f := m.GetFinished()
	if f != nil && f.GetReason() != meshpb.FinishedReason_FINISHED_REASON_COMPLETE {
		p.Problem = problemOf(f)
	}
	a.put(p)
	if f != nil {
		a.end(o)
	}
	return f != nil
}

func problemOf(f *meshpb.Finished) string {
	why := short(f.GetWhy(), maxWhy)
	if why == "" {
		why = "it has ended its answer without a word"
	}
	return why
}

// giveUp names those that have not answered in time. They are still told to stop.
func (a *asking) giveUp() {
	a.mu.Lock()
	for o := range a.pending {
		if a.late == nil {
			a.late = map[*observed]bool{}
		}
		a.late[o] = true
		a.waiting = append(a.waiting, &Part{Proxy: o.proxy, Problem: "it has not answered in time"})
	}
	clear(a.pending)
	a.mu.Unlock()
	a.wakeUp()
}

// end notes that nothing more comes of a proxy.
func (a *asking) end(o *observed) {
	a.mu.Lock()
	delete(a.pending, o)
	a.mu.Unlock()
	a.wakeUp()
}

// take hands over what waits until ctx ends or, unless it follows, all have answered.
func (a *asking) take(ctx context.Context) error {
	var late <-chan time.Time
	if a.Within > 0 && !a.Follow {
		timer := time.NewTimer(a.Within)
		defer timer.Stop()
		late = timer.C
	}
	for {
		a.mu.Lock()
		parts, lost, done := a.waiting, a.lost, len(a.pending) == 0 && !a.Follow
		a.waiting, a.size, a.lost = nil, 0, 0
		a.mu.Unlock()
		if lost > 0 && len(parts) == 0 {
			parts = []*Part{{}}
		}
		for _, p := range parts {
			p.Lost, lost = lost, 0
			if err := a.Take(p); err != nil {
				return err
			}
		}
		if done {
			return nil
		}
		if len(parts) > 0 && ctx.Err() == nil {
			continue // there may be more already
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-late:
			a.giveUp()
		case <-a.wake:
		}
	}
}
