// Package accesslist holds the lists of addresses and of User-Agents that shields
// ask. Lists change apart from snapshots: a rule keeps the list that it names, and
// the list gets another content.
//
// It owns no goroutines. The proxy fills the directory; filters ask its lists.
package accesslist

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/netset"
)

// Directory finds lists by their names.
type Directory struct {
	mu        sync.Mutex
	addresses map[string]*Addresses  // guarded by mu
	agents    map[string]*UserAgents // guarded by mu
}

// New makes a directory without lists.
func New() *Directory {
	return &Directory{addresses: map[string]*Addresses{}, agents: map[string]*UserAgents{}}
}

// Apply gives the lists the content of a configuration, from now on. Lists that it
// does not have are forgotten; who has one already keeps it.
func (d *Directory) Apply(addresses []*ir.AddressList, agents []*ir.UserAgentList) {
	d.mu.Lock()
	defer d.mu.Unlock()
	named := make(map[string]bool, len(addresses)+len(agents))
	for _, l := range addresses {
		named[l.Name] = true
		a := d.addresses[l.Name]
		if a == nil {
			a = &Addresses{}
			d.addresses[l.Name] = a
		}
		a.set(l)
	}
	for name := range d.addresses {
		if !named[name] {
			delete(d.addresses, name)
		}
	}
	clear(named)
	for _, l := range agents {
		named[l.Name] = true
		u := d.agents[l.Name]
		if u == nil {
			u = &UserAgents{}
			d.agents[l.Name] = u
		}
		u.set(l)
	}
	for name := range d.agents {
		if !named[name] {
			delete(d.agents, name)
		}
	}
}

// Addresses returns a list, nil if there is none of that name.
func (d *Directory) Addresses(name string) *Addresses {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.addresses[name]
}

// UserAgents returns a list, nil if there is none of that name.
func (d *Directory) UserAgents(name string) *UserAgents {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.agents[name]
}

// Addresses is a list of addresses.
type Addresses struct{ current atomic.Pointer[addresses] }

type addresses struct {
	of  *ir.AddressList
	set *netset.Set
}

func (a *Addresses) set(l *ir.AddressList) {
	if now := a.current.Load(); now != nil && now.of == l {
		return
	}
	var b netset.Builder
	for _, r := range l.Ranges {
		b.Add(netset.Range(r))
	}
	a.current.Store(&addresses{l, b.Set()})
}

// Has tells whether the list has an address; broken, that a part of the list is
// not known. It allocates nothing.
func (a *Addresses) Has(addr netip.Addr) (found, broken bool) {
	now := a.current.Load()
	return now.set.Contains(addr), now.of.Broken
}

// Find is the part of the list that has the address, for people.
func (a *Addresses) Find(addr netip.Addr) (netset.Range, bool) {
	return a.current.Load().set.Find(addr)
}

// Policy is "namespace/name" of the policy whose list it is.
func (a *Addresses) Policy() string { return a.current.Load().of.Policy }

// UserAgents is a list of User-Agents.
type UserAgents struct{ current atomic.Pointer[userAgents] }

type userAgents struct {
	of      *ir.UserAgentList
	matcher *matcher
}

func (u *UserAgents) set(l *ir.UserAgentList) {
	if now := u.current.Load(); now == nil || now.of != l {
		u.current.Store(&userAgents{l, newMatcher(l)})
	}
}

// Has tells whether the list has a User-Agent; broken, that a part of the list is
// not known.
func (u *UserAgents) Has(agent []byte) (found, broken bool) {
	now := u.current.Load()
	return now.matcher.matches(agent), now.of.Broken
}

// Policy is "namespace/name" of the policy whose list it is.
func (u *UserAgents) Policy() string { return u.current.Load().of.Policy }
