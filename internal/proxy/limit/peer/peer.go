// Package peer bounds what one client address may open at a listener: how many
// connections, or sessions of UDP, at a time and how many in a time. Addresses that
// a client has many of, those of an IPv6 network, count as one.
//
// It owns no goroutines. Packages listen and datagram import it.
package peer

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/limit"
)

// maxKeys bounds the addresses that are told apart, in each of the two counters: at
// most 20 MB. Those that find no room share counters (see limit.Limit).
const maxKeys = 1_000_000

// Limiter counts for one listener. The zero value lets everybody in.
type Limiter struct {
	mu      sync.Mutex // guards set
	set     limit.Set
	current atomic.Pointer[rules]
}

type rules struct {
	cfg     *ir.ClientShare
	exempt  []netip.Prefix
	open    *limit.Limit // nil without a bound
	arrival *limit.Limit
}

// Configure brings the limits up to date; nil lets everybody in. Exempt are proxies,
// whose connections are many clients'. What is counted already stays counted.
func (l *Limiter) Configure(cfg *ir.ClientShare, exempt []netip.Prefix) {
	if cfg == nil {
		l.current.Store(nil)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &rules{cfg: cfg, exempt: exempt}
	state := fmt.Sprintf("/%d/%d", cfg.IPv4Bits, cfg.IPv6Bits)
	if cfg.Connections > 0 {
		r.open = l.set.Get(&ir.RateLimit{State: "open" + state, Concurrency: cfg.Connections, MaxKeys: maxKeys})
	}
	if cfg.New != nil {
		r.arrival = l.set.Get(&ir.RateLimit{State: "new" + state, Rate: cfg.New, MaxKeys: maxKeys})
	}
	l.current.Store(r)
}

// Place is that of one connection. The zero value is none.
type Place struct{ hold *atomic.Uint64 }

// Leave gives it back; once.
func (p *Place) Leave() {
	if p.hold != nil {
		limit.Leave(p.hold)
		p.hold = nil
	}
}

// Enter counts a connection of a client that arrives at the time now. It is false
// if that is one too many, which counts as an arrival all the same.
func (l *Limiter) Enter(client netip.Addr, now time.Time) (Place, bool) {
	r := l.current.Load()
	if r == nil || r.isExempt(client) {
		return Place{}, true
	}
	at := limit.At(now)
	if r.arrival != nil {
		if t, _ := r.arrival.Take(r.tag(r.arrival, client), at, 1); !t.OK {
			return Place{}, false
		}
	}
	if r.open == nil {
		return Place{}, true
	}
	t, hold := r.open.Take(r.tag(r.open, client), at, 1)
	return Place{hold}, t.OK
}

func (r *rules) isExempt(client netip.Addr) bool {
	for _, p := range r.exempt {
		if p.Contains(client) {
			return true
		}
	}
	return false
}

// tag is that of the client's network.
func (r *rules) tag(l *limit.Limit, client netip.Addr) uint64 {
	client = client.Unmap().WithZone("")
	bits := r.cfg.IPv6Bits
	if client.Is4() {
		bits = r.cfg.IPv4Bits
	}
	if network, err := client.Prefix(bits); err == nil {
		client = network.Addr()
	}
	b := client.As16()
	return maphash.Bytes(l.Seed(), b[:])
}
