package egress

import (
	"net/netip"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/wire/netx"
)

// Bounds of what is remembered of authorities.
const (
	maxAuthorities = 1024
	// freshFor is how long the addresses of a name are used before it is looked up again.
	freshFor = 30 * time.Second
)

// clusters are the authorities that requests went to lately, each with its
// connections.
type clusters struct {
	gate *Gate

	mu    sync.Mutex
	known map[string]*authority // guarded by mu
}

// authority is where requests to "HOST:PORT" go.
type authority struct {
	name string
	used int64 // guarded by clusters.mu

	mu      sync.Mutex
	cluster *upstream.Cluster // guarded by mu; nil before the first lookup
	fresh   int64             // guarded by mu: until when its addresses are
	gone    bool              // guarded by mu: it was forgotten
}

func (c *clusters) init(g *Gate) { c.gate, c.known = g, map[string]*authority{} }

// Cluster is where requests to "HOST:PORT" go. It may look the host up, which
// blocks. Own is the address that the client has reached: an authority that leads
// there again is ErrLoop.
func (g *Gate) Cluster(name []byte, own netip.AddrPort) (*upstream.Cluster, error) {
	a := g.clusters.get(name)
	a.mu.Lock()
	for a.gone {
		a.mu.Unlock()
		a = g.clusters.get(name)
		a.mu.Lock()
	}
	defer a.mu.Unlock()
	now := netx.Monotonic()
	if a.cluster != nil && now < a.fresh {
		return a.cluster, nil
	}
	addresses, err := g.resolve(a.name)
	if err != nil {
		if a.cluster != nil { // what was known is better than nothing
			a.fresh = netx.Monotonic() + int64(lookupTimeout)
			return a.cluster, nil
		}
		return nil, err
	}
	endpoints := make([]ir.Endpoint, 0, len(addresses))
	for _, at := range addresses {
		if at.Port() == own.Port() && (at == own || at.Addr().IsLoopback() || at.Addr().IsUnspecified()) {
			return nil, ErrLoop
		}
		endpoints = append(endpoints, ir.Endpoint{Address: at.String(), Weight: 1})
	}
	if a.cluster == nil {
		cfg := &ir.Cluster{Name: ir.EgressCluster, Protocol: ir.HTTP, ConnectTimeout: connectTimeout, Endpoints: endpoints}
		if a.cluster, err = g.opts.Upstreams.Apart(cfg); err != nil {
			return nil, err
		}
	} else {
		g.opts.Upstreams.UpdateApart(a.cluster, endpoints)
	}
	a.fresh = netx.Monotonic() + int64(freshFor)
	return a.cluster, nil
}

// get is the authority of a name, in place of the one that was used longest ago if
// there are too many.
func (c *clusters) get(name []byte) *authority {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := netx.Monotonic()
	a := c.known[string(name)]
	if a == nil {
		if len(c.known) >= maxAuthorities {
			c.forgetOldest()
		}
		a = &authority{name: string(name)}
		c.known[a.name] = a
	}
	a.used = now
	return a
}

// forgetOldest ends the one that was used longest ago. Those that are being looked
// up stay, so that nobody waits here. It is called with mu held.
func (c *clusters) forgetOldest() {
	var oldest *authority
	for _, a := range c.known {
		if oldest == nil || a.used < oldest.used {
			oldest = a
		}
	}
	if !oldest.mu.TryLock() {
		return
	}
	defer oldest.mu.Unlock()
	delete(c.known, oldest.name)
	oldest.gone = true
	if oldest.cluster != nil {
		c.gate.opts.Upstreams.RetireApart(oldest.cluster)
	}
}
