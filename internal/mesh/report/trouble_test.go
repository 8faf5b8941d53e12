package report_test

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/mesh/report"
	"github.com/gridway/gridway/internal/telemetry/trouble"
)

func TestTroublesThereAndBack(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	list := []trouble.Trouble{
		{Key: trouble.Key{Cluster: "Service/shop/pay:80", Kind: trouble.Breaker}, Detail: "open", Endpoints: 1, Since: now.Add(-time.Minute), Times: 4},
		{Key: trouble.Key{Cluster: "Service/shop/inv:80", Endpoint: "10.0.0.1:80", Kind: trouble.Ejected}, Detail: "consecutive 5xx", Endpoints: 2, Since: now.Add(-time.Hour), Over: now.Add(-time.Second)},
	}
	got, err := report.ReadTroubles(report.Troubles("p", list, 3, now), now)
	if err != nil || !reflect.DeepEqual(got, list) {
		t.Errorf("%v\n%+v", err, got)
	}
	later := now.Add(72 * time.Hour) // by the clock of another host
	if got, _ := report.ReadTroubles(report.Troubles("p", list, 3, now), later); !got[0].Since.Equal(later.Add(-time.Minute)) {
		t.Errorf("ages, not times, are told: %+v", got[0])
	}
}

func TestHostileTroubles(t *testing.T) {
	ejected := func(endpoint string) *meshpb.Trouble {
		return &meshpb.Trouble{Cluster: "c", Endpoint: endpoint, Kind: meshpb.TroubleKind_TROUBLE_KIND_EJECTED}
	}
	var many []*meshpb.Trouble
	for i := range trouble.Max + 1 {
		many = append(many, ejected(fmt.Sprint(i)))
	}
	for name, list := range map[string][]*meshpb.Trouble{
		"too many":       many,
		"twice":          {ejected("e"), ejected("e")},
		"no cluster":     {{Kind: 1}},
		"long cluster":   {{Kind: 1, Cluster: strings.Repeat("x", 601)}},
		"long endpoint":  {ejected(strings.Repeat("x", 601))},
		"long detail":    {{Kind: 3, Cluster: "c", Detail: strings.Repeat("x", 101)}},
		"line feed":      {{Kind: 3, Cluster: "c\nd"}},
		"terminal codes": {{Kind: 3, Cluster: "c", Detail: "\x1b[31m"}},
		"no text":        {{Kind: 3, Cluster: "c", Detail: "\xff"}},
		"counts":         {{Kind: 2, Cluster: "c", Times: math.MaxUint64}},
	} {
		if got, err := report.ReadTroubles(&meshpb.TroubleReport{Proxy: "p", Troubles: list}, time.Now()); err == nil {
			t.Errorf("%s: taken for %+v", name, got)
		}
	}
	now := time.Now()
	list := []*meshpb.Trouble{
		{Kind: 99, Cluster: "c"},
		{Kind: -1, Cluster: "c"},
		{Kind: 1 << 20, Cluster: "c"},
		{Cluster: "c"},
		{Kind: 1, Cluster: "c", Age: math.MaxUint64, Over: true, Ended: math.MaxUint64},
	}
	got, err := report.ReadTroubles(&meshpb.TroubleReport{Troubles: list}, now)
	if err != nil || len(got) != 1 || got[0].Since.Before(now.Add(-25*time.Hour)) || got[0].Over.Before(got[0].Since) {
		t.Errorf("kinds of newer proxies, and times beyond belief: %+v, %v", got, err)
	}
}

func FuzzReadTroubles(f *testing.F) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, list := range [][]trouble.Trouble{nil, {{Key: trouble.Key{Cluster: "c", Endpoint: "e", Kind: trouble.Unhealthy}, Since: now}}} {
		b, err := proto.Marshal(report.Troubles("p", list, 1, now))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r meshpb.TroubleReport
		if proto.Unmarshal(b, &r) != nil {
			return
		}
		list, err := report.ReadTroubles(&r, now)
		if err != nil {
			return
		}
		if len(list) > trouble.Max {
			t.Fatalf("%d troubles", len(list))
		}
		again, err := report.ReadTroubles(report.Troubles("p", list, 0, now), now)
		if err != nil || len(again) != len(list) {
			t.Fatalf("what was read cannot be told on: %v", err)
		}
		for i := range list {
			x := &list[i]
			if x.Since.After(now) || !x.Over.IsZero() && (x.Over.After(now) || x.Over.Before(x.Since)) || !x.Kind.Known() || len(x.Cluster) > 600 {
				t.Fatalf("%+v", x)
			}
		}
	})
}
