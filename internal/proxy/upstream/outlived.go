package upstream

import "github.com/gridway/gridway/internal/proxy/upstream/lb"

// Outlived tells whether work that goes on for long had better begin anew at
// another endpoint: this one is no longer part of the configuration, or is
// unhealthy or ejected while another one is not.
func (e *Endpoint) Outlived() bool {
	for next := e.successor.Load(); next != nil; next = e.successor.Load() {
		e = next
	}
	state := e.node.State()
	switch {
	case state&lb.Removed != 0 || e.gone.Load():
		return true
	case state&(lb.Unhealthy|lb.Ejected) == 0:
		return false
	}
	for _, other := range e.cluster.view.Load().endpoints {
		if other.node.State() == 0 {
			return true
		}
	}
	return false
}
