package member

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/mesh/declared"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/intercept"
	"github.com/gridway/gridway/internal/mesh/workloadapi"
)

// node is the workloads of a host that a node proxy stands before. Each has an identity,
// an outbound listener and rules of its own; they share the port of the mesh, and the
// process.
type node struct {
	m      *member
	folder *declared.Folder
	// live ends when the loads are to.
	live context.Context
	stop context.CancelFunc
	work sync.WaitGroup

	mu    sync.Mutex
	loads map[string]*load          // guarded by mu; by key
	ports map[string]*workloadPorts // guarded by mu; kept on disk
}

// workloadPorts are where what a workload sends is taken.
type workloadPorts struct {
	Outbound uint16 `json:"outbound"`
	DNS      uint16 `json:"dns"`
}

const workloadPortsFile = "workload-ports.json"

// openNode reads what is declared. What has an SVID from before is served at once, also
// without a control plane.
func (m *member) openNode() error {
	n := &node{
		m: m, folder: &declared.Folder{Path: m.opt.Workloads, Log: m.log}, loads: map[string]*load{}, ports: map[string]*workloadPorts{},
	}
	n.live, n.stop = context.WithCancel(context.Background())
	list, err := n.folder.Read()
	if err != nil {
		return err
	}
	if text, err := os.ReadFile(filepath.Join(m.opt.StateDir, workloadPortsFile)); err == nil && json.Unmarshal(text, &n.ports) != nil {
		n.ports = map[string]*workloadPorts{}
	}
	m.node = n
	for _, w := range list {
		l, err := n.add(w)
		if err != nil {
			return err
		}
		l.in = m.keys.SVID(l.id) != nil
	}
	return nil
}

// add makes a load, which does nothing yet. n.mu is held, or nobody else has n.
func (n *node) add(w *declared.Workload) (*load, error) {
	l := &load{n: n, key: w.Key(), declared: w, kick: make(chan struct{}, 1), renew: make(chan struct{}, 1), done: make(chan struct{})}
	l.id = identity.Workload(n.m.keys.Own().TrustDomain(), w.Namespace, w.Service)
	if l.id.IsZero() {
		return nil, fmt.Errorf("%s: %s cannot be an identity", w.Where, w.Key())
	}
	var err error
	if l.ports, err = n.portsFor(l.key, &l.hold); err != nil {
		l.hold.close()
		return nil, err
	}
	n.loads[l.key] = l
	return l, nil
}

// portsFor are those of a workload: those that it had, if nobody else has them.
func (n *node) portsFor(key string, hold *holder) (p workloadPorts, err error) {
	if !n.m.opt.Intercept {
		return p, nil
	}
	had := n.ports[key]
	if had == nil {
		had = &workloadPorts{}
	}
	if p.Outbound, err = hold.freePort(loopback, had.Outbound); err != nil {
		return p, err
	}
	if p.DNS, err = hold.freePort(loopback, had.DNS); err != nil {
		return p, err
	}
	if p == *had {
		return p, nil
	}
	n.ports[key] = &p
	text, err := json.Marshal(n.ports)
	if err == nil {
		err = os.WriteFile(filepath.Join(n.m.opt.StateDir, workloadPortsFile), text, 0o600)
	}
	if err != nil {
		n.m.log.Warn("the ports of workloads cannot be kept: after a restart without a control plane, what they send is not taken", "error", err)
	}
	return p, nil
}

// proxy is what the control plane is told of the node and of those of its workloads that
// have identities. n.mu is held, or nobody else has n.
func (n *node) proxy() distrib.Proxy {
	o := &n.m.opt
	p := distrib.Proxy{
		Name: "node/" + o.Node + "/" + netip.AddrPortFrom(o.Address, n.m.ports.Mesh).String(), Role: distrib.RoleNode, Zone: o.Zone, Version: o.Build.Version,
		Labels: map[string]string{},
	}
	if n.m.ports.Inbound != 0 {
		p.Labels[distrib.LabelInbound] = sockets(n.m.ports.Inbound, everywhere())
	}
	for _, key := range slices.Sorted(maps.Keys(n.loads)) {
		l := n.loads[key]
		if !l.in {
			if !l.leaving {
				p.Waiting = append(p.Waiting, serviceOf(l))
			}
			continue
		}
		d := l.declared
		w := distrib.Workload{
			Name: d.Name, Namespace: d.Namespace, Service: d.Service, Address: o.Address.String(), Labels: d.Labels, Zone: cmp.Or(d.Zone, o.Zone), Version: d.Version,
			Weight: d.Weight, Healthy: l.healthy, MeshPort: n.m.ports.Mesh, Local: d.Address.String(),
		}
		for _, port := range d.Ports {
			w.Ports = append(w.Ports, distrib.Port{Name: port.Name, Number: port.Number, Protocol: port.Protocol})
		}
		if l.ports.Outbound != 0 {
			w.Captured = strings.Split(sockets(l.ports.Outbound, locals()), ",")
		}
		p.Workloads = append(p.Workloads, w)
	}
	return p
}

