package file

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// manyRoutes is a file with n routes.
func manyRoutes(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: route-%[1]d
  namespace: shop
spec:
  parentRefs:
  - name: edge
  hostnames: ["h%[1]d.example.com"]
  rules:
  - matches:
    - path:
        type: PathPrefix
        value: /api/%[1]d
    - path: {type: Exact, value: /x/%[1]d}
      headers: [{name: x-env, value: "canary"}]
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier:
        add: [{name: x-route, value: "%[1]d"}]
    backendRefs:
    - name: svc-a
      port: 8080
      weight: 90
    - name: svc-b
      port: 8080
      weight: 10
`, i)
	}
	return b.Bytes()
}

func BenchmarkLoad10k(b *testing.B) {
	path := filepath.Join(b.TempDir(), "routes.yaml")
	if err := os.WriteFile(path, manyRoutes(10000), 0o644); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	before := cpuTime(b)
	defer func() {
		b.ReportMetric(float64((cpuTime(b)-before).Milliseconds())/float64(b.N), "cpu-ms/op")
	}()
	for b.Loop() {
		set, problems, err := Load([]string{path}, Options{})
		if err != nil || len(problems) > 0 || set.Len() != 10000 {
			b.Fatal(set.Len(), problems, err)
		}
	}
}

// cpuTime is the processor time of this process so far, which a busy machine
// disturbs less than the clock.
func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkReload is the time from a changed file to a new set, for one
// changed route in a file of 10,000, without the wait for quiet.
func BenchmarkReload(b *testing.B) {
	for _, tc := range []struct{ name, old, new string }{
		{"OneChanged", "value: /api/7777\n", "value: /api/abcd\n"},
		{"OneGrown", "value: /api/7777\n", "value: /api/7777\n    - path: {value: /more}\n"},
	} {
		b.Run(tc.name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "routes.yaml")
			a := manyRoutes(10000)
			texts := [][]byte{a, bytes.Replace(a, []byte(tc.old), []byte(tc.new), 1)}
			if err := os.WriteFile(path, a, 0o644); err != nil {
				b.Fatal(err)
			}
			r := newReader([]string{path}, Options{}.withDefaults())
			if _, err := r.first(); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			var cpu time.Duration
			for i := 1; b.Loop(); i++ {
				b.StopTimer()
				if err := os.WriteFile(path, texts[i%2], 0o644); err != nil {
					b.Fatal(err)
				}
				before := cpuTime(b)
				b.StartTimer()
				g := r.read(find(r.paths), map[string]bool{path: true})
				cpu += cpuTime(b) - before
				if g.snapshot.Documents != 1 || len(g.snapshot.Changed) != 1 {
					b.Fatal(g.snapshot.Documents, g.snapshot.Changed)
				}
				r.accept(g)
			}
			b.ReportMetric(float64(cpu.Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
}
