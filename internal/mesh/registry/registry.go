// Package registry knows the workloads of a mesh: those of the proxies whose streams
// to a control plane live, and for a moment those whose streams broke, so that a proxy
// that moves to another control plane is not missed.
//
// What registers may only be what its certificate says. Services that nobody wrote are
// made of what registered (Services).
//
// The goroutine that forgets workloads is Run's. The package may be imported by what is
// of the control plane.
package registry

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
)

const (
	defaultGrace    = 10 * time.Second
	defaultRemember = time.Hour
	// maxWorkloads, maxPorts and maxText bound what a proxy may say of itself; text
	// is in bytes.
	maxWorkloads = 1024
	maxPorts     = 64
	maxText      = 253
	// maxHistory is how many changes are remembered for who asks what is new.
	maxHistory = 4096
)

// Options are for New.
type Options struct {
	TrustDomain identity.TrustDomain
	// Grace is how long workloads stay whose proxy's stream broke; 0 is 10 s.
	Grace time.Duration
	// Remember is how long the Service of workloads stays when the last one is gone, so
	// that its clients go on knowing it, and a port of it that no workload has; 0 is one
	// hour.
	Remember time.Duration
	// Grants tells whether a node proxy may have workloads of an identity; nil grants
	// none.
	Grants func(node, workload identity.ID) bool
	Log    *slog.Logger
	// Now is time.Now if it is nil.
	Now func() time.Time
}

// Instance is a workload that is registered.
type Instance struct {
	distrib.Workload
	// Identity is the workload's SPIFFE ID, Proxy the name of the proxy before it.
	Identity string
	Proxy    string
	Role     distrib.Role
	// Since is when it registered.
	Since time.Time
	// Peer is nil for workloads of this mesh.
	Peer *Peer `json:",omitempty"`
}

// ID tells the instance from all others.
func (i *Instance) ID() string {
	return i.Proxy + "/" + i.Namespace + "/" + i.Service + "/" + i.Name
}

// Registry has the workloads. It implements distrib.Workloads.
type Registry struct {
	opt Options

	mu sync.Mutex // guards everything below
	// proxies have workloads; leaving are those whose streams broke, with the moment
	// at which they are forgotten.
	proxies  map[string][]*Instance
	leaving  map[string]time.Time
	services map[serviceKey]*service
	refused  map[string]string // by proxy, why some of its workloads are not there
	// history has the services that changed, the oldest first; the last one is of moment.
	history []serviceKey
	moment  uint64
	// defined counts changes of what Services says.
	defined uint64
	changed chan struct{}
	wake    chan struct{} // Run has another moment to wait for
	// owners are the control planes whose streams proxies have, of those that are not
	// this one's. dirty are the proxies of which others have to be told, nil if there
	// are no others; dirtied says that there are some.
	owners  map[string]string
	dirty   map[string]bool
	dirtied chan struct{}
	// unkept are the Services whose ports the store has to be told; nil like dirty.
	unkept map[serviceKey]bool
}

type serviceKey struct{ namespace, name string }

func (k serviceKey) String() string { return k.namespace + "/" + k.name }

// service is what is known of the workloads of one service.
type service struct {
	instances []*Instance // by ID
	// made is the Service that they make, and gone since when there are none.
	made *made
	gone time.Time
	// ports were chosen of what workloads of this mesh say, of which there are own, and
	// problems are what does not go together of it.
	ports    []chosen
	own      int
	problems []store.Problem
	// restored is that ports are from the store, and no workload has gone since.
	restored bool
	// kept is what the store has of it.
	kept kept
}

// New makes a registry without workloads.
func New(o Options) *Registry {
	o.Grace, o.Remember = cmp.Or(o.Grace, defaultGrace), cmp.Or(o.Remember, defaultRemember)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Registry{
		opt: o, proxies: map[string][]*Instance{}, leaving: map[string]time.Time{}, services: map[serviceKey]*service{},
		refused: map[string]string{}, owners: map[string]string{}, changed: make(chan struct{}), wake: make(chan struct{}, 1),
	}
}

