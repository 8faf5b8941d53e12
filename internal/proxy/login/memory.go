package login

import (
	"crypto/sha256"
	"sync"
	"time"
)

// Digest is what something is remembered by.
type Digest = [sha256.Size]byte

const (
	maxSessions = 2048
	maxRenewed  = 8192
	// generation is how long something is remembered at least, if there is room.
	generation = time.Minute
)

// memory remembers what was used lately, in two generations: what the older one
// has and is asked for moves to the younger one, the rest goes with it.
type memory[V any] struct {
	most int

	mu           sync.Mutex // guards what follows
	young, older map[Digest]V
	began        time.Time
}

func newMemory[V any](most int) *memory[V] { return &memory[V]{most: most} }

// get finds what is remembered.
func (m *memory[V]) get(d *Digest, now time.Time) (v V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.find(d, now)
}

// getOr finds what is remembered, or remembers what create makes.
func (m *memory[V]) getOr(d *Digest, now time.Time, create func() V) (v V, found bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.find(d, now); ok {
		return v, true
	}
	v = create()
	m.young[*d] = v
	return v, false
}

func (m *memory[V]) put(d *Digest, now time.Time, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.age(now)
	m.young[*d] = v
}

func (m *memory[V]) drop(d *Digest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.young, *d)
	delete(m.older, *d)
}

// find is under the lock, as age is.
func (m *memory[V]) find(d *Digest, now time.Time) (v V, ok bool) {
	m.age(now)
	if v, ok = m.young[*d]; ok {
		return v, true
	}
	if v, ok = m.older[*d]; ok {
		m.young[*d] = v
	}
	return v, ok
}

func (m *memory[V]) age(now time.Time) {
	switch {
	case m.young == nil || now.Sub(m.began) >= 2*generation:
		m.young, m.older, m.began = map[Digest]V{}, nil, now
	case len(m.young) >= m.most || now.Sub(m.began) >= generation:
		m.young, m.older, m.began = map[Digest]V{}, m.young, now
	}
}
