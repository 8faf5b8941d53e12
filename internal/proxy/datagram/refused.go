package datagram

import (
	"sync"
	"time"

	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/wire/netx"
)

// refusals are the endpoints at whose port nobody has listened lately. New sessions
// go to others while there are any: whoever answers nothing has the fewest sessions,
// and would be given every new one by algorithms that look for that.
type refusals struct {
	mu  sync.Mutex
	all map[*upstream.Endpoint]refusal // guarded by mu
}

type refusal struct {
	streak int
	until  int64
}

// An endpoint is left alone for the first time after its first refusal, and for
// twice as long after each that follows without an answer, up to the most.
const (
	firstRefused = time.Second
	mostRefused  = 30 * time.Second
)

// note leaves an endpoint alone.
func (r *refusals) note(e *upstream.Endpoint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[*upstream.Endpoint]refusal{}
	}
	was, now := r.all[e], netx.Monotonic()
	if now < was.until {
		return // other sessions are told of the same
	}
	r.all[e] = refusal{streak: was.streak + 1, until: now + int64(min(firstRefused<<min(was.streak, 10), mostRefused))}
}

// forget takes note back: the endpoint has answered.
func (r *refusals) forget(e *upstream.Endpoint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, e)
}

// avoided are the endpoints to leave alone at the time now.
func (r *refusals) avoided(now int64) (out []*upstream.Endpoint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for e, was := range r.all {
		switch {
		case now < was.until:
			out = append(out, e)
		case now >= was.until+int64(mostRefused): // nobody has asked it since, or it is no more
			delete(r.all, e)
		}
	}
	return out
}
