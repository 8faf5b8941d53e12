package peering

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/registry"
)

// Options are for New.
type Options struct {
	// Keyring has our own SVID, that of a control plane, and the trust bundles.
	Keyring *identity.Keyring
	// Into gets what is imported; registry.Registry is one.
	Into Registry
	// Folder keeps the last answers, so that they hold when the process starts anew.
	Folder string
	// Process names ours, for the other side's log.
	Process string
	Log     *slog.Logger // nil is nobody
	// Now is time.Now if it is nil.
	Now func() time.Time
}

// Registry is where what is imported goes.
type Registry interface {
	Import(peer string, list []*registry.Instance)
}

// Importer has what MeshPeers say is to be used of other meshes.
type Importer struct {
	opt Options

	mu    sync.Mutex // guards what follows
	peers map[string]*peer
	// run starts the work of a peer, once Run has begun; wait waits for all.
	run  func(*peer)
	wait sync.WaitGroup
}

// State is how a peer stands.
type State struct {
	Name        string
	TrustDomain string
	// Address is that of the control plane that answers; empty is that none does.
	Address string
	// Since is since when it does, or does not.
	Since time.Time
	// Services of those offered are used here, behind Edges. Known is false while the
	// peer has never said anything.
	Services, Edges int
	Known           bool
	// Error is why nobody answers.
	Error string
}

// New makes an importer of nothing.
func New(o Options) *Importer {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Importer{opt: o, peers: map[string]*peer{}}
}

// Set has these peers from now on, of which those without imports are left alone.
func (m *Importer) Set(list []*ir.MeshPeer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	meant := map[string]bool{}
	for _, spec := range list {
		if len(spec.Imports) == 0 {
			continue
		}
		td, err := identity.ParseTrustDomain(spec.TrustDomain)
		if err != nil {
			m.opt.Log.Error("a MeshPeer cannot be used", "peer", spec.Name, "error", err)
			continue
		}
		meant[spec.Name] = true
		old := m.peers[spec.Name]
		switch {
		case old != nil && old.sameMesh(spec):
			old.use(spec)
			continue
		case old != nil && old.td != td:
			m.end(old)
			old = nil
		}
		p := newPeer(m, spec, td, old.retire()) // by other control planes of the same mesh
		m.peers[spec.Name] = p
		if m.run != nil {
			m.run(p)
		}
	}
	for name, p := range m.peers {
		if !meant[name] {
			m.end(p)
			delete(m.peers, name)
			m.opt.Log.Info("services of another mesh are used no more", "peer", name)
		}
	}
}

// end is for a peer that is not meant any more. m.mu is held.
func (m *Importer) end(p *peer) {
	p.retire()
	m.opt.Into.Import(p.name, nil)
	_ = os.Remove(p.file()) // what cannot be removed is not read for another trust domain
}

// Run asks the peers until ctx ends.
func (m *Importer) Run(ctx context.Context) error {
	m.mu.Lock()
	m.run = func(p *peer) {
		own, stop := context.WithCancel(ctx)
		p.stop = stop
		m.wait.Go(func() {
			defer stop()
			p.follow(own)
		})
	}
	for _, p := range m.peers {
		m.run(p)
	}
	m.mu.Unlock()
	<-ctx.Done()
	m.mu.Lock()
	m.run = nil
	m.mu.Unlock()
	m.wait.Wait()
	return nil
}

// States are how the peers stand, by name.
func (m *Importer) States() []State {
	m.mu.Lock()
	list := slices.SortedFunc(maps.Values(m.peers), func(a, b *peer) int { return strings.Compare(a.name, b.name) })
	m.mu.Unlock()
	out := make([]State, 0, len(list))
	for _, p := range list {
		out = append(out, p.current())
	}
	return out
}

// sameMesh tells whether a MeshPeer means the same control planes.
func (p *peer) sameMesh(spec *ir.MeshPeer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.spec.TrustDomain == spec.TrustDomain && slices.Equal(p.spec.Addresses, spec.Addresses)
}

// use has it say other things about what is imported.
func (p *peer) use(spec *ir.MeshPeer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if same := reflect.DeepEqual(p.spec.Imports, spec.Imports); !same {
		p.spec = spec
		p.put()
	}
}

var errForgotten = errors.New("the MeshPeer is there no more")