// Check says why a proxy may not have a workload that it claims, or nothing.
func (r *Registry) Check(p *distrib.Proxy) error {
	if len(p.Workloads) > maxWorkloads {
		return fmt.Errorf("proxy %.80q has %d workloads, and %d are allowed", p.Name, len(p.Workloads), maxWorkloads)
	}
	for i := range p.Workloads {
		if err := r.check(p, &p.Workloads[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *Registry) check(p *distrib.Proxy, w *distrib.Workload) error {
	if err := identity.CheckWorkload(w.Namespace, w.Service); err != nil {
		return err
	}
	want := identity.Workload(r.opt.TrustDomain, w.Namespace, w.Service)
	if p.Identity != want.String() {
		own, err := identity.Parse(p.Identity)
		if err != nil || p.Role != distrib.RoleNode || r.opt.Grants == nil || !r.opt.Grants(own, want) {
			return fmt.Errorf("%.120s may not register a workload of %s/%s: its certificate would have to say %s", p.Identity, w.Namespace, w.Service, want)
		}
	}
	return checkWorkload(w)
}

// Joined registers the workloads of a proxy that came, or came anew. Those that it may
// not have are left out, with a word in the log (see Refused).
func (r *Registry) Joined(p *distrib.Proxy) {
	if isPeer(p.Name) {
		r.refusePeer(p)
		return
	}
	now := r.opt.Now()
	var list []*Instance
	var refusal string
	for i := range p.Workloads {
		w := &p.Workloads[i]
		err := r.check(p, w)
		if err == nil && len(list) == maxWorkloads {
			err = fmt.Errorf("it has more than %d workloads", maxWorkloads)
		}
		if err != nil {
			if refusal == "" {
				refusal = err.Error()
			}
			continue
		}
		list = append(list, &Instance{
			Workload: *w, Identity: identity.Workload(r.opt.TrustDomain, w.Namespace, w.Service).String(),
			Proxy: p.Name, Role: p.Role, Since: now,
		})
	}
	r.mu.Lock()
	before := r.refused[p.Name]
	if delete(r.refused, p.Name); refusal != "" {
		r.refused[p.Name] = refusal
	}
	delete(r.leaving, p.Name)
	delete(r.owners, p.Name)
	r.replace(p.Name, list)
	r.tell(p.Name)
	r.mu.Unlock()
	if refusal != "" && refusal != before {
		r.opt.Log.Warn("a proxy's workload is refused", "proxy", p.Name, "reason", refusal)
	}
}

// Left forgets the workloads of a proxy, at once if it said good-bye, and otherwise
// after the grace.
func (r *Registry) Left(p *distrib.Proxy, orderly bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.refused, p.Name)
	if _, known := r.proxies[p.Name]; !known || isPeer(p.Name) || r.owners[p.Name] != "" {
		return // it has nothing, or has moved to another control plane
	}
	if orderly {
		delete(r.leaving, p.Name)
		r.replace(p.Name, nil)
		r.tell(p.Name)
		return
	}
	r.leaving[p.Name] = r.opt.Now().Add(r.opt.Grace)
	r.wakeUp()
}

// wakeUp has Run look for what it has to wait for.
func (r *Registry) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// replace gives a proxy other workloads. r.mu is held.
func (r *Registry) replace(proxy string, list []*Instance) {
	touched := map[serviceKey]bool{}
	before := map[string]*Instance{}
	for _, old := range r.proxies[proxy] {
		before[old.ID()] = old
	}
	for i, x := range list {
		old := before[x.ID()]
		if old == nil {
			touched[serviceKey{x.Namespace, x.Service}] = true
			continue
		}
		delete(before, x.ID())
		x.Since = old.Since
		if equalInstances(old, x) {
			list[i] = old
		} else {
			touched[serviceKey{x.Namespace, x.Service}] = true
		}
	}
	for _, old := range before {
		touched[serviceKey{old.Namespace, old.Service}] = true
	}
	if delete(r.proxies, proxy); len(list) > 0 {
		r.proxies[proxy] = list
	}
	for _, k := range slices.SortedFunc(maps.Keys(touched), compareServices) {
		s := r.services[k]
		if s == nil {
			s = &service{}
			r.services[k] = s
		}
		s.instances = slices.DeleteFunc(slices.Clone(s.instances), func(i *Instance) bool { return i.Proxy == proxy })
		for _, x := range list {
			if x.Namespace == k.namespace && x.Service == k.name {
				s.instances = append(s.instances, x)
			}
		}
		slices.SortFunc(s.instances, func(a, b *Instance) int { return cmp.Compare(a.ID(), b.ID()) })
		if s.gone = (time.Time{}); len(s.instances) == 0 {
			s.gone = r.opt.Now()
			r.wakeUp()
		}
		r.define(k, s)
		r.note(k)
	}
}

func compareServices(a, b serviceKey) int {
	return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
}

func equalInstances(a, b *Instance) bool {
	x, y := a.Workload, b.Workload
	samePeer := a.Peer == b.Peer || a.Peer != nil && b.Peer != nil && *a.Peer == *b.Peer
	return samePeer && a.Identity == b.Identity && x.Name == y.Name && x.Address == y.Address && x.Zone == y.Zone && x.Version == y.Version &&
		x.Weight == y.Weight && x.Healthy == y.Healthy && x.MeshPort == y.MeshPort && x.Local == y.Local && slices.Equal(x.Captured, y.Captured) && slices.Equal(x.Ports, y.Ports) && maps.Equal(x.Labels, y.Labels)
}

// note remembers that a service changed, and tells who waits. r.mu is held.
func (r *Registry) note(k serviceKey) {
	r.moment++
	if r.history = append(r.history, k); len(r.history) > 2*maxHistory {
		r.history = slices.Clone(r.history[maxHistory:])
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// Changed is closed with the next change.
func (r *Registry) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// Since lists the services, "namespace/name", whose workloads changed after a moment
// that it returned before; 0 is the beginning. all is that it does not remember.
func (r *Registry) Since(moment uint64) (now uint64, services []string, all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.moment - moment
	if moment > r.moment || n > uint64(len(r.history)) {
		return r.moment, nil, true
	}
	seen := map[serviceKey]bool{}
	for _, k := range r.history[len(r.history)-int(n):] {
		if !seen[k] {
			seen[k] = true
			services = append(services, k.String())
		}
	}
	return r.moment, services, false
}

// Instances are the workloads of a service, ordered by their IDs. The list is shared
// and never changed.
func (r *Registry) Instances(namespace, name string) []*Instance {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.services[serviceKey{namespace, name}]; s != nil {
		return s.instances
	}
	return nil
}

// Count returns how many workloads are healthy and how many are not, and of how many
// services they are.
func (r *Registry) Count() (healthy, unhealthy, services int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.services {
		if len(s.instances) > 0 {
			services++
		}
		for _, x := range s.instances {
			if x.Healthy {
				healthy++
			} else {
				unhealthy++
			}
		}
	}
	return healthy, unhealthy, services
}

// Refused are the proxies of which workloads are not registered, with the reason.
func (r *Registry) Refused() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.refused)
}

// Run forgets what has been away for too long, until ctx is done.
func (r *Registry) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		case <-timer.C:
		}
		if next := r.expire(); next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(max(next.Sub(r.opt.Now()), time.Millisecond))
		}
	}
}

// expire forgets what is due, and returns when to look again; zero is when woken.
func (r *Registry) expire() (next time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.opt.Now()
	earliest := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.leaving)) {
		if at := r.leaving[name]; at.After(now) {
			earliest(at)
			continue
		}
		delete(r.leaving, name)
		r.replace(name, nil)
		r.tell(name)
	}
	for _, k := range slices.SortedFunc(maps.Keys(r.services), compareServices) {
		s := r.services[k]
		if len(s.instances) > 0 {
			if at := r.due(s.ports); !at.IsZero() && !at.After(now) {
				r.define(k, s)
			}
			if at := r.due(s.ports); !at.IsZero() {
				earliest(at)
			}
			continue
		}
		if at := s.gone.Add(r.opt.Remember); at.After(now) {
			earliest(at)
			continue
		}
		delete(r.services, k)
		r.defined++
		r.note(k)
	}
	return next
}
