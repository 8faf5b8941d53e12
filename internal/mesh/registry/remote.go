package registry

import (
	"maps"
	"slices"
)

// tell has others told of a proxy. r.mu is held.
func (r *Registry) tell(proxy string) {
	if r.dirty == nil {
		return
	}
	r.dirty[proxy] = true
	select {
	case r.dirtied <- struct{}{}:
	default:
	}
}

// takeDirty takes proxies of which others have to be told, with what they have now.
func (r *Registry) takeDirty(most int) map[string][]*Instance {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string][]*Instance{}
	for _, name := range slices.Sorted(maps.Keys(r.dirty)) {
		if len(out) == most {
			break
		}
		delete(r.dirty, name)
		if r.owners[name] == "" { // else another control plane has it by now
			out[name] = r.proxies[name]
		}
	}
	return out
}

// putDirty gives back what could not be told.
func (r *Registry) putDirty(batch map[string][]*Instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name := range batch {
		r.dirty[name] = true
	}
}

// remote takes in what the store says of a proxy: whose it is, and its workloads, none
// if it is gone.
func (r *Registry) remote(proxy, replica string, own bool, list []*Instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case own && len(list) == 0 && len(r.proxies[proxy]) > 0 && r.owners[proxy] == "":
		r.tell(proxy) // others thought that this control plane was gone
	case own, r.dirty[proxy]: // what is known here is newer
	case len(list) == 0:
		if r.owners[proxy] != "" {
			delete(r.owners, proxy)
			r.replace(proxy, nil)
		}
	default:
		delete(r.leaving, proxy)
		r.owners[proxy] = replica
		r.replace(proxy, list)
	}
}

// forgetRemote forgets the proxies of other control planes that are not there any more.
func (r *Registry) forgetRemote(there map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(r.owners)) {
		if !there[name] {
			delete(r.owners, name)
			r.replace(name, nil)
		}
	}
}
