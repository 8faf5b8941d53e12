package trouble_test

import (
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/telemetry/trouble"
)

func at(seconds int) time.Time {
	return time.Date(2026, 1, 1, 12, 0, seconds, 0, time.UTC)
}

// plane sees what it is told to.
type plane struct{ sights []trouble.Sight }

func (p *plane) look() iter.Seq[trouble.Sight] { return slices.Values(p.sights) }

func (p *plane) sees(s ...trouble.Sight) { p.sights = s }

func ejected(endpoint string) trouble.Sight {
	return trouble.Sight{Key: trouble.Key{Cluster: "c", Endpoint: endpoint, Kind: trouble.Ejected}, Is: true, Detail: "consecutive 5xx", Endpoints: 2}
}

func opened(times uint64, state string) trouble.Sight {
	return trouble.Sight{Key: trouble.Key{Cluster: "c", Kind: trouble.Breaker}, Is: state != "closed", Times: times, Detail: state, Endpoints: 2}
}

func one(t *testing.T, w *trouble.Watch, now time.Time) trouble.Trouble {
	t.Helper()
	list, more := w.Look(now)
	if len(list) != 1 || more != 0 {
		t.Fatalf("at %s: %+v and %d more", now, list, more)
	}
	return list[0]
}

func TestATroubleHasABeginningAndAnEnd(t *testing.T) {
	p := &plane{}
	w := trouble.NewWatch(p.look)
	p.sees(ejected("a"))
	one(t, w, at(0))
	if x := one(t, w, at(5)); !x.Since.Equal(at(0)) || !x.Over.IsZero() || x.Detail != "consecutive 5xx" || x.Endpoints != 2 {
		t.Errorf("while it lasts: %+v", x)
	}
	p.sees()
	one(t, w, at(10))
	if x := one(t, w, at(15)); !x.Over.Equal(at(10)) {
		t.Errorf("when it is over: %+v", x)
	}
	p.sees(ejected("a"))
	if x := one(t, w, at(20)); !x.Since.Equal(at(0)) || !x.Over.IsZero() {
		t.Errorf("when it has come back soon: %+v", x)
	}
	p.sees()
	one(t, w, at(25))
	if list, _ := w.Look(at(90)); len(list) != 0 {
		t.Errorf("more than a minute after its end: %+v", list)
	}
}

// A breaker that was open between two looks is told of, and how often it was.
func TestWhatIsShortIsCounted(t *testing.T) {
	p := &plane{}
	w := trouble.NewWatch(p.look)
	w.Look(at(0))
	p.sees(opened(1, "closed"))
	if x := one(t, w, at(5)); x.Times != 1 || !x.Over.Equal(at(5)) {
		t.Errorf("opened and closed again: %+v", x)
	}
	p.sees(opened(3, "open"))
	if x := one(t, w, at(10)); x.Times != 3 || !x.Over.IsZero() || x.Detail != "open" {
		t.Errorf("open again: %+v", x)
	}
	p.sees(opened(3, "closed"))
	one(t, w, at(15))
	if list, _ := w.Look(at(100)); len(list) != 0 {
		t.Errorf("what was counted before is no news: %+v", list)
	}
	p.sees(opened(4, "half-open"))
	if x := one(t, w, at(105)); x.Times != 1 || !x.Since.Equal(at(105)) {
		t.Errorf("after a while: %+v", x)
	}
	// The cluster was replaced by another one of that name.
	p.sees(opened(2, "open"))
	if x := one(t, w, at(110)); x.Times != 3 {
		t.Errorf("of another cluster: %+v", x)
	}
}

func TestAWatchIsBounded(t *testing.T) {
	p := &plane{}
	w := trouble.NewWatch(p.look)
	var many []trouble.Sight
	for i := range 10 * trouble.Max {
		many = append(many, ejected(fmt.Sprintf("e%d", i)))
	}
	p.sees(many...)
	list, more := w.Look(at(0))
	if len(list) != trouble.Max || more != 9*trouble.Max {
		t.Fatalf("%d are kept, and %d more counted", len(list), more)
	}
	// What is so now takes the place of what is over.
	p.sees()
	w.Look(at(1))
	p.sees(opened(1, "open"), ejected("new"))
	list, more = w.Look(at(2))
	if len(list) != trouble.Max || more != 0 || list[0].Kind != trouble.Breaker || list[1].Endpoint != "new" {
		t.Errorf("%d, of which first %+v, and %d more", len(list), list[:2], more)
	}
}
