package distrib_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
)

// A proxy goes to another control plane, and gets differences alone.
func TestProxyMovesToAnotherControlPlane(t *testing.T) {
	v := newViews()
	v.set("shop/cart", "one", "10.0.0.1:80")
	a, b := newControl(t, v), newControl(t, v)
	p := newProxy(t, newPlane(), map[string]*control{"a": a, "b": b})
	p.until(t, "the view is served", func() bool { return p.text("shop/cart") == "one" })
	a.kill()
	p.until(t, "the other has it", func() bool { return p.Status().Target == "b" && b.Summary().Serving == 1 })
	p.mu.Lock()
	applies := p.applies
	p.mu.Unlock()
	if applies != 1 {
		t.Error("what had not changed was applied again")
	}
	v.set("shop/cart", "two", "10.0.0.1:80")
	p.until(t, "the other's changes are served", func() bool { return p.text("shop/cart") == "two" })
}

func TestDrain(t *testing.T) {
	v := newViews()
	v.set("shop/cart", "one")
	a, b := newControl(t, v), newControl(t, v)
	p := newProxy(t, newPlane(), map[string]*control{"a": a, "b": b})
	p.until(t, "the view is served", func() bool { return p.text("shop/cart") == "one" })
	a.Drain(10*time.Millisecond, "an upgrade")
	p.until(t, "it has gone to the other", func() bool { return p.Status().Target == "b" && b.Summary().Serving == 1 })
	if st := a.Proxies(); len(st) != 1 || st[0].State != distrib.StateGone {
		t.Errorf("the one that it left says %+v", st)
	}
}

// Replicas of one epoch: the one that is behind has a lower number.
func TestNeverBackToALowerNumber(t *testing.T) {
	ahead, behind := newViews(), newViews()
	ahead.epoch, behind.epoch = "store", "store"
	for _, v := range []*views{ahead, behind} {
		v.set("shop/cart", "one")
		v.set("shop/cart", "two")
	}
	ahead.set("shop/cart", "three")
	a, b := newControl(t, ahead), newControl(t, behind)
	p := newProxy(t, newPlane(), map[string]*control{"a": a, "b": b})
	p.until(t, "the newest is served", func() bool { return p.text("shop/cart") == "three" })
	a.kill()
	p.until(t, "the other knows", func() bool {
		list := b.Proxies()
		return len(list) == 1 && list[0].State == distrib.StateNewer && list[0].Serving.Number == 3
	})
	if p.text("shop/cart") != "three" {
		t.Fatal("it went back")
	}
	behind.set("shop/cart", "three")
	p.until(t, "the other has caught up", func() bool { return b.Summary().Serving == 1 })
	// From now on whatever it wants is newer, also what was there before.
	behind.set("shop/cart", "one")
	p.until(t, "what was there before is in force again", func() bool { return p.text("shop/cart") == "one" })
}

// Replicas whose numbers have nothing to do with each other.
func TestNeverBackToOlderContent(t *testing.T) {
	for _, patience := range []time.Duration{time.Hour, time.Millisecond} {
		t.Run(patience.String(), func(t *testing.T) {
			ahead, behind := newViews(), newViews()
			ahead.set("shop/cart", "one")
			for range 10 {
				behind.set("shop/other", "x") // its numbers are higher
			}
			behind.set("shop/cart", "one")
			a, b := newControl(t, ahead), newControl(t, behind)
			var applied []string
			pl := newPlane()
			pl.refuse = func(c *ir.Config) error {
				applied = append(applied, c.Routes[0].Rules[0].Name)
				return nil
			}
			p := newProxy(t, pl, map[string]*control{"a": a, "b": b}, func(cfg *distrib.ClientConfig) { cfg.Patience = patience })
			p.until(t, "one is served", func() bool { return p.text("shop/cart") == "one" })
			ahead.set("shop/cart", "two")
			p.until(t, "two is served", func() bool { return p.text("shop/cart") == "two" })
			a.kill()
			if patience < time.Second {
				p.until(t, "what stays wanted is applied", func() bool { return p.text("shop/cart") == "one" })
				return
			}
			p.until(t, "the other knows", func() bool { list := b.Proxies(); return len(list) == 1 && list[0].State == distrib.StateNewer })
			behind.set("shop/cart", "two")
			p.until(t, "the other has caught up", func() bool { return b.Summary().Serving == 1 })
			p.mu.Lock()
			defer p.mu.Unlock()
			if !slices.Equal(applied, []string{"one", "two"}) {
				t.Errorf("applied one after the other: %q", applied)
			}
		})
	}
}

// A proxy that does not read costs the control plane no more for 10,000 changes than
// for one.
func TestSlowProxyCostsNoMemory(t *testing.T) {
	v := newViews()
	v.set("shop/cart", "one", "10.0.0.1:80")
	c := newControl(t, v)
	pl := newPlane()
	p := newProxy(t, pl, one(c))
	p.until(t, "the view is served", func() bool { return p.text("shop/cart") == "one" })
	hold := make(chan struct{})
	pl.mu.Lock()
	pl.hold = hold
	pl.mu.Unlock()
	big := make([]byte, 100_000)
	for i := range big {
		big[i] = 'a' + byte(i%26)
	}
	v.set("shop/cart", "stuck"+string(big), "10.0.0.1:80")
	p.until(t, "it is stuck", func() bool { return c.Summary().Serving == 0 })
	v.mu.Lock()
	made := v.made
	v.mu.Unlock()
	most, heap := int64(0), heapInUse()
	for i := range 10_000 {
		if i%100 == 0 { // 10 MB of routes beside the endpoints
			v.set("shop/cart", fmt.Sprint(i)+string(big), "10.0.0.1:80")
		}
		v.endpoints("shop/cart", fmt.Sprintf("10.0.%d.%d:80", i/250, i%250))
		most = max(most, c.Pending())
	}
	if grown := heapInUse() - heap; most > 100 || grown > 8<<20 {
		t.Errorf("%d bytes waited to be sent, and %d KiB more are in use", most, grown>>10)
	}
	v.mu.Lock()
	if v.made-made > 2 {
		t.Errorf("%d views were made for a proxy that does not answer", v.made-made)
	}
	v.changes = nil
	v.mu.Unlock()
	pl.mu.Lock()
	pl.hold = nil
	applies := pl.applies
	pl.mu.Unlock()
	close(hold)
	p.until(t, "it serves the newest", func() bool {
		return p.text("shop/cart") == "9900"+string(big) && slices.Equal(p.addresses("shop/cart"), []string{"10.0.39.249:80"})
	})
	pl.mu.Lock()
	defer pl.mu.Unlock()
	if pl.applies-applies > 3 {
		t.Errorf("%d configurations were applied to catch up", pl.applies-applies)
	}
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
