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

// connectAll opens the sessions of n connections before the clock runs.
func connectAll(ctx context.Context, t Target, n int) ([]session, error) {
	clients := t.sessions(n)
	if t.Close {
		return clients, nil
	}
	for i, c := range clients {
		// A stream lives longer than the dial; Close ends it.
		if err := c.Connect(context.WithoutCancel(ctx)); err != nil {
			for _, c := range clients[:i] {
				c.Close()
			}
			return nil, err
		}
	}
	return clients, nil
}

// shown tells that clients have a certificate to show, which wrk cannot.
func (t *Target) shown() bool { return t.TLS != nil && len(t.TLS.Certificates) > 0 }

// Busy keeps conns connections as busy as they can be for d (whole seconds),
// with the generator that takes the least CPU. The scratch folder is for its files.
func Busy(ctx context.Context, t Target, conns int, d time.Duration, scratch string) (Result, error) {
	switch {
	case t.Traffic == HTTP2, t.Traffic == GRPC:
		return H2Load(ctx, t, conns, d, scratch)
	case t.Traffic == HTTP1 && t.Upload == 0 && !t.Signed && !t.shown():
		return Wrk(ctx, t, conns, d, scratch)
	}
	return Closed(ctx, t, conns, d)
}

// Closed keeps a request in flight in each session of conns connections until d
// has passed or ctx is done, and lets those in flight end: every request that
// the proxy worked for is counted.
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
			for i := k; !over.Load() && time.Since(start) < d; i += len(clients) {
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
