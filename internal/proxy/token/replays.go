package token

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"
	"weak"
)

const (
	replayShards = 16
	// replaySlots is in how many steps what is remembered is forgotten.
	replaySlots = 8
)

// Replays remembers what may be used once, for each method of a policy by itself.
// Its memory lives as long as somebody has it.
type Replays struct {
	mu      sync.Mutex                      // guards methods
	methods map[string]weak.Pointer[Replay] // by name
}

// NewReplays makes one that remembers nothing.
func NewReplays() *Replays { return &Replays{methods: map[string]weak.Pointer[Replay]{}} }

// Of returns the memory of a method.
func (r *Replays) Of(method string) *Replay {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.methods[method].Value(); m != nil {
		return m
	}
	for name, p := range r.methods {
		if p.Value() == nil {
			delete(r.methods, name)
		}
	}
	m := &Replay{}
	r.methods[method] = weak.Make(m)
	return m
}

// Replay is the memory of a method: half a digest, 16 bytes, for each thing that was
// used, and what a map needs, some 30 bytes in all.
type Replay struct {
	count  atomic.Int64
	shards [replayShards]replayShard

	// age is how old things may be that are used, in nanoseconds; of what was made before
	// since, in Unix nanoseconds, some that was used may be forgotten.
	age, since atomic.Int64
	turn       sync.Mutex // guards changes of age
}

type replayShard struct {
	mu    sync.Mutex   // guards slots
	slots []replaySlot // in no order; some ten
}

type replayKey [16]byte

// replaySlot is what is forgotten at the same time, in Unix nanoseconds.
type replaySlot struct {
	until int64
	keys  map[replayKey]struct{}
}

// Use is what became of a thing that may be used once.
type Use uint8

const (
	// Fresh: it is used now for the first time.
	Fresh Use = iota
	// Replayed: it was used before.
	Replayed
	// Full: there is no room to remember it.
	Full
	// Forgotten: nobody knows any more whether it was used.
	Forgotten
)

// Use remembers d, which was made at a time, until another one, which is at most span
// after now, if there are not limit things remembered. It is remembered for up to an
// eighth of span longer.
func (r *Replay) Use(d *Digest, now, made, until time.Time, span time.Duration, limit int) Use {
	if !r.remembers(now, made, until.Sub(made)) {
		return Forgotten
	}
	key := replayKey(d[:16])
	s := &r.shards[binary.LittleEndian.Uint32(d[16:])%replayShards]
	if use := r.use(s, key, now, until, span, limit); use != Full {
		return use
	}
	for i := range r.shards {
		r.forget(&r.shards[i], now)
	}
	return r.use(s, key, now, until, span, limit)
}

// remembers tells whether all of that time that was used is still known: where things
// may be older than before, those that were too old so far have been forgotten.
func (r *Replay) remembers(now, made time.Time, age time.Duration) bool {
	if r.age.Load() != int64(age) {
		r.turn.Lock()
		if old := time.Duration(r.age.Swap(int64(age))); old > 0 && old < age {
			r.since.Store(max(r.since.Load(), now.Add(-old).UnixNano()))
		}
		r.turn.Unlock()
	}
	return made.UnixNano() >= r.since.Load()
}

func (r *Replay) use(s *replayShard, key replayKey, now, until time.Time, span time.Duration, limit int) Use {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.expire(s, now)
	for i := range s.slots {
		if _, known := s.slots[i].keys[key]; known {
			return Replayed
		}
	}
	if r.count.Add(1) > int64(limit) {
		r.count.Add(-1)
		return Full
	}
	width := max(int64(span)/replaySlots, 1)
	end := (until.UnixNano()/width + 1) * width
	for i := range s.slots {
		if s.slots[i].until == end {
			s.slots[i].keys[key] = struct{}{}
			return Fresh
		}
	}
	s.slots = append(s.slots, replaySlot{end, map[replayKey]struct{}{key: {}}})
	return Fresh
}

func (r *Replay) forget(s *replayShard, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.expire(s, now)
}

// expire is called with the shard's lock.
func (r *Replay) expire(s *replayShard, now time.Time) {
	kept := s.slots[:0]
	for _, slot := range s.slots {
		if slot.until > now.UnixNano() {
			kept = append(kept, slot)
		} else {
			r.count.Add(-int64(len(slot.keys)))
		}
	}
	clear(s.slots[len(kept):])
	s.slots = kept
}
