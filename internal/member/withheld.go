package member

import (
	"maps"
	"slices"

	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/join"
)

// withhold takes in which workloads the control plane does not let the node have. Their
// identities are given up at once, and peers send them nothing more. The rules that take
// what they send stay: a host must not become more open because something was taken away
// from it, so such connections are refused until the workload is granted again, or
// declared no more. The others go on.
func (n *node) withhold(list []distrib.Withheld) {
	reasons := make(map[distrib.ServiceName]string, len(list))
	for _, w := range list {
		reasons[w.ServiceName] = w.Reason
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	changed, log := false, n.m.log
	var drop []identity.ID
	for _, key := range slices.Sorted(maps.Keys(n.loads)) {
		l := n.loads[key]
		reason := reasons[serviceOf(l)]
		if reason == l.withheld {
			continue
		}
		l.withheld = reason
		if reason == "" {
			log.Info("a workload is granted again", "workload", l.key)
			l.renewNow()
			continue
		}
		log.Error("a workload is withheld from this node: it has no identity, and what it sends is refused; the others go on", "workload", l.key, "reason", reason)
		changed = changed || l.in
		l.in, l.healthy = false, false
		drop = append(drop, l.id)
	}
	n.drop(drop)
	if changed {
		n.tell()
	}
}

// drop gives up identities.
func (n *node) drop(list []identity.ID) {
	list = slices.DeleteFunc(list, func(id identity.ID) bool { return n.m.keys.SVID(id) == nil })
	if len(list) > 0 {
		n.m.keys.Apply(identity.Change{Drop: list})
	}
}

func serviceOf(l *load) distrib.ServiceName {
	name := identity.NameOf(l.id)
	return distrib.ServiceName{Namespace: name.Namespace, Name: name.Service}
}

// renewed notes how the identity of a workload stands.
func (l *load) renewed(s identity.RenewerState) {
	l.n.m.renewals.note(s)
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	l.refused = ""
	if s.Err != nil && join.Refused(s.Err) {
		l.refused = s.Err.Error()
	}
}

// renewNow has the identity asked for at once.
func (l *load) renewNow() {
	select {
	case l.renew <- struct{}{}:
	default:
	}
}

// enter has the workload be in the mesh once it has an identity and is not withheld, and
// tells whether it is.
func (l *load) enter() bool {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	has := l.n.m.keys.SVID(l.id) != nil
	switch {
	case has && l.withheld != "": // it was under way as it was withheld
		l.n.drop([]identity.ID{l.id})
	case has && !l.in:
		l.in = true
		l.n.tell()
	}
	return l.in
}

// Withheld are the workloads of a node that have no identity because they are not granted,
// by key, with the reason.
func (r Running) Withheld() map[string]string {
	out := map[string]string{}
	if r.m.node == nil {
		return out
	}
	r.m.node.mu.Lock()
	defer r.m.node.mu.Unlock()
	for key, l := range r.m.node.loads {
		switch {
		case l.withheld != "":
			out[key] = l.withheld
		case l.refused != "":
			out[key] = l.refused
		}
	}
	return out
}
