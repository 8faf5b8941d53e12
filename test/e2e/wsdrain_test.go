package e2e

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/proxy"
)

// A drain does not send all clients away at the same moment.
func TestDrainEndsWebSocketsOneByOne(t *testing.T) {
	t.Parallel()
	const n, within = 30, 2 * time.Second
	for _, down := range wsClients {
		t.Run(down, func(t *testing.T) {
			t.Parallel()
			app := serveWS(t, nil)
			g := serveYAML(t, wsConfig(t, down, "http", app.addr, ""), func(o *proxy.Options) { o.LeaveWithin, o.DrainTimeout = within, 6*patience })
			var (
				mu   sync.Mutex
				told []time.Time // guarded by mu
				all  sync.WaitGroup
			)
			for range n {
				s, err := g.openWS(down, "/")
				if err != nil {
					t.Fatal(err)
				}
				all.Go(func() {
					code, _, err := s.farewell()
					mu.Lock()
					told = append(told, time.Now())
					mu.Unlock()
					if code != 1001 || err != nil {
						t.Errorf("%d %v", code, err)
					}
				})
			}
			ctx, cancel := context.WithTimeout(context.Background(), 6*patience)
			defer cancel()
			if err := g.proxy.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			all.Wait()
			first, last := told[0], told[0]
			for _, at := range told {
				if at.Before(first) {
					first = at
				}
				if at.After(last) {
					last = at
				}
			}
			// Thirty moments of two seconds lie within a tenth of one as good as never.
			if spread := last.Sub(first); spread < 100*time.Millisecond {
				t.Errorf("all were told within %v", spread)
			}
			for range n {
				if code := saw(t, app.closes); code != 1001 {
					t.Errorf("the endpoint saw %d", code)
				}
			}
		})
	}
}
