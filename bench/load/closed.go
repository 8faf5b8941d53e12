package load

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/bench/stats"
)

// Result is what came of some load.
type Result struct {
	Requests int64         // that succeeded
	Errors   int64         // that failed
	First    error         // the first failure
	Took     time.Duration // from the first request to the last response
	Latency  stats.Histogram
}

// collector gathers results of many goroutines.
type collector struct {
	mu sync.Mutex
	r  Result // guarded by mu
}

func (c *collector) add(requests, failures int64, first error, h *stats.Histogram) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.r.Requests += requests
	c.r.Errors += failures
	if c.r.First == nil {
		c.r.First = first
	}
	if h != nil {
		c.r.Latency.Merge(h)
	}
}

// connectAll opens the connections before the clock runs.
func connectAll(ctx context.Context, t Target, n int) ([]*Client, error) {
	clients := make([]*Client, n)
	for i := range clients {
		clients[i] = NewClient(t)
		if t.Close {
			continue
		}
		if err := clients[i].Connect(ctx); err != nil {
			for _, c := range clients[:i] {
				c.Close()
			}
			return nil, err
		}
	}
	return clients, nil
}

// Closed keeps conns requests in flight until d has passed or ctx is done, and
// lets those in flight end: every request that the proxy worked for is counted.
func Closed(ctx context.Context, t Target, conns int, d time.Duration) (Result, error) {
	clients, err := connectAll(ctx, t, conns)
	if err != nil {
		return Result{}, err
	}
	var all collector
	var wg sync.WaitGroup
	var over atomic.Bool
	start := time.Now()
	stop := context.AfterFunc(ctx, func() { over.Store(true) })
	defer stop()
	for k, c := range clients {
		wg.Go(func() {
			defer c.Close()
			var n, failed int64
			var first error
			for i := k; !over.Load() && time.Since(start) < d; i += conns {
				// The context of a dial is not ended with the load: that would count as a failure.
				if err := c.Do(context.WithoutCancel(ctx), i); err != nil {
					failed++
					first = errors.Join(first, err)
					if failed > 100 {
						break
					}
					continue
				}
				n++
			}
			all.add(n, failed, first, nil)
		})
	}
	wg.Wait()
	all.r.Took = time.Since(start)
	return all.r, nil
}
