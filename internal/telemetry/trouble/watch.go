package trouble

import (
	"iter"
	"slices"
	"sync"
	"time"
)

const (
	// Max is how many troubles a Watch keeps. What is beyond is counted.
	Max = 256
	// linger is how long something is told of that is over: a breaker that opens for three
	// seconds of each ten is one trouble, and does not flicker.
	linger = time.Minute
)

// Watch follows what a data plane sees. Its methods may be called by several goroutines.
type Watch struct {
	look func() iter.Seq[Sight]

	mu sync.Mutex // guards what follows
	// held is bounded by Max, counted by what the data plane counts at all.
	held    map[Key]*Trouble
	counted map[Key]uint64
}

// NewWatch makes one of what look sees.
func NewWatch(look func() iter.Seq[Sight]) *Watch {
	return &Watch{look: look, held: map[Key]*Trouble{}, counted: map[Key]uint64{}}
}

// Look takes in how things are at a moment, and tells what is not well, the worst first.
// More were too many to be kept.
func (w *Watch) Look(now time.Time) (list []Trouble, more int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen, counted := map[Key]bool{}, make(map[Key]uint64, len(w.counted))
	for s := range w.look() {
		times := s.Times
		if before := w.counted[s.Key]; before <= times {
			times -= before // otherwise it is another cluster of the same name
		}
		if s.Times > 0 {
			counted[s.Key] = s.Times
		}
		if !s.Is && times == 0 {
			continue
		}
		t := w.held[s.Key]
		if t == nil {
			if t = w.begin(s.Key, now); t == nil {
				more++
				continue
			}
		}
		t.Times += times
		t.Endpoints = s.Endpoints
		t.Over = time.Time{}
		if !s.Is {
			t.Over = now // it has been so since the last look, and is not any more
		}
		if s.Is || t.Detail == "" {
			t.Detail = s.Detail
		}
		seen[s.Key] = true
	}
	w.counted = counted
	list = make([]Trouble, 0, len(w.held))
	for key, t := range w.held {
		if t.Over.IsZero() && !seen[key] {
			t.Over = now
		}
		if !t.Over.IsZero() && now.Sub(t.Over) > linger {
			delete(w.held, key)
			continue
		}
		list = append(list, *t)
	}
	slices.SortFunc(list, func(a, b Trouble) int { return Compare(&a, &b) })
	return list, more
}

// begin is a new trouble, in the place of one that is over if there is no other; nil is that
// there is none. w.mu is held.
func (w *Watch) begin(key Key, now time.Time) *Trouble {
	if len(w.held) >= Max {
		var oldest *Trouble
		for _, t := range w.held {
			if !t.Over.IsZero() && (oldest == nil || t.Over.Before(oldest.Over)) {
				oldest = t
			}
		}
		if oldest == nil {
			return nil
		}
		delete(w.held, oldest.Key)
	}
	t := &Trouble{Key: key, Since: now}
	w.held[key] = t
	return t
}
