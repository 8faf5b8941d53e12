package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/proxy"
)

func TestSoak(t *testing.T) {
	text := os.Getenv("SOAK")
	if text == "" {
		t.Skip("set SOAK to a duration, such as SOAK=10m, to run this")
	}
	duration, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	s := newSoak(t)

	// The first part warms up pools and caches; what grows after it is a leak.
	s.run(max(duration/5, 3*time.Second))
	before := s.settle()
	t.Logf("after warm-up: %v", before)
	s.run(duration - duration/5)
	after := s.settle()
	t.Logf("at the end: %v", after)
	t.Logf("%d requests, %d reloads, %d kills, %d slow clients", s.requests.Load(), s.reloads.Load(), s.kills.Load(), s.slow.Load())
	t.Logf("without a retry %d failed of those that could", s.excused.Load())

	if n := s.failed.Load(); n > 0 {
		t.Errorf("%d of %d requests failed; the first: %s", n, s.requests.Load(), s.firstFailure.Load())
	}
	if s.requests.Load() < 1000 || s.reloads.Load() < 5 || s.kills.Load() < 3 || s.slow.Load() < 3 {
		t.Error("there was hardly any load")
	}
	if after.goroutines > before.goroutines+20 {
		t.Errorf("goroutines grew from %d to %d", before.goroutines, after.goroutines)
		pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
	}
	if after.descriptors > before.descriptors+20 {
		t.Errorf("descriptors grew from %d to %d", before.descriptors, after.descriptors)
	}
	// Histories of windows and pools vary by megabytes; a leak of one exchange
	// in a hundred would show as much more.
	if after.heap > before.heap*3/2+8<<20 {
		t.Errorf("the heap grew from %d to %d KiB", before.heap>>10, after.heap>>10)
	}
}

// soak is a gateway with servers behind it.
type soak struct {
	t     *testing.T
	dir   string
	proxy *proxy.Proxy
	addr  string
	last  *compile.Output

	stable   []*target // never die
	mortal   []*target // die and come back
	requests atomic.Int64
	failed   atomic.Int64
	excused  atomic.Int64 // failed on the route without retries, as they may
	reloads  atomic.Int64
	kills    atomic.Int64
	slow     atomic.Int64

	firstFailure atomic.Value
}

func newSoak(t *testing.T) *soak {
	s := &soak{t: t, dir: t.TempDir()}
	s.firstFailure.Store("")
	for range 3 {
		s.stable = append(s.stable, startTarget(t))
	}
	for range 3 {
		s.mortal = append(s.mortal, startTarget(t))
	}
	s.proxy = proxy.New(proxy.Options{DrainTimeout: 5 * time.Second})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.proxy.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	s.reload(0)
	for _, a := range s.proxy.Listening() {
		s.addr = fmt.Sprintf("127.0.0.1:%d", a.Port())
	}
	return s
}

// reload serves the nth variant of the configuration.
func (s *soak) reload(n int) {
	path := filepath.Join(s.dir, "gridway.yaml")
	if err := os.WriteFile(path, []byte(s.config(n)), 0o600); err != nil {
		s.t.Fatal(err)
	}
	set, problems, err := file.Load([]string{path}, file.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	out := compile.Compile(compile.Input{Set: set}, s.last)
	for _, p := range append(problems, out.Problems...) {
		if p.Severity == store.Error {
			s.t.Fatal(p)
		}
	}
	s.last = out
	cfg := *out.Config
	cfg.Listeners = nil
	for _, l := range out.Config.Listeners {
		l := *l
		l.Address, l.Port = "127.0.0.1", 0
		cfg.Listeners = append(cfg.Listeners, &l)
	}
	if err := s.proxy.Apply(context.Background(), &cfg); err != nil {
		s.t.Fatal(err)
	}
	s.reloads.Add(1)
}

// run puts load on the gateway for d.
func (s *soak) run(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	var wg sync.WaitGroup
	client, multiplexed := newClient(false), newClient(true)
	defer client.CloseIdleConnections()
	defer multiplexed.CloseIdleConnections()
	for _, kind := range []func(context.Context){
		func(ctx context.Context) { s.traffic(ctx, client, "/stable") },
		func(ctx context.Context) { s.traffic(ctx, multiplexed, "/stable") },
		func(ctx context.Context) { s.traffic(ctx, multiplexed, "/stable") },
		func(ctx context.Context) { s.traffic(ctx, client, "/retried") },
		func(ctx context.Context) { s.traffic(ctx, multiplexed, "/retried") },
		func(ctx context.Context) { s.traffic(ctx, client, "/hedged") },
		func(ctx context.Context) { s.traffic(ctx, client, "/bare") },
		s.slowReader, s.slowWriter, s.goer, s.killer, s.reloader,
	} {
		wg.Go(func() { kind(ctx) })
	}
	wg.Wait()
}

// reloader changes the configuration several times a second.
func (s *soak) reloader(ctx context.Context) {
	for n := 1; pause(ctx, 150*time.Millisecond); n++ {
		s.reload(n)
	}
}

// killer takes one mortal server after the other down for a moment, with all
// its connections.
func (s *soak) killer(ctx context.Context) {
	for n := 0; pause(ctx, 300*time.Millisecond); n++ {
		m := s.mortal[n%len(s.mortal)]
		m.off()
		s.kills.Add(1)
		pause(ctx, time.Duration(50+rand.IntN(200))*time.Millisecond)
		m.on()
	}
}

// pause waits for d; it is false when ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// usage is what the process holds.
type usage struct {
	goroutines, descriptors int
	heap                    uint64
}

func (u usage) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors, %d KiB of heap", u.goroutines, u.descriptors, u.heap>>10)
}

// settle waits until the process is at rest and measures it: what it holds
// then, it holds for good.
func (s *soak) settle() usage {
	var u usage
	calm := 0
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for calm < 4 && time.Now().Before(deadline) {
		<-tick.C
		now := usage{goroutines: runtime.NumGoroutine(), descriptors: descriptors(s.t)}
		if now.goroutines == u.goroutines && now.descriptors == u.descriptors {
			calm++
		} else {
			calm = 0
		}
		u = now
	}
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.heap = m.HeapAlloc
	return u
}

func descriptors(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		// Pooled pipes of the kernel's splice come and go with the collector.
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && !strings.HasPrefix(to, "pipe:") {
			n++
		}
	}
	return n
}
