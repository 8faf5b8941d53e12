package upstream_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/telemetry/trouble"
)

func TestTroubles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := upstream.New(upstream.Options{})
		defer s.Close()
		cfg := cluster("127.0.0.1:1", "127.0.0.1:2")
		cfg.Breaker = &ir.Breaker{MaxRequests: 1, Failure: &ir.FailureRate{Percent: 50, MinRequests: 10, Window: 10 * time.Second, OpenFor: 5 * time.Second, HalfOpen: 1}}
		cfg.Outlier = &ir.Outlier{ConsecutiveGateway: 3, Interval: time.Second, BaseEjection: time.Minute, MaxEjection: time.Minute, MaxPercent: 50}
		if err := s.Apply([]*ir.Cluster{cfg}); err != nil {
			t.Fatal(err)
		}
		c := s.Cluster(cfg.Name)
		see := func(what string, want ...trouble.Sight) {
			t.Helper()
			for i := range want {
				want[i].Cluster, want[i].Endpoints = cfg.Name, 2
			}
			if got := slices.Collect(s.Troubles()); !slices.Equal(got, want) {
				t.Errorf("%s:\n%+v, want\n%+v", what, got, want)
			}
		}
		see("at first")
		if err := c.Begin(0); err != nil {
			t.Fatal(err)
		}
		if err := c.Begin(0); err == nil {
			t.Fatal("two requests at a limit of one")
		}
		full := trouble.Sight{Key: trouble.Key{Kind: trouble.Full}, Times: 1}
		see("full", full)
		for range 20 {
			e, err := c.Pick(&upstream.Query{})
			if err != nil {
				t.Fatal(err)
			}
			o := upstream.Outcome{Status: 200}
			if e.Address() == "127.0.0.1:2" {
				o = upstream.Outcome{Kind: upstream.ConnectFailure}
			}
			c.Done(e, o)
		}
		ejected := trouble.Sight{Key: trouble.Key{Endpoint: "127.0.0.1:2", Kind: trouble.Ejected}, Is: true, Detail: "consecutive gateway errors"}
		see("one is ejected", full, ejected)
		for range 40 {
			e, _ := c.Pick(&upstream.Query{})
			c.Done(e, upstream.Outcome{Status: 503})
		}
		open := trouble.Sight{Key: trouble.Key{Kind: trouble.Breaker}, Is: true, Times: 1, Detail: "open"}
		see("the breaker is open", open, full, ejected)
		c.End()
		time.Sleep(6 * time.Second)
		if err := c.Begin(0); err != nil {
			t.Fatal(err)
		}
		open.Detail = "half-open"
		see("a probe", open, full, ejected)
		e, _ := c.Pick(&upstream.Query{})
		c.Done(e, upstream.Outcome{Status: 200})
		c.End()
		open.Is, open.Detail = false, "closed"
		see("closed again", open, full, ejected)
		first := 0
		s.Troubles()(func(trouble.Sight) bool { first++; return false })
		if first != 1 {
			t.Errorf("%d were told to who wanted one", first)
		}
	})
}
