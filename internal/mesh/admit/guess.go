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
	// maxAddresses bounds what is remembered.
	maxAddresses = 4096
)

var errTooMany = status.Error(codes.ResourceExhausted, "too many joins failed from this address; wait a minute")

// guesses counts what failed, by address, an IPv6 one by its network of 64 bits.
type guesses struct {
	mu    sync.Mutex
	since time.Time      // guarded by mu
	count map[string]int // guarded by mu
}

func newGuesses() *guesses { return &guesses{count: map[string]int{}} }

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
