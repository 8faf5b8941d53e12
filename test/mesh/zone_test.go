package mesh

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Who prefers its zone asks there while it has healthy workloads, elsewhere while it
// has none, and there again when some are back. No request is lost on the way.
func TestZones(t *testing.T) {
	m := newMesh(t, `apiVersion: v1
kind: Service
metadata: {name: ratings}
spec: {ports: [{port: 80, appProtocol: http}]}
---
apiVersion: gridway.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: zones}
spec:
  targetRefs: [{group: "", kind: Service, name: ratings}]
  loadBalancer: {zoneAware: true}
  retry: {attempts: 3, budget: {percent: 100}}
  outlierDetection: {consecutive5xx: 3, interval: 1s, baseEjection: 5s}
`)
	north := []*process{m.sidecar("ratings", "north-1", "--zone", "north"), m.sidecar("ratings", "north-2", "--zone", "north")}
	m.sidecar("ratings", "south-1", "--zone", "south")
	m.sidecar("ratings", "south-2", "--zone", "south")
	up := port(t)
	m.sidecar("reviews", "front", "--zone", "north", "--upstream", "ratings=:"+up)
	all := func(zone string) {
		t.Helper()
		eventually(t, "all is answered in "+zone, func() error {
			for range 20 {
				if a, err := get(up, "/"); err != nil || !strings.HasPrefix(a.Name, zone) {
					return fmt.Errorf("%s answers, %w", a.Name, err)
				}
			}
			return nil
		})
	}
	all("north")
	if out := m.explain("reviews-front", "http://127.0.0.1:"+up+"/"); strings.Count(out, "zone north") != 2 || strings.Count(out, "zone south") != 2 {
		t.Error(out)
	}
	load := newLoad(t, up, 8)
	for _, p := range north {
		p.kill()
	}
	all("south")
	for i := range north {
		north[i] = m.sidecar("ratings", fmt.Sprintf("north-%d", i+3), "--zone", "north")
	}
	all("north")
	load.none()
}

// explain asks the sidecar in a state folder what it would do with a request.
func (m *mesh) explain(folder, url string) string {
	m.t.Helper()
	path, err := binary()
	if err != nil {
		m.t.Fatal(err)
	}
	out, err := exec.Command(path, "explain", url, "--admin", "unix:"+filepath.Join(m.dir, folder, "admin.sock")).CombinedOutput()
	if err != nil {
		m.t.Errorf("explain %s: %v", url, err)
	}
	return string(out)
}

// load asks all the time.
type load struct {
	t             *testing.T
	stop          chan struct{}
	ended         chan struct{}
	asked, failed atomic.Int64
	last          atomic.Value
	from          sync.Map // *atomic.Int64 of answers, by the program's name
}

func newLoad(t *testing.T, port string, clients int) *load {
	l := &load{t: t, stop: make(chan struct{}), ended: make(chan struct{}, clients)}
	for range clients {
		go func() {
			defer func() { l.ended <- struct{}{} }()
			for {
				select {
				case <-l.stop:
					return
				case <-time.After(2 * time.Millisecond):
				}
				l.asked.Add(1)
				a, err := get(port, "/")
				if err != nil {
					l.failed.Add(1)
					l.last.Store(err.Error())
				}
				n, _ := l.from.LoadOrStore(a.Name, new(atomic.Int64))
				n.(*atomic.Int64).Add(1)
			}
		}()
	}
	return l
}

// by is how many a program has answered.
func (l *load) by(name string) int64 {
	n, ok := l.from.Load(name)
	if !ok {
		return 0
	}
	return n.(*atomic.Int64).Load()
}

// none ends it, and has none of it failed.
func (l *load) none() {
	l.t.Helper()
	close(l.stop)
	for range cap(l.ended) {
		<-l.ended
	}
	l.t.Logf("%d of %d requests failed", l.failed.Load(), l.asked.Load())
	if l.failed.Load() > 0 || l.asked.Load() == 0 {
		l.t.Errorf("%d of %d requests failed: %v", l.failed.Load(), l.asked.Load(), l.last.Load())
	}
}
