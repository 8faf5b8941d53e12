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

// Replays remembers what may be used once, for each policy by itself. A policy's
// memory lives as long as somebody has it.
type Replays struct {
	mu       sync.Mutex                      // guards policies
	policies map[string]weak.Pointer[Replay] // by name
}

// NewReplays makes one that remembers nothing.
func NewReplays() *Replays { return &Replays{policies: map[string]weak.Pointer[Replay]{}} }

// Of returns the memory of a policy.
func (r *Replays) Of(policy string) *Replay {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.policies[policy].Value(); m != nil {
		return m
	}
	for name, p := range r.policies {
		if p.Value() == nil {
			delete(r.policies, name)
		}
	}
	m := &Replay{}
	r.policies[policy] = weak.Make(m)
	return m
}

// Replay is the memory of a policy: half a digest, 16 bytes, for each thing that was
// used, and what a map needs, some 30 bytes in all.
type Replay struct {
	count  atomic.Int64
	shards [replayShards]replayShard
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
)

// Use remembers d until a time, which is at most span after now, if there are not
// limit things remembered. It is remembered for up to an eighth of span longer.
func (r *Replay) Use(d *Digest, now, until time.Time, span time.Duration, limit int) Use {
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
