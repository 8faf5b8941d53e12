package admit

import (
	"net/netip"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// maxFailures are allowed to an address in a period. Secrets of 160 bits need no such
	// bound; logs and the state store do.
	maxFailures = 20
	period      = time.Minute
	// maxUnproven are the challenges in a period that an address may leave without the
	// proof that it asked them for. All addresses beyond those that are remembered have
	// maxOthers together.
	maxUnproven, maxOthers = 256, 4096
	// maxAddresses bounds what is remembered.
	maxAddresses = 4096
)

var errTooMany = status.Error(codes.ResourceExhausted, "too many joins failed from this address; wait a minute")

// guesses counts what failed, by address, an IPv6 one by its network of 64 bits.
type guesses struct {
	mu    sync.Mutex
	since time.Time      // guarded by mu
	count map[string]int // guarded by mu
	// unproven has challenges that nobody has proven anything by yet; guarded by mu.
	unproven map[string]int
}

func newGuesses() *guesses { return &guesses{count: map[string]int{}, unproven: map[string]int{}} }

func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Unmap().Is4() {
		return address
	}
	p, err := a.Prefix(64)
	if err != nil {
		return address
	}
	return p.String()
}

func (g *guesses) allow(address string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.since) > period {
		g.since = time.Now()
		clear(g.count)
		clear(g.unproven)
	}
	return g.count[network(address)] < maxFailures
}

func (g *guesses) failed(address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := network(address); len(g.count) < maxAddresses || g.count[n] > 0 {
		g.count[n]++
	}
}

// challenge notes a challenge, unless the address has had too many that it proved nothing by.
func (g *guesses) challenge(address string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	name, limit := g.place(address)
	if g.unproven[name] >= limit {
		return false
	}
	g.unproven[name]++
	return true
}

// proven notes that a challenge of the address has led to a proof.
func (g *guesses) proven(address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if name, _ := g.place(address); g.unproven[name] > 0 {
		g.unproven[name]--
	}
}

// place is where an address is counted, and how much is allowed there. g.mu is held.
func (g *guesses) place(address string) (name string, limit int) {
	name = network(address)
	if _, known := g.unproven[name]; !known && len(g.unproven) >= maxAddresses {
		return "", maxOthers
	}
	return name, maxUnproven
}
