package upstream

import (
	"log/slog"
	"maps"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream/lb"
	"github.com/gridway/gridway/internal/proxy/upstream/outlier"
	"github.com/gridway/gridway/internal/wire/netx"
)

// setEndpoints replaces the endpoints. One whose address stays keeps its
// connections, health and learned latency. first says that the cluster is new:
// its endpoints then start at full weight. It tells whether anything changed.
func (c *Cluster) setEndpoints(list []ir.Endpoint, first bool) bool {
	now := netx.Monotonic()
	c.mu.Lock()
	old := c.view.Load()
	next := &arrangement{byName: old.byName}
	same := sameEndpoints(old.endpoints, list)
	if same {
		next.endpoints = old.endpoints
	} else {
		next.endpoints, next.byName = c.match(old, list, now, first)
	}
	changed := !same
	for _, e := range next.endpoints {
		if spec := &list[e.listed]; e.spec != *spec {
			e.respec(spec)
			changed = true
		}
	}
	if !changed {
		c.mu.Unlock()
		return false
	}
	c.install(next, old, now)
	removed := c.removed(old) // only now: until the new ones are there, the old ones serve
	if c.detector != nil {
		c.detector.SetHosts(next.hosts())
		c.set.keeper.schedule(c, now)
	}
	c.mu.Unlock()
	c.checkTargets(next)
	for _, e := range removed {
		e.closeIdle()
	}
	return true
}

// respec is called with the cluster's mu held.
func (e *Endpoint) respec(spec *ir.Endpoint) {
	e.spec = *spec
	e.node.SetState(lb.Draining, spec.Draining)
	if name := spec.Hostname; name != e.Hostname() {
		e.hostname.Store(&name)
	}
}

func sameEndpoints(endpoints []*Endpoint, list []ir.Endpoint) bool {
	if len(endpoints) != len(list) || len(list) == 0 {
		return false
	}
	for i, e := range endpoints {
		if e.listed != i || !e.is(&list[i]) {
			return false
		}
	}
	return true
}

// match finds or makes the endpoint of each name; the first entry of a name
// counts. Lists change little from one to the next, so it follows the
// old one in step, looks up only what is out of step, and edits a copy of the map.
func (c *Cluster) match(old *arrangement, list []ir.Endpoint, now int64, first bool) ([]*Endpoint, map[string]*Endpoint) {
	c.round++
	endpoints := make([]*Endpoint, 0, len(list))
	byName := maps.Clone(old.byName)
	if byName == nil {
		byName = make(map[string]*Endpoint, len(list))
	}
	at := 0
	for i := range list {
		spec := &list[i]
		var e *Endpoint
		switch {
		case at < len(old.endpoints) && old.endpoints[at].is(spec):
			e = old.endpoints[at]
			at++
		case at+1 < len(old.endpoints) && old.endpoints[at+1].is(spec):
			e = old.endpoints[at+1]
			at += 2
		default:
			name := nameOf(spec)
			if e = byName[name]; e == nil || e.round != c.round && !e.is(spec) {
				e = c.newEndpoint(spec, name)
				if !first && c.lbConfig.Balance.SlowStart > 0 {
					e.since = now
				}
				byName[name] = e
				if at < len(old.endpoints) && len(list) == len(old.endpoints) {
					at++ // it probably stands for the one that was here
				}
			}
		}
		if e.round == c.round {
			continue // named twice
		}
		e.round, e.listed = c.round, i
		endpoints = append(endpoints, e)
	}
	for _, e := range old.endpoints {
		if e.round != c.round && byName[e.name] == e {
			delete(byName, e.name)
		}
	}
	return endpoints, byName
}

func (c *Cluster) newEndpoint(spec *ir.Endpoint, name string) *Endpoint {
	e := &Endpoint{cluster: c, address: spec.Address, name: name, mesh: meshPeerOf(spec), hash: lb.HashKey(name)}
	if cfg := c.cfg.Load(); cfg.HTTP2 || cfg.HTTP3 || e.InMesh() {
		e.shared = newSharedConns(&c.set.shared)
	}
	e.host.Node = &e.node
	return e
}

// removed marks and returns the endpoints of old that match did not find.
func (c *Cluster) removed(old *arrangement) []*Endpoint {
	var gone []*Endpoint
	for _, e := range old.endpoints {
		if e.round != c.round {
			e.node.SetState(lb.Removed, true)
			gone = append(gone, e)
		}
	}
	return gone
}

