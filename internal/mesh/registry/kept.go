package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/statedb"
)

// kept is what the store has of the ports of a Service, as far as it was read or written.
type kept struct {
	version int64 // 0 is that it has nothing
	gone    bool
}

// keptPort is a chosen port as the store has it.
type keptPort struct {
	Number   uint16 `json:"number"`
	Name     string `json:"name,omitempty"`
	Protocol string `json:"protocol,omitempty"`
	Alone    bool   `json:"alone,omitempty"`
}

// keep has the store told of the ports of a Service. r.mu is held.
func (r *Registry) keep(k serviceKey) {
	if r.unkept == nil {
		return
	}
	r.unkept[k] = true
	select {
	case r.dirtied <- struct{}{}:
	default:
	}
}

// takeUnkept takes Services of whose ports the store has to be told.
func (r *Registry) takeUnkept(most int) (out []serviceKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range slices.SortedFunc(maps.Keys(r.unkept), compareServices) {
		if len(out) == most {
			break
		}
		delete(r.unkept, k)
		out = append(out, k)
	}
	return out
}

// putUnkept gives back what could not be told.
func (r *Registry) putUnkept(list []serviceKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range list {
		r.unkept[k] = true
	}
}

// writePorts takes the ports of a Service to the store, where those hold that another
// control plane has chosen meanwhile. It returns whether it wrote. The area has to be
// advanced before.
func (r *Registry) writePorts(ctx context.Context, tx *statedb.Tx, k serviceKey, version int64) (bool, error) {
	there, err := tx.MeshService(ctx, k.namespace, k.name)
	if err != nil {
		return false, err
	}
	if there != nil {
		_ = r.adopt(there) // what nobody can read is written over; who reads it has said so
	}
	text, known := r.portsText(k)
	if !known || there == nil && text == noPorts || there != nil && there.Ports == text {
		return false, nil
	}
	return true, tx.PutMeshService(ctx, &statedb.MeshService{Namespace: k.namespace, Name: k.name, Version: version, Ports: text})
}

const noPorts = "[]"

// portsText is the ports of a Service for the store.
func (r *Registry) portsText(k serviceKey) (text string, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.services[k]
	if s == nil {
		return "", false
	}
	list := make([]keptPort, len(s.ports))
	for i := range s.ports {
		p := &s.ports[i]
		list[i] = keptPort{Number: p.Number, Name: p.Name, Protocol: p.Protocol, Alone: p.Alone}
	}
	out, err := json.Marshal(list)
	if err != nil {
		panic("registry: " + err.Error()) // ports are plain data
	}
	return string(out), true
}

// told notes what the store has of Services in a version: whether they are without
// workloads.
func (r *Registry) told(gone map[serviceKey]bool, version int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, is := range gone {
		if s := r.services[k]; s != nil {
			s.kept = kept{version: version, gone: is}
		}
	}
}

// adopt takes in what the store says of the ports of a Service, if that is newer than what
// is known: they hold, and what workloads here say is added to them.
func (r *Registry) adopt(m *statedb.MeshService) error {
	var list []keptPort
	if err := json.Unmarshal([]byte(m.Ports), &list); err != nil {
		return err
	}
	list = list[:min(len(list), maxPorts)]
	r.mu.Lock()
	defer r.mu.Unlock()
	k := serviceKey{m.Namespace, m.Name}
	s := r.services[k]
	if s != nil && s.kept.version >= m.Version {
		return nil
	}
	if s == nil {
		if m.Gone >= r.opt.Remember {
			return nil
		}
		s = &service{gone: r.opt.Now().Add(-max(m.Gone, 0))}
		r.services[k] = s
		r.wakeUp()
	}
	s.kept = kept{version: m.Version, gone: m.Gone >= 0}
	before := s.ports
	s.ports = make([]chosen, 0, len(list))
	for _, p := range list {
		c := chosen{Port: distrib.Port{Number: p.Number, Name: p.Name, Protocol: p.Protocol}, Alone: p.Alone}
		if i := slices.IndexFunc(before, func(o chosen) bool { return o.Port == c.Port }); i >= 0 {
			c.unhad, c.unsaid = before[i].unhad, before[i].unsaid
		}
		s.ports = append(s.ports, c)
	}
	slices.SortFunc(s.ports, func(a, b chosen) int { return cmp.Compare(a.Number, b.Number) })
	s.restored = s.restored || s.own == 0
	if len(s.instances) > 0 {
		r.define(k, s)
	} else {
		r.make(k, s)
	}
	r.note(k)
	return nil
}

// turned are the Services which have a workload again, or none any more, and of which the
// store does not know that.
func (r *Registry) turned() (gone map[serviceKey]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	gone = map[serviceKey]bool{}
	for k, s := range r.services {
		if s.kept.version > 0 && s.kept.gone != (s.own == 0) {
			gone[k] = s.own == 0
		}
	}
	return gone
}
