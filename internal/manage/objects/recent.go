package objects

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// recentKept is how many revisions a Recent remembers, and recentBytes how long their
// texts are together.
const (
	recentKept  = 100
	recentBytes = 16 << 20
)

// Recent remembers the last revisions of a process without a state store. Its methods may
// be called at the same time.
type Recent struct {
	mu   sync.Mutex
	list []Revision // guarded by mu, as is what follows; the oldest first
	last int64
	size int
}

// Add remembers a revision, to which it gives the next number.
func (r *Recent) Add(x Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	x.Number = r.last
	r.list, r.size = append(r.list, x), r.size+sizeOf(&x)
	for len(r.list) > 1 && (len(r.list) > recentKept || r.size > recentBytes) {
		r.size -= sizeOf(&r.list[0])
		r.list[0] = Revision{}
		r.list = r.list[1:]
	}
}

func sizeOf(x *Revision) (n int) {
	for i := range x.Changes {
		n += len(x.Changes[i].Before) + len(x.Changes[i].After)
	}
	return n
}

// Revisions lists them, the latest first.
func (r *Recent) Revisions(q Query) []Revision {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := []Revision{}
	for _, x := range slices.Backward(r.list) {
		if len(out) == q.Limit {
			break
		}
		if q.Before > 0 && x.Number >= q.Before || q.Object != nil && !x.has(*q.Object) {
			continue
		}
		out = append(out, x)
	}
	return out
}

func (x *Revision) has(n Name) bool {
	return slices.ContainsFunc(x.Changes, func(c ObjectChange) bool {
		return strings.EqualFold(c.Kind, n.Kind) && c.Namespace == n.Namespace && c.Name.Name == n.Name
	})
}

// NotFoundError: there never was such a revision.
type NotFoundError struct{ Number, Latest int64 }

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("there is no revision %d; the latest is %d", e.Number, e.Latest)
}

// NotFound tells those who know errors by their methods.
func (*NotFoundError) NotFound() bool { return true }

// Revision is one of them.
func (r *Recent) Revision(number int64) (*Revision, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if number < 1 || number > r.last {
		return nil, &NotFoundError{number, r.last}
	}
	for i := range r.list {
		if r.list[i].Number == number {
			x := r.list[i]
			return &x, nil
		}
	}
	return nil, fmt.Errorf("revision %d: %w", number, ErrForgotten)
}
