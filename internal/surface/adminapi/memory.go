package adminapi

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/manage/access"
)

// memory keeps sessions where there is no state store, until the process ends.
type memory struct {
	now func() time.Time

	mu   sync.Mutex
	open map[string]access.KeptSession // guarded by mu; by digests
}

// KeepSession keeps one; the oldest of its subject gives way where there are too many, and
// the oldest of all.
func (m *memory) KeepSession(_ context.Context, s *access.KeptSession) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.live()
	all, own := len(list), 0
	for i := range list { // the newest first
		k := &list[i]
		if k.Subject == s.Subject {
			own++
		}
		if k.Subject == s.Subject && own >= access.MaxSessionsOfOne {
			delete(m.open, k.Digest)
			all--
		}
	}
	for i := len(list) - 1; i >= 0 && all >= access.MaxSessions; i-- {
		if _, ok := m.open[list[i].Digest]; ok {
			delete(m.open, list[i].Digest)
			all--
		}
	}
	k := *s
	k.ID = access.SessionID(k.Digest)
	m.open[s.Digest] = k
	return nil
}

// live are those that have not ended, the newest first; the others go.
func (m *memory) live() (list []access.KeptSession) {
	now := m.now()
	for digest, k := range m.open {
		if !now.Before(k.Ends) {
			delete(m.open, digest)
			continue
		}
		list = append(list, k)
	}
	slices.SortFunc(list, func(a, b access.KeptSession) int {
		return cmp.Or(b.Began.Compare(a.Began), cmp.Compare(a.Digest, b.Digest))
	})
	return list
}

func (m *memory) Session(_ context.Context, digest string) (*access.KeptSession, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.open[digest]
	if !ok || !m.now().Before(k.Ends) {
		return nil, access.ErrSession
	}
	return &k, nil
}

func (m *memory) Sessions(context.Context) ([]access.KeptSession, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.live(), nil
}

func (m *memory) EndSession(_ context.Context, digest string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.open[digest]; !ok {
		return access.ErrSession
	}
	delete(m.open, digest)
	return nil
}

func (m *memory) EndSessionsOf(_ context.Context, subject string) (n int, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for digest := range m.open {
		if m.open[digest].Subject == subject {
			delete(m.open, digest)
			n++
		}
	}
	return n, nil
}