func (a *arrangement) hosts() []*outlier.Host {
	hosts := make([]*outlier.Host, len(a.endpoints))
	for i, e := range a.endpoints {
		hosts[i] = &e.host
	}
	return hosts
}

// install builds the view over next's endpoints and publishes both. It is
// called with mu held.
func (c *Cluster) install(next, old *arrangement, now int64) {
	began := netx.Monotonic()
	members := make([]lb.Member, len(next.endpoints))
	for i, e := range next.endpoints {
		members[i] = lb.Member{
			Node: &e.node, Hash: e.hash, Weight: e.spec.Weight,
			Zone: e.spec.Zone, Priority: e.spec.Priority, Since: e.since,
		}
	}
	next.lb = lb.Build(c.lbConfig, members, old.lb, now)
	c.view.Store(next)
	if step, ok := next.lb.Ramping(); ok {
		c.set.keeper.schedule(c, now+int64(step))
	}
	// Leave nine tenths of the time to others.
	end := netx.Monotonic()
	c.rebuildAt = end + 9*(end-began)
}

// rearrangeSoon asks the keeper for a view that takes in what changed. Until
// then picks look at the endpoints' states themselves.
func (c *Cluster) rearrangeSoon(now int64) {
	if c.dirty.CompareAndSwap(false, true) {
		c.set.keeper.schedule(c, now)
	}
}

// recovered starts the slow start of an endpoint that is in use again. It is
// called with mu held.
func (c *Cluster) recovered(e *Endpoint, now int64) {
	if c.lbConfig.Balance.SlowStart > 0 {
		e.since = now
	}
}

// tick does the cluster's timed work and returns when there is more.
func (c *Cluster) tick(now int64) (next int64) {
	next, expired := c.timedWork(now)
	for _, conn := range expired {
		_ = conn.Close()
		c.slots.Release()
	}
	return next
}

func (c *Cluster) timedWork(now int64) (next int64, expired []*netx.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.retired {
		return never, nil
	}
	next = never
	old := c.view.Load()
	if c.detector != nil {
		next = c.detector.Tick(now, func(i int, ejected bool) { c.ejectionChanged(old.endpoints[i], ejected, now) })
		// Clusters that are due at about the same time share a wake-up.
		next = (next/shared + 1) * shared
	}
	step, ramping := old.lb.Ramping()
	switch {
	case !ramping && !c.dirty.Load():
	case now < c.rebuildAt:
		next = min(next, c.rebuildAt)
	default:
		c.dirty.Store(false)
		c.install(&arrangement{endpoints: old.endpoints, byName: old.byName}, old, now)
		if ramping {
			next = min(next, now+int64(step))
		}
	}
	if c.reaping.Load() {
		var at int64
		expired, at = c.reap(old.endpoints, now)
		next = min(next, at)
	}
	return next, expired
}

const shared = int64(50 * time.Millisecond)

// ejectionChanged is called with mu held.
func (c *Cluster) ejectionChanged(e *Endpoint, ejected bool, now int64) {
	c.dirty.Store(true)
	if ejected {
		c.metrics.Count(EventEjectedSuccessRate)
		c.set.logEndpoint(slog.LevelWarn, "endpoint ejected", e, "cause", outlier.SuccessRate.String())
		return
	}
	c.metrics.Count(EventReturned)
	c.set.logEndpoint(slog.LevelInfo, "endpoint returned", e)
	c.recovered(e, now)
}

// reapEvery is how often idle connections are looked at: often enough that none
// outlives its timeout by more than a quarter.
func (c *Cluster) reapEvery() time.Duration {
	return min(max(c.rules.IdleTimeout/4, 10*time.Millisecond), 15*time.Second)
}

// reap takes out idle connections whose time is over.
func (c *Cluster) reap(endpoints []*Endpoint, now int64) (expired []*netx.Conn, next int64) {
	if due := c.lastReap + int64(c.reapEvery()); now < due {
		return nil, due
	}
	c.lastReap = now
	left := 0
	// A connection that goes idle from here on sets the flag again.
	c.reaping.Store(false)
	for _, e := range endpoints {
		var n int
		expired, n = e.idle.Reap(&c.rules, now, expired)
		left += n
	}
	if left == 0 {
		return expired, never
	}
	c.reaping.Store(true)
	return expired, now + int64(c.reapEvery())
}

// closeIdle ends the idle connections of an endpoint that left.
func (e *Endpoint) closeIdle() {
	for _, conn := range e.idle.Close() {
		e.Drop(conn)
	}
	if e.shared != nil {
		e.shared.close()
	}
}
