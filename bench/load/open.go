package load

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/gridway/gridway/bench/stats"
)

// Open makes rate requests a second for d or until ctx is done, each at its own time whether or not
// earlier ones were answered, over up to conns connections. Latency runs from
// the time at which a request was due, so a stall of the proxy is counted for
// every request that it held up (no coordinated omission).
func Open(ctx context.Context, t Target, conns int, rate float64, d time.Duration) (Result, error) {
	clients, err := connectAll(ctx, t, conns)
	if err != nil {
		return Result{}, err
	}
	runtime.GC() // what earlier loads have left is not to be cleaned up in the time of this one
	tick, err := newPacer()
	if err != nil {
		return Result{}, err
	}
	defer tick.Close()

	type job struct {
		i   int
		due time.Time
	}
	total := int(rate * d.Seconds())
	jobs := make(chan job, total) // never blocks: the schedule must not wait for answers
	var all collector
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() {
			defer c.Close()
			var h stats.Histogram
			var n, failed int64
			var first error
			for j := range jobs {
				// The end of the load is not a failure of what it still does.
				if err := c.Do(context.WithoutCancel(ctx), j.i); err != nil {
					failed++
					if first == nil {
						first = err
					}
					continue
				}
				h.Record(time.Since(j.due))
				n++
			}
			all.add(n, failed, first, &h)
		})
	}
	start := time.Now()
	for i := range total {
		due := start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if err = tick.Until(due); err != nil || ctx.Err() != nil {
			break
		}
		jobs <- job{i, due}
	}
	close(jobs)
	wg.Wait()
	all.r.Took = time.Since(start)
	return all.r, err
}
