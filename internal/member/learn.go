package member

import (
	"context"
	"errors"
	"time"

	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/hostname"
)

const (
	// learnTimeout is how long a program's first request to a service waits for the
	// control plane, and for what the service consists of to be in service: names of
	// Backends in it are looked up for two seconds before.
	learnTimeout = 4 * time.Second
	// touchEvery is how often it is looked at which services are used.
	touchEvery = time.Minute
	// defaultClusterDomain is that of names such as ratings.shop.svc.cluster.local, until
	// the control plane has said another.
	defaultClusterDomain = "cluster.local"
)

// learn gets the service that a program asks for by a name, which the configuration
// does not have. Names that mean no service, or one that does not exist, are what
// they are outside of the mesh.
func (m *member) learn(authority string) bool {
	namespace, name, ok := hostname.Service(authority, m.opt.Namespace, m.plane.clusterDomain())
	return ok && m.learnService(namespace, name)
}

// clusterDomain is what full names of services end with, as the mesh is configured.
func (p *plane) clusterDomain() string {
	p.mu.Lock()
	cfg := p.config
	p.mu.Unlock()
	if cfg != nil {
		for _, l := range cfg.Listeners {
			if l.ClusterDomain != "" {
				return l.ClusterDomain
			}
		}
	}
	return defaultClusterDomain
}

// learnService gets a service; without a control plane it is not there.
func (m *member) learnService(namespace, name string) bool {
	if m.client.Status().Target == "" {
		return false // nobody could be asked
	}
	ctx, cancel := context.WithTimeout(context.Background(), learnTimeout)
	defer cancel()
	switch err := m.client.Learn(ctx, namespace+"/"+name); {
	case err == nil:
		return true
	case errors.Is(err, distrib.ErrUnknownService):
	default:
		m.log.Warn("a service cannot be learned now", "service", namespace+"/"+name, "error", err)
	}
	return false
}

// touch has the client keep services that are used, until ctx ends.
func (m *member) touch(ctx context.Context) error {
	tick := time.NewTicker(touchEvery)
	defer tick.Stop()
	u := uses{tries: map[string]uint64{}}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			u.look(m.plane, m.client.Touch)
		}
	}
}

// uses remembers how often clusters were used.
type uses struct {
	tries map[string]uint64 // by cluster
}

// look calls used for each service of which a cluster was used since the last look.
func (u *uses) look(p *plane, used func(service string)) {
	p.mu.Lock()
	cfg := p.config
	p.mu.Unlock()
	if cfg == nil {
		return
	}
	now := make(map[string]uint64, len(cfg.Clusters))
	for _, c := range cfg.Clusters {
		live := p.Upstreams().Cluster(c.Name)
		if c.Ref.Kind != "Service" || live == nil {
			continue
		}
		s := live.Snapshot()
		total, busy := uint64(0), s.Requests > 0
		for _, e := range s.Endpoints {
			total += e.Tries
			busy = busy || e.Active > 0
		}
		if busy || total != u.tries[c.Name] {
			used(c.Ref.Namespace + "/" + c.Ref.Name)
		}
		now[c.Name] = total
	}
	u.tries = now
}
