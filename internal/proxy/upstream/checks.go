package upstream

import (
	"context"
	"log/slog"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream/health"
	"github.com/gridway/gridway/internal/proxy/upstream/lb"
	"github.com/gridway/gridway/internal/wire/netx"
)

// checkTarget is an endpoint as package health sees it.
type checkTarget Endpoint

func (t *checkTarget) Address() string { return t.address }

func (t *checkTarget) Host() string {
	e := (*Endpoint)(t)
	if host := e.cluster.cfg.Load().Host; host != "" {
		return host
	}
	if host := e.Hostname(); host != "" {
		return host
	}
	if strings.HasPrefix(t.address, "unix:") {
		return "localhost"
	}
	return t.address
}

// HTTP2 is false where the protocol inside is not known.
func (t *checkTarget) HTTP2() bool {
	return t.cluster.cfg.Load().HTTP2 || (*Endpoint)(t).InMesh()
}

// Secure is false in the mesh, whose TLS is not the application's.
func (t *checkTarget) Secure() bool { return t.cluster.tls != nil && !(*Endpoint)(t).InMesh() }

// Dial connects outside the pool: checks do not count against its limits.
func (t *checkTarget) Dial(ctx context.Context, address string, http2 bool, by int64) (*netx.Conn, error) {
	e := (*Endpoint)(t)
	config := e.cluster.tls
	if e.InMesh() {
		var err error
		if config, err = e.meshTLS(); err != nil {
			return nil, err
		}
		address = e.address // its proxy's, whatever port of the application is checked
	} else if config != nil {
		config = e.tlsConfig()
		switch cfg := e.cluster.cfg.Load(); {
		case http2 && !t.HTTP2():
			config = config.Clone()
			config.NextProtos = []string{"h2"}
		case cfg.Protocol == ir.TCP && len(cfg.TLS.ALPN) > 0 && cfg.Health != nil && cfg.Health.HTTP != nil:
			config = config.Clone()
			config.NextProtos = nil // which are not what is checked
		}
	}
	conn, err := e.dialTo(ctx, address, config, &Ask{By: by}, by)
	if err == nil && http2 && config != nil && conn.TLSState().NegotiatedProtocol != "h2" {
		_ = conn.Abort()
		return nil, errNoHTTP2
	}
	return conn, err
}

// Checked counts a check.
func (t *checkTarget) Checked(ok bool) {
	event := EventCheckFailed
	if ok {
		event = EventCheckPassed
	}
	t.cluster.metrics.Count(event)
}

// Report takes in a verdict.
func (t *checkTarget) Report(healthy bool, cause error) {
	e := (*Endpoint)(t)
	c := e.cluster
	first := !e.checked.Swap(true)
	if !e.node.SetState(lb.Unhealthy, !healthy) {
		return
	}
	now := netx.Monotonic()
	if healthy {
		c.metrics.Count(EventHealthy)
		c.set.logEndpoint(slog.LevelInfo, "endpoint healthy", e)
		c.mu.Lock()
		c.recovered(e, now)
		c.mu.Unlock()
	} else {
		c.metrics.Count(EventUnhealthy)
		c.set.logEndpoint(slog.LevelWarn, "endpoint unhealthy", e, "first", first, "error", cause)
		for _, conn := range e.idle.Take() {
			e.Drop(conn)
		}
	}
	c.rearrangeSoon(now)
}

// startChecks begins active health checks if the cluster has them.
func (c *Cluster) startChecks() {
	if cfg := c.cfg.Load().Health; cfg != nil {
		c.checker = health.Start(*cfg)
	}
}

// checkTargets gives the checker the endpoints of an arrangement.
func (c *Cluster) checkTargets(a *arrangement) {
	if c.checker == nil {
		return
	}
	targets := make([]health.Target, len(a.endpoints))
	for i, e := range a.endpoints {
		targets[i] = (*checkTarget)(e)
	}
	c.checker.Set(targets)
}

func (c *Cluster) stopChecks() {
	if c.checker != nil {
		c.checker.Close()
	}
}

// Unchecked tells whether an active health check has not seen all of its
// endpoints yet. Until then they are taken for healthy.
func (c *Cluster) Unchecked() bool {
	if c.checker == nil {
		return false
	}
	for _, e := range c.view.Load().endpoints {
		if !e.checked.Load() {
			return true
		}
	}
	return false
}
