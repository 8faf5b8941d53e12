package member

import (
	"sync"
	"testing"
)

// Members that start at the same time choose different ports, also those that
// everybody would like to have.
func TestPortsAtOnce(t *testing.T) {
	var (
		mu   sync.Mutex
		wg   sync.WaitGroup
		seen = map[uint16]int{}
	)
	var holders [20]holder
	for i := range holders {
		wg.Go(func() {
			p, err := choosePorts(&Options{StateDir: t.TempDir(), HTTPProxy: true, Intercept: true}, &holders[i])
			mu.Lock()
			defer mu.Unlock()
			for _, port := range []uint16{p.Mesh, p.Proxy, p.Outbound, p.DNS} {
				seen[port]++
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for port, n := range seen {
		if n > 1 || port == 0 {
			t.Errorf("port %d was chosen %d times", port, n)
		}
	}
	for i := range holders {
		holders[i].close()
	}
}

// A member that starts again has the ports that others know, and another one that has
// them meanwhile keeps them.
func TestPortsAgain(t *testing.T) {
	o := &Options{StateDir: t.TempDir()}
	var first, second, third holder
	defer first.close()
	defer third.close()
	p, err := choosePorts(o, &first)
	if err != nil {
		t.Fatal(err)
	}
	if q, err := choosePorts(o, &second); err != nil || q.Mesh == p.Mesh {
		t.Errorf("%d is there twice, %v", q.Mesh, err)
	} else {
		p = q
	}
	second.close()
	if q, err := choosePorts(o, &third); err != nil || q != p {
		t.Errorf("%+v became %+v, %v", p, q, err)
	}
}
