package outlier_test

import (
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream/lb"
	"github.com/gridway/gridway/internal/proxy/upstream/outlier"
)

const second = int64(time.Second)

type world struct {
	*outlier.Detector
	hosts []*outlier.Host
}

func newWorld(cfg ir.Outlier, n int) *world {
	if cfg.Interval == 0 {
		cfg.Interval, cfg.BaseEjection, cfg.MaxEjection = 10*time.Second, 30*time.Second, 100*time.Second
	}
	w := &world{Detector: outlier.New(cfg, 0)}
	for range n {
		w.hosts = append(w.hosts, &outlier.Host{Node: new(lb.Node)})
	}
	w.SetHosts(w.hosts)
	return w
}

func (w *world) record(i, n int, c outlier.Class, now int64) (ejected bool) {
	for range n {
		ejected = w.Record(w.hosts[i], c, now) != outlier.NotEjected || ejected
	}
	return ejected
}

func (w *world) ejected() (list []int) {
	for i, h := range w.hosts {
		if h.Node.State()&lb.Ejected != 0 {
			list = append(list, i)
		}
	}
	return list
}

func TestConsecutiveErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		cfg   ir.Outlier
		tries []outlier.Class
		want  bool
	}{
		{"five server errors", ir.Outlier{Consecutive5xx: 5}, repeat(outlier.ServerError, 5), true},
		{"four", ir.Outlier{Consecutive5xx: 5}, repeat(outlier.ServerError, 4), false},
		{"gateway errors are 5xx too", ir.Outlier{Consecutive5xx: 5}, repeat(outlier.GatewayError, 5), true},
		{"a success between", ir.Outlier{Consecutive5xx: 3}, append(append(repeat(outlier.ServerError, 2), outlier.Success), repeat(outlier.ServerError, 2)...), false},
		{"gateway errors", ir.Outlier{ConsecutiveGateway: 3}, repeat(outlier.GatewayError, 3), true},
		{"a plain 500 between gateway errors", ir.Outlier{ConsecutiveGateway: 3}, []outlier.Class{2, 2, 1, 2, 2}, false},
		{"server errors are not gateway errors", ir.Outlier{ConsecutiveGateway: 3}, repeat(outlier.ServerError, 50), false},
		{"off", ir.Outlier{}, repeat(outlier.GatewayError, 50), false},
	} {
		w := newWorld(c.cfg, 3)
		for _, class := range c.tries {
			w.record(1, 1, class, second)
		}
		if got := len(w.ejected()) == 1; got != c.want {
			t.Errorf("%s: ejected %v, want %v", c.name, got, c.want)
		}
	}
}

func TestCauses(t *testing.T) {
	for _, c := range []struct {
		name  string
		cfg   ir.Outlier
		class outlier.Class
		tries int
		want  outlier.Cause
	}{
		{"5xx", ir.Outlier{Consecutive5xx: 3}, outlier.ServerError, 3, outlier.Consecutive5xx},
		{"gateway errors as 5xx", ir.Outlier{Consecutive5xx: 3}, outlier.GatewayError, 3, outlier.Consecutive5xx},
		{"gateway errors", ir.Outlier{ConsecutiveGateway: 3}, outlier.GatewayError, 3, outlier.ConsecutiveGatewayErrors},
		{"the narrower of two", ir.Outlier{Consecutive5xx: 3, ConsecutiveGateway: 3}, outlier.GatewayError, 3, outlier.ConsecutiveGatewayErrors},
		{"the lower of two", ir.Outlier{Consecutive5xx: 2, ConsecutiveGateway: 3}, outlier.GatewayError, 2, outlier.Consecutive5xx},
		{"not yet", ir.Outlier{Consecutive5xx: 3}, outlier.ServerError, 2, outlier.NotEjected},
	} {
		w := newWorld(c.cfg, 3)
		var got outlier.Cause
		for range c.tries {
			got = w.Record(w.hosts[0], c.class, second)
		}
		if _, _, why := w.Ejections(w.hosts[0]); got != c.want || why != c.want {
			t.Errorf("%s: %q, and %q to be shown, want %q", c.name, got, why, c.want)
		}
	}
}

func repeat(c outlier.Class, n int) []outlier.Class {
	out := make([]outlier.Class, n)
	for i := range out {
		out[i] = c
	}
	return out
}

func TestEjectionsGrowAndEnd(t *testing.T) {
	w := newWorld(ir.Outlier{ConsecutiveGateway: 1, MaxPercent: 50}, 4)
	now := second
	for _, want := range []int64{30, 60, 90, 100, 100} { // up to the ceiling
		if !w.record(0, 1, outlier.GatewayError, now) {
			t.Fatal("not ejected at", now/second)
		}
		if w.record(0, 5, outlier.GatewayError, now+1) {
			t.Error("ejected twice")
		}
		end := now + want*second
		w.Tick(end-1, func(int, bool) { t.Error("returned too early from an ejection of", want) })
		var back []int
		w.Tick(end, func(i int, ejected bool) {
			if ejected {
				t.Error("ejected by a tick")
			}
			back = append(back, i)
		})
		if len(back) != 1 || back[0] != 0 || len(w.ejected()) != 0 {
			t.Fatal("not returned after", want, "s")
		}
		now = end + 1
	}
	if total, until, cause := w.Ejections(w.hosts[0]); total != 5 || until != 0 || cause != outlier.NotEjected {
		t.Error(total, until)
	}
	// Good intervals shorten the next ejection again.
	for range 10 {
		now += 10 * second
		w.Tick(now, func(int, bool) {})
	}
	w.record(0, 1, outlier.GatewayError, now)
	if _, until, _ := w.Ejections(w.hosts[0]); until-now != 30*second {
		t.Error("ejected for", (until-now)/second, "s after a long time of good behaviour")
	}
}

