package upstream_test

import (
	"sync"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream"
)

// TestPickWhileEndpointsAreReplaced: whoever picks while all endpoints change
// gets an old one or a new one, never none.
func TestPickWhileEndpointsAreReplaced(t *testing.T) {
	cfg := cluster("192.0.2.1:1", "192.0.2.2:1")
	s := newSet(t, cfg)
	c := s.Cluster(cfg.Name)
	stop := make(chan struct{})
	var picking sync.WaitGroup
	for range 4 {
		picking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				e, err := c.Pick(&upstream.Query{})
				if err != nil {
					t.Error(err)
					return
				}
				c.Done(e, upstream.Outcome{Kind: upstream.OK, Status: 200})
			}
		})
	}
	lists := [2][]ir.Endpoint{cluster("192.0.2.3:1", "192.0.2.4:1").Endpoints, cfg.Endpoints}
	for i := range 5_000 {
		s.Update(ir.EndpointUpdate{Cluster: cfg.Name, Endpoints: lists[i&1]})
	}
	close(stop)
	picking.Wait()
}
