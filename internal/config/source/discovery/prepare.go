package discovery

import (
	"context"
	"slices"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// maxNamed bounds the names in a line of the log.
const maxNamed = 8

// Prepare is called before clusters are put in service, so that their endpoints
// are known when the first request comes. It has what is new looked for, and waits
// until each has an answer, but for none longer than its source finds worth it. It
// returns the endpoints of the clusters that are new or changed, as far as they
// are known. Run must be running, and Set must follow; one goroutine calls both.
func (h *Hub) Prepare(ctx context.Context, clusters []*ir.Cluster) []ir.EndpointUpdate {
	var fresh []*ir.Cluster
	h.mu.Lock()
	for _, config := range clusters {
		if config.Discovery == nil {
			continue
		}
		if c := h.clusters[config.Name]; c == nil || !sameConfig(c.config, config) {
			fresh = append(fresh, config)
		}
	}
	h.mu.Unlock()
	if len(fresh) == 0 {
		return nil
	}
	for _, s := range h.opts.Sources {
		s.Follow(fresh)
	}
	h.await(ctx, fresh)
	return h.found(fresh)
}

// await returns when all is answered or has had its time.
func (h *Hub) await(ctx context.Context, fresh []*ir.Cluster) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		_, wait := h.missing(fresh)
		if wait <= 0 {
			return
		}
		timer.Reset(wait)
		select {
		case <-h.settled:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

func (h *Hub) missing(fresh []*ir.Cluster) (names []string, wait time.Duration) {
	for _, s := range h.opts.Sources {
		list, w := s.Missing(fresh)
		names, wait = append(names, list...), max(wait, w)
	}
	return names, wait
}

// found lists what is known of clusters, and logs what is not.
func (h *Hub) found(fresh []*ir.Cluster) (list []ir.EndpointUpdate) {
	missing, _ := h.missing(fresh)
	for _, config := range fresh {
		if endpoints, known := h.join(config); known {
			list = append(list, ir.EndpointUpdate{Cluster: config.Name, Endpoints: endpoints})
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		missing = slices.Compact(missing)
		h.opts.Log.Warn("nobody has answered in time; the configuration serves without these endpoints for now",
			"names", missing[:min(len(missing), maxNamed)], "count", len(missing))
	}
	return list
}
