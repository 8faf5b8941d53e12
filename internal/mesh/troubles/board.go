// Package troubles keeps what proxies of a mesh say is not well, and puts together what several
// of them see. It is the other end of what report sends; the control plane owns a Board.
//
// It starts no goroutines. What is of the control plane may import it.
package troubles

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/telemetry/trouble"
)

const (
	// Most is how many troubles a Board keeps of all proxies, of some 200 bytes each.
	Most = 50_000
	// silence is how long what a proxy has said holds. One that has troubles says so every
	// five seconds.
	silence = time.Minute
	// steady is how far two times that a proxy tells by its age may be apart and mean the
	// same: messages take their time.
	steady = 5 * time.Second
)

// Seen is what one proxy has said last.
type Seen struct {
	Proxy    string            `json:"proxy"`
	Troubles []trouble.Trouble `json:"troubles"`
	// More were too many to be kept.
	More int `json:"more,omitempty"`
}

// Board keeps the last report of each proxy.
type Board struct {
	mu     sync.Mutex
	heard  map[string]*heard // guarded by mu
	kept   int               // guarded by mu: troubles of all
	moment atomic.Uint64
}

type heard struct {
	Seen
	at time.Time
}

// Put takes in what a proxy says. The list is the board's then.
func (b *Board) Put(proxy string, list []trouble.Trouble, more int, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.heard[proxy]
	if before != nil {
		b.kept -= len(before.Troubles)
	}
	slices.SortFunc(list, func(x, y trouble.Trouble) int { return trouble.Compare(&x, &y) })
	if left := Most - b.kept; len(list) > left {
		more += len(list) - left
		list = list[:left]
	}
	if len(list) == 0 && more == 0 {
		if before != nil {
			delete(b.heard, proxy)
			b.moment.Add(1)
		}
		return
	}
	if b.heard == nil {
		b.heard = map[string]*heard{}
	}
	b.kept += len(list)
	x := &heard{Seen{proxy, list, more}, now}
	if before == nil || !x.keeps(before) {
		b.moment.Add(1)
	}
	b.heard[proxy] = x
}

// keeps takes over the times of what was said before, and tells whether nothing else is new
// but what is counted.
func (x *heard) keeps(before *heard) bool {
	old := make(map[trouble.Key]*trouble.Trouble, len(before.Troubles))
	for i := range before.Troubles {
		old[before.Troubles[i].Key] = &before.Troubles[i]
	}
	same := len(x.Troubles) == len(before.Troubles) && x.More == before.More
	for i := range x.Troubles {
		t := &x.Troubles[i]
		was := old[t.Key]
		if was == nil {
			same = false
			continue
		}
		if near(t.Since, was.Since) {
			t.Since = was.Since
		}
		if near(t.Over, was.Over) {
			t.Over = was.Over
		}
		same = same && t.Since.Equal(was.Since) && t.Over.Equal(was.Over) && t.Detail == was.Detail && t.Endpoints == was.Endpoints
	}
	return same
}

func near(a, b time.Time) bool { return a.IsZero() == b.IsZero() && a.Sub(b).Abs() <= steady }

// Seen is what proxies say that are there, by their names. What is of the past goes.
func (b *Board) Seen(there func(proxy string) bool, now time.Time) []Seen {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Seen
	for _, proxy := range slices.Sorted(maps.Keys(b.heard)) {
		x := b.heard[proxy]
		if now.Sub(x.at) > silence || !there(proxy) {
			b.kept -= len(x.Troubles)
			delete(b.heard, proxy)
			b.moment.Add(1)
			continue
		}
		out = append(out, x.Seen)
	}
	return out
}

// Moment is another number when something has changed.
func (b *Board) Moment() uint64 { return b.moment.Load() }

// Trouble is what is not well, as all proxies see it that do.
type Trouble struct {
	trouble.Trouble
	// Proxies see it, or have until just now.
	Proxies []string
}

// Merge puts together what proxies see of the same endpoint or cluster, the worst first. of
// gives the name by which a cluster is known to all.
func Merge(seen []Seen, of func(cluster string) string) (list []Trouble, more int) {
	at := map[trouble.Key]int{}
	for _, s := range seen {
		more += s.More
		for _, t := range s.Troubles {
			t.Cluster = of(t.Cluster)
			i, ok := at[t.Key]
			if !ok {
				at[t.Key] = len(list)
				list = append(list, Trouble{t, []string{s.Proxy}})
				continue
			}
			list[i].add(&t, s.Proxy)
		}
	}
	slices.SortFunc(list, func(a, b Trouble) int { return trouble.Compare(&a.Trouble, &b.Trouble) })
	return list, more
}

func (t *Trouble) add(x *trouble.Trouble, proxy string) {
	if t.Proxies[len(t.Proxies)-1] != proxy { // those of one proxy are neighbours
		t.Proxies = append(t.Proxies, proxy)
	}
	switch {
	case t.Over.IsZero() && x.Over.IsZero():
		t.Detail = worse(t.Detail, x.Detail)
	case x.Over.IsZero():
		t.Over, t.Detail = x.Over, x.Detail
	case !t.Over.IsZero() && x.Over.After(t.Over):
		t.Over = x.Over
	}
	if x.Since.Before(t.Since) {
		t.Since = x.Since
	}
	t.Times += x.Times
	t.Endpoints = max(t.Endpoints, x.Endpoints)
}

// worse is the state of a breaker that lets less through.
func worse(a, b string) string {
	if a == "half-open" && b == "open" {
		return b
	}
	return a
}
