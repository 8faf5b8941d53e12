package netx_test

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/netx"
)

// DESIGN §12: an idle keep-alive connection costs at most 6 KiB, its goroutine
// included. Here both ends live in this process, so the heap is halved; the
// client's end has no goroutine.
func TestIdleMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector adds shadow memory")
	}
	const conns = 300
	used := func() (heap, stack uint64) {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc, m.StackInuse
	}
	type ends struct{ client, server *netx.Conn }
	all := make([]ends, 0, conns)
	heap0, stack0 := used()
	var wg sync.WaitGroup
	for range conns {
		client, server := pair(t)
		all = append(all, ends{client, server})
		server.SetReadBy(netx.After(time.Hour))
		wg.Go(func() {
			for {
				buf, _, err := server.ReadIdle(16 << 10)
				if err != nil {
					return
				}
				buf.Release()
			}
		})
		write(t, client, "one request")
	}
	for _, e := range all {
		eventually(t, "the request is read", func() bool { return !e.server.Stale() })
	}
	heap1, stack1 := used()
	const pollDesc = 300 // the runtime's, outside the heap
	each := ((heap1-heap0)/2+stack1-stack0)/conns + pollDesc
	t.Logf("%d bytes, of them %d for the goroutine's stack", each, (stack1-stack0)/conns)
	if each > 6<<10 {
		t.Errorf("%d bytes for each idle connection", each)
	}
	for _, e := range all {
		e.server.Interrupt()
	}
	wg.Wait()
}