// Only an interval that was got through whole is good behaviour: an ejection
// that ends shortly before the next look is none.
func TestEjectionsGrowWhateverTheIntervals(t *testing.T) {
	w := newWorld(ir.Outlier{ConsecutiveGateway: 1, MaxPercent: 50}, 4)
	tick := func(at int64) { w.Tick(at*second, func(int, bool) {}) }
	eject := func(at, want int64) {
		t.Helper()
		if !w.record(0, 1, outlier.GatewayError, at*second) {
			t.Fatal("not ejected at", at)
		}
		if _, until, _ := w.Ejections(w.hosts[0]); until != (at+want)*second {
			t.Errorf("ejected for %d s, want %d", until/second-at, want)
		}
	}
	eject(5, 30)
	tick(35) // it returns, and the interval ends
	eject(36, 60)
	tick(96)
	tick(97) // neither is this one whole
	eject(98, 90)
	tick(188)
	tick(198) // but this one is
	eject(199, 90)
}

func TestCeiling(t *testing.T) {
	for _, c := range []struct{ hosts, percent, want int }{
		{10, 30, 3}, {10, 100, 10}, {10, 5, 1}, {10, 0, 1}, {2, 10, 1}, {1, 100, 0}, {7, 50, 3},
	} {
		w := newWorld(ir.Outlier{Consecutive5xx: 1, MaxPercent: c.percent}, c.hosts)
		for i := range w.hosts {
			w.record(i, 1, outlier.ServerError, second)
		}
		if got := len(w.ejected()); got != c.want {
			t.Errorf("%d %% of %d: %d ejected, want %d", c.percent, c.hosts, got, c.want)
		}
	}
}

func TestSuccessRate(t *testing.T) {
	cfg := ir.Outlier{MaxPercent: 50, SuccessRateMinHosts: 5, SuccessRateMinRequests: 100, SuccessRateStdev: 190}
	run := func(hosts int, rate func(i int) (tries, bad int)) []int {
		w := newWorld(cfg, hosts)
		for i := range w.hosts {
			tries, bad := rate(i)
			w.record(i, bad, outlier.ServerError, second)
			w.record(i, tries-bad, outlier.Success, second)
		}
		changes := 0
		next := w.Tick(10*second, func(i int, ejected bool) { changes++ })
		if changes != len(w.ejected()) || next != 20*second {
			t.Errorf("%d changes for %d ejections, next at %d", changes, len(w.ejected()), next/second)
		}
		return w.ejected()
	}
	one := func(i int) (int, int) {
		if i == 3 {
			return 200, 60
		}
		return 200, 2
	}
	if got := run(10, one); len(got) != 1 || got[0] != 3 {
		t.Error("one bad of ten:", got)
	}
	if got := run(4, one); len(got) != 0 {
		t.Error("too few hosts to compare:", got)
	}
	if got := run(10, func(int) (int, int) { return 200, 100 }); len(got) != 0 {
		t.Error("all are alike:", got)
	}
	if got := run(10, func(i int) (int, int) {
		if i == 3 {
			return 50, 50
		}
		return 200, 2
	}); len(got) != 0 {
		t.Error("too few requests to judge:", got)
	}
}

func TestLearnAndSetHosts(t *testing.T) {
	a, b := newWorld(ir.Outlier{Consecutive5xx: 1, MaxPercent: 50}, 4), newWorld(ir.Outlier{Consecutive5xx: 1, MaxPercent: 50}, 4)
	a.record(2, 1, outlier.ServerError, second)
	b.Learn(b.hosts[1], a.Detector, a.hosts[2])
	b.SetHosts(b.hosts)
	if got := b.ejected(); len(got) != 1 || got[0] != 1 {
		t.Fatal(got)
	}
	b.record(0, 1, outlier.ServerError, second)
	b.record(3, 1, outlier.ServerError, second)
	if got := b.ejected(); len(got) != 2 {
		t.Error("the ejection that was taken over does not count against the ceiling:", got)
	}
	b.SetHosts(b.hosts[2:]) // those that were ejected have left
	if !b.record(3, 1, outlier.ServerError, second) {
		t.Error("ejections of hosts that left still count")
	}
	if next := b.Tick(2*second, func(int, bool) {}); next != 10*second {
		t.Error("next tick at", next/second)
	}
	if next := b.Tick(11*second, func(int, bool) {}); next != 21*second {
		t.Error("next tick at", next/second)
	}
}
