package member

import (
	"context"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/gridway/gridway/internal/config/source/discovery"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/telemetry/trouble"
)

// Phase is where a member is in its life.
type Phase string

const (
	// Starting: it has no configuration yet, or its program does not listen yet.
	Starting Phase = "starting"
	Serving  Phase = "serving"
	// Draining: others are to send no more, and what is under way ends.
	Draining Phase = "draining"
)

// Admin opens what people and tools ask a member at. The member calls run once, which
// answers until its context ends.
type Admin func(context.Context, Running) (run func(context.Context) error, err error)

// Running is a member as those see it who ask how it is. Any goroutine may use it.
type Running struct{ m *member }

// Troubles are what is not well on its way to others.
func (r Running) Troubles() (list []trouble.Trouble, more int) { return r.m.troubles.Look(time.Now()) }

// Phase is cheap.
func (r Running) Phase() Phase {
	if p := r.m.phase.Load(); p != nil {
		return *p
	}
	return Starting
}

// Plane is its data plane.
func (r Running) Plane() *proxy.Proxy { return r.m.plane.Proxy }

// Metrics are its data plane's.
func (r Running) Metrics() *metric.Registry { return r.m.plane.metrics }

// Discovery finds endpoints that the control plane does not know.
func (r Running) Discovery() *discovery.Hub { return r.m.plane.names }

// Config is the configuration in service; nil is none yet.
func (r Running) Config() *ir.Config {
	r.m.plane.mu.Lock()
	defer r.m.plane.mu.Unlock()
	return r.m.plane.config
}

// Keys are its SVIDs, and whom it trusts.
func (r Running) Keys() *identity.Keyring { return r.m.keys }

// Distribution is how it gets its configuration.
func (r Running) Distribution() distrib.ClientStatus { return r.m.client.Status() }

// Proxy is what control planes know of it.
func (r Running) Proxy() distrib.Proxy { return r.m.proxy() }

// Address is where other proxies reach it.
func (r Running) Address() netip.AddrPort {
	return netip.AddrPortFrom(r.m.opt.Address, r.m.ports.Mesh)
}

// StateFile is the path of a file in its state folder.
func (r Running) StateFile(name string) (string, error) {
	return filepath.Abs(filepath.Join(r.m.opt.StateDir, name))
}

// openAdmin gives m.admin something to run, if somebody wants it.
func (m *member) openAdmin(ctx context.Context) (err error) {
	if m.opt.Admin != nil {
		m.admin, err = m.opt.Admin(ctx, Running{m})
	}
	return err
}

// enterPhase notes where the member is.
func (m *member) enterPhase(p Phase) {
	m.phase.Store(&p)
	m.plane.metrics.SetReady(p == Serving)
}
