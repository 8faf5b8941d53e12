package troubles_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/troubles"
	"github.com/gridway/gridway/internal/telemetry/trouble"
)

func at(seconds int) time.Time {
	return time.Date(2026, 1, 1, 12, 0, seconds, 0, time.UTC)
}

func ejected(cluster, endpoint string, since time.Time) trouble.Trouble {
	return trouble.Trouble{Key: trouble.Key{Cluster: cluster, Endpoint: endpoint, Kind: trouble.Ejected}, Since: since, Endpoints: 2}
}

func breaker(state string, since, over time.Time, times uint64) trouble.Trouble {
	return trouble.Trouble{Key: trouble.Key{Cluster: "pay:80~1", Kind: trouble.Breaker}, Detail: state, Since: since, Over: over, Times: times}
}

func all(string) bool { return true }

func TestABoardKeepsWhatIsThere(t *testing.T) {
	var b troubles.Board
	b.Put("a", []trouble.Trouble{ejected("c", "1", at(0))}, 0, at(0))
	b.Put("b", []trouble.Trouble{ejected("c", "1", at(1))}, 0, at(50))
	first := b.Moment()
	b.Put("b", []trouble.Trouble{ejected("c", "1", at(2))}, 0, at(55))
	if b.Moment() != first {
		t.Error("a message that took its time is taken for news")
	}
	if seen := b.Seen(all, at(59)); len(seen) != 2 || !seen[1].Troubles[0].Since.Equal(at(1)) {
		t.Errorf("%+v", seen)
	}
	if seen := b.Seen(all, at(70)); len(seen) != 1 || seen[0].Proxy != "b" || b.Moment() == first {
		t.Errorf("one has been silent for a minute: %+v", seen)
	}
	b.Put("a", []trouble.Trouble{ejected("c", "1", at(70))}, 0, at(70))
	if seen := b.Seen(func(p string) bool { return p == "a" }, at(71)); len(seen) != 1 || seen[0].Proxy != "a" {
		t.Errorf("one is gone: %+v", seen)
	}
	b.Put("a", nil, 0, at(72))
	if seen := b.Seen(all, at(72)); len(seen) != 0 {
		t.Errorf("all are well: %+v", seen)
	}
}

func TestABoardIsBounded(t *testing.T) {
	var b troubles.Board
	proxies := troubles.Most/trouble.Max + 50
	report := func(proxy int) {
		var list []trouble.Trouble
		for e := range trouble.Max {
			list = append(list, ejected("c", fmt.Sprint(e), at(0)))
		}
		b.Put(fmt.Sprint(proxy), list, 7, at(0))
	}
	for round := range 2 {
		for p := range proxies {
			report(p)
		}
		kept, more := 0, 0
		for _, s := range b.Seen(all, at(1)) {
			kept += len(s.Troubles)
			more += s.More
		}
		if kept != troubles.Most || kept+more != proxies*(trouble.Max+7) {
			t.Fatalf("round %d: %d are kept, and %d more counted", round, kept, more)
		}
	}
	b.Seen(func(string) bool { return false }, at(2))
	report(1)
	if seen := b.Seen(all, at(2)); len(seen) != 1 || len(seen[0].Troubles) != trouble.Max {
		t.Error("what is gone still takes room")
	}
}

func TestMerge(t *testing.T) {
	of := func(name string) string { name, _, _ = strings.Cut(name, "~"); return name }
	list, more := troubles.Merge([]troubles.Seen{
		{Proxy: "a", Troubles: []trouble.Trouble{ejected("inv:80~2", "1", at(9)), breaker("half-open", at(5), time.Time{}, 2)}, More: 1},
		{Proxy: "b", Troubles: []trouble.Trouble{breaker("open", at(3), time.Time{}, 3), ejected("inv:80", "1", at(4)), ejected("inv:80~3", "1", at(6))}},
		{Proxy: "c", Troubles: []trouble.Trouble{breaker("closed", at(1), at(8), 1)}, More: 2},
	}, of)
	if len(list) != 2 || more != 3 {
		t.Fatalf("%+v and %d more", list, more)
	}
	if x := list[0]; x.Cluster != "pay:80" || x.Detail != "open" || !x.Over.IsZero() || !x.Since.Equal(at(1)) || x.Times != 6 || !slices.Equal(x.Proxies, []string{"a", "b", "c"}) {
		t.Errorf("the breaker: %+v", x)
	}
	if x := list[1]; !x.Since.Equal(at(4)) || !slices.Equal(x.Proxies, []string{"a", "b"}) {
		t.Errorf("the endpoint: %+v", x)
	}
	list, _ = troubles.Merge([]troubles.Seen{
		{Proxy: "a", Troubles: []trouble.Trouble{breaker("open", at(1), at(5), 1)}}, {Proxy: "b", Troubles: []trouble.Trouble{breaker("open", at(1), at(8), 1)}},
	}, of)
	if len(list) != 1 || !list[0].Over.Equal(at(8)) {
		t.Errorf("what is over for all: %+v", list)
	}
}
