package app_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gridway/gridway/internal/app"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/testport"
)

// cpuTime is the processor time of this process so far, which a busy machine
// disturbs less than the clock.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// largeSite is a configuration of n routes in files of so many.
type largeSite struct {
	dir    string
	n, per int
}

func newLargeSite(tb testing.TB, n, per, port int) *largeSite {
	tb.Helper()
	s := &largeSite{dir: tb.TempDir(), n: n, per: per}
	text := config("127.0.0.1:9", port)
	if err := os.WriteFile(filepath.Join(s.dir, "a.yaml"), []byte(text), 0o644); err != nil {
		tb.Fatal(err)
	}
	for first := 0; first < n; first += per {
		s.write(tb, first, 0)
	}
	return s
}

func (s *largeSite) write(tb testing.TB, first, rev int) {
	tb.Helper()
	var b bytes.Buffer
	for i := first; i < first+s.per; i++ {
		r := 0
		if i == s.n/2 {
			r = rev
		}
		fmt.Fprintf(&b, `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r%[1]d}
spec:
  parentRefs: [{name: edge}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /r%[1]d}}]
    filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Rev, value: "%[2]d"}]}}]
    backendRefs: [{group: gridway.dev, kind: Backend, name: up}]
`, i, r)
	}
	tmp := filepath.Join(s.dir, "next.tmp")
	if err := os.WriteFile(tmp, b.Bytes(), 0o644); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(tmp, filepath.Join(s.dir, fmt.Sprintf("r%06d.yaml", first))); err != nil {
		tb.Fatal(err)
	}
}

// change writes the file that has the route in the middle.
func (s *largeSite) change(tb testing.TB, rev int) { s.write(tb, s.n/2/s.per*s.per, rev) }

// BenchmarkStart is the start of a gateway with many routes in one file, until
// they serve: the processor's time, and the memory that is in use afterwards.
func BenchmarkStart(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			site := newLargeSite(b, n, n, testport.Free(b))
			var cpu time.Duration
			var heap uint64
			for range b.N {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				start := cpuTime(b)
				g, _, stop := startSite(b, site)
				cpu += cpuTime(b) - start
				runtime.GC()
				runtime.ReadMemStats(&after)
				heap += after.HeapAlloc - before.HeapAlloc
				stop()
				runtime.KeepAlive(g)
			}
			b.ReportMetric(float64(cpu.Milliseconds())/float64(b.N), "cpu-ms/op")
			b.ReportMetric(float64(heap)/float64(b.N)/(1<<20), "live-MiB")
		})
	}
}

// told tells when a snapshot has been put in service.
type told struct {
	app.Source
	served chan struct{}
}

func (s *told) Run(ctx context.Context, deliver func(file.Snapshot)) error {
	return s.Source.Run(ctx, func(x file.Snapshot) {
		deliver(x)
		s.served <- struct{}{}
	})
}

func startSite(tb testing.TB, site *largeSite) (g *app.Gateway, served chan struct{}, stop func()) {
	tb.Helper()
	source := &told{app.Files([]string{site.dir}, file.Options{}), make(chan struct{}, 1)}
	g, err := app.Start(tb.Context(), app.Options{Source: source, Admin: "127.0.0.1:0", AccessLog: "off"})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx, ctx) }()
	return g, source.served, func() {
		cancel()
		<-done
	}
}

// BenchmarkChange is one changed route among 10,000: the time from the rename
// until it has been put in service and accounted for, and the processor's time.
func BenchmarkChange(b *testing.B) {
	for _, per := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("files-of-%d", per), func(b *testing.B) {
			site := newLargeSite(b, 10_000, per, testport.Free(b))
			_, served, stop := startSite(b, site)
			defer stop()
			var cpu, wall time.Duration
			b.ResetTimer()
			for rev := 1; rev <= b.N; rev++ {
				before, start := cpuTime(b), time.Now()
				site.change(b, rev)
				<-served
				wall += time.Since(start)
				cpu += cpuTime(b) - before
			}
			b.ReportMetric(float64(cpu.Microseconds())/1000/float64(b.N), "cpu-ms/op")
			b.ReportMetric(float64(wall.Microseconds())/1000/float64(b.N), "serves-ms/op")
		})
	}
}