// tell says it to the control plane. n.mu is held.
func (n *node) tell() {
	if err := n.m.client.SetProxy(n.proxy()); err != nil {
		n.m.log.Error("the workloads cannot be told to the control plane", "error", err)
	}
}

// run serves until ctx ends, and then has what is under way end.
func (n *node) run(ctx context.Context) error {
	n.mu.Lock()
	for _, l := range n.loads {
		n.start(l)
	}
	n.mu.Unlock()
	n.m.enterPhase(Serving)
	err := n.folder.Run(ctx, n.set)
	n.drain(context.WithoutCancel(ctx))
	n.stop()
	n.work.Wait()
	return err
}

// start has a load begin. n.mu is held.
func (n *node) start(l *load) {
	ctx, stop := context.WithCancel(n.live)
	l.stop = stop
	n.work.Go(func() {
		defer close(l.done)
		defer l.hold.close()
		l.run(ctx)
	})
}

// set has the workloads be those that are declared now.
func (n *node) set(list []*declared.Workload) {
	n.mu.Lock()
	defer n.mu.Unlock()
	want := map[string]bool{}
	changed := false
	for _, w := range list {
		want[w.Key()] = true
		l := n.loads[w.Key()]
		switch {
		case l == nil:
			l, err := n.add(w)
			if err != nil {
				n.m.log.Error("a workload cannot begin; trying again", "workload", w.Key(), "error", err)
				continue
			}
			n.start(l)
			changed = true
		case !l.leaving && !same(l.declared, w):
			n.m.log.Info("a workload is declared otherwise", "workload", l.key, "where", w.Where)
			l.declared = w
			changed = true
			l.wake()
		}
	}
	for key, l := range n.loads {
		if !want[key] && !l.leaving {
			l.leaving = true
			n.m.log.Info("a workload is declared no more: it leaves the mesh", "workload", key)
			n.work.Go(func() { n.remove(l) })
		}
	}
	if changed {
		n.tell()
	}
}

// same tells whether two declarations mean the same, wherever they are.
func same(a, b *declared.Workload) bool {
	x, y := *a, *b
	x.Where, y.Where = "", ""
	return reflect.DeepEqual(&x, &y)
}

// remove has a workload leave: peers hear of it first.
func (n *node) remove(l *load) {
	l.well(false)
	timer := time.NewTimer(min(forget, n.m.opt.DrainTimeout/4))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-n.live.Done():
	}
	l.stop()
	<-l.done
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.loads, l.key)
	n.tell()
	for _, other := range n.loads {
		if other.id == l.id {
			return
		}
	}
	n.m.renewals.forget(l.id)
	n.m.keys.Apply(identity.Change{Drop: []identity.ID{l.id}})
}

// drain has peers send no more, and what is under way end.
func (n *node) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, n.m.opt.DrainTimeout)
	defer cancel()
	n.m.enterPhase(Draining)
	n.mu.Lock()
	all := slices.Collect(maps.Values(n.loads))
	n.mu.Unlock()
	for _, l := range all {
		l.well(false)
	}
	n.m.part(ctx)
}

// identify says whose workload a process is: by its cgroup, or else by its user.
func (n *node) identify(c workloadapi.Caller) []identity.ID {
	cgroup := ""
	if c.PID > 0 {
		cgroup, _ = intercept.CgroupOf(c.PID)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var best *load
	for _, l := range n.loads {
		switch {
		case !l.in || l.leaving:
		case l.who.cgroup != "" && within(cgroup, l.who.cgroup):
			if best == nil || len(l.who.cgroup) > len(best.who.cgroup) {
				best = l
			}
		case best == nil && l.who.isUser && l.who.uid == c.UID:
			best = l
		}
	}
	if best == nil {
		return nil
	}
	return []identity.ID{best.id}
}

// within tells whether a cgroup is another or below it.
func within(cgroup, of string) bool { return cgroup == of || strings.HasPrefix(cgroup, of+"/") }
