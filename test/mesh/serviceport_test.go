package mesh

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// The port by which others call a Service that nobody wrote stays: when the workload goes
// that said it, and when the control plane starts anew and hears of another one first.
func TestServicePortStays(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "")
	one := m.sidecar("ratings", "one")
	up := port(t)
	upstream := "ratings:" + one.port + "=:" + up
	m.sidecar("reviews", "front", "--upstream", upstream)
	from(t, up, "one")
	m.sidecar("ratings", "two")
	from(t, up, "two")
	said := func(out string, err error) error {
		if err == nil && !strings.Contains(strings.Join(strings.Fields(out), " "), "callers use port "+one.port+", which some workloads have at another number") {
			err = errors.New(out)
		}
		return err
	}
	eventually(t, "that numbers differ", func() error { return said(m.command("status")) })

	var asked, failed atomic.Int64
	var last atomic.Value
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				asked.Add(1)
				if _, err := get(up, "/"); err != nil {
					failed.Add(1)
					last.Store(err.Error())
				}
			}
		})
	}
	more := func() {
		t.Helper()
		n := asked.Load() + 20
		eventually(t, "callers go on", func() error {
			if asked.Load() < n {
				return errors.New("they do not")
			}
			return nil
		})
	}
	more()
	one.end()
	more()
	m.control.end()
	more()
	m.start()
	another := port(t)
	m.sidecar("reports", "back", "--upstream", "ratings:"+one.port+"=:"+another)
	from(t, another, "two")
	more()
	close(stop)
	wg.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d of %d requests failed: %v", failed.Load(), asked.Load(), last.Load())
	}
}
