package registry_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/registry"
	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

func TestMain(m *testing.M) { statetest.Main(m) }

// control is a control plane of several that share a store.
type control struct {
	*registry.Registry
	kill func()
}

func newControl(t *testing.T, place, name string, lease time.Duration) *control {
	t.Helper()
	return shareControl(t, registry.New(registry.Options{TrustDomain: td, Grace: lease}), place, name, lease)
}

// shareControl is newControl with a registry that is there.
func shareControl(t *testing.T, r *registry.Registry, place, name string, lease time.Duration) *control {
	t.Helper()
	s := registry.Share(r, registry.SharedOptions{DB: statetest.Open(t, place), Replica: name, Lease: lease})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{}, 2)
	go func() { _ = r.Run(ctx); done <- struct{}{} }()
	go func() { _ = s.Run(ctx); done <- struct{}{} }()
	stopped := false
	kill := func() {
		if !stopped {
			stopped = true
			cancel()
			<-done
			<-done
		}
	}
	t.Cleanup(kill)
	return &control{r, kill}
}

// until waits until a service has so many workloads.
func (c *control) until(t *testing.T, service string, n int) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		changed := c.Changed()
		got := len(c.Instances("shop", service))
		if got == n {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%s has %d workloads, want %d", service, got, n)
		}
	}
}

// TestShared: what registers with one control plane, others know; a proxy that moves is
// never missing; those of one that is killed are forgotten.
func TestShared(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		a, b := newControl(t, place, "a", time.Second), newControl(t, place, "b", time.Second)
		stays, moves := proxy("stays", "reviews", distrib.Port{Number: 80}), proxy("moves", "ratings")
		a.Joined(stays)
		a.Joined(moves)
		b.until(t, "reviews", 1)
		b.until(t, "ratings", 1)
		if list, _ := b.Services(); len(list) != 2 {
			t.Errorf("%d services are known there", len(list))
		}
		late := newControl(t, place, "late", time.Second)
		late.until(t, "ratings", 1)

		changed, count := b.Changed(), func() int { return len(b.Instances("shop", "ratings")) }
		b.Joined(moves)
		a.Left(moves, false)
		late.until(t, "ratings", 1)
		a.Left(moves, true) // the old stream's end, told late, is no end of the new one
		stays.Workloads[0].Healthy = false
		a.Joined(stays)
		<-changed // b has heard of that, and so of all before
		if count() != 1 {
			t.Error("the proxy that moved is missing")
		}

		a.kill()
		b.until(t, "reviews", 0)
		late.until(t, "reviews", 0)
		if count() != 1 || len(late.Instances("shop", "ratings")) != 1 {
			t.Error("what moved away before is gone with the control plane that had it")
		}
		b.Left(moves, true)
		late.until(t, "ratings", 0)
	})
}

// TestManyRegister: many proxies at once are in few transactions, and all known.
func TestManyRegister(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		a, b := newControl(t, place, "a", time.Minute), newControl(t, place, "b", time.Minute)
		const n = 1200
		for i := range n {
			a.Joined(proxy(fmt.Sprint("p", i), "reviews"))
		}
		b.until(t, "reviews", n)
		for i := range n {
			a.Left(proxy(fmt.Sprint("p", i), "reviews"), true)
		}
		b.until(t, "reviews", 0)
	})
}

// TestStalledControlPlane: one that was silent for too long, and is there after all,
// tells others again what it has.
func TestStalledControlPlane(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		a := newControl(t, place, "a", time.Second)
		a.Joined(proxy("p", "reviews"))
		b := newControl(t, place, "b", time.Second)
		b.until(t, "reviews", 1)
		a.kill() // its registry goes on, and its stream to the store does not
		b.until(t, "reviews", 0)
		s := registry.Share(a.Registry, registry.SharedOptions{DB: statetest.Open(t, place), Replica: "a", Lease: time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = s.Run(ctx) }()
		t.Cleanup(func() { cancel(); <-done })
		b.until(t, "reviews", 1)
	})
}

// A control plane that is silent is declared lost by the one that is elected.
func TestElectedDeclaresLost(t *testing.T) {
	place := statetest.Postgres(t)
	const lease = 200 * time.Millisecond
	var elected atomic.Bool
	db := statetest.Open(t, place)
	var by statedb.Mandate
	if err := db.Write(t.Context(), func(tx *statedb.Tx) (err error) {
		by, err = tx.TakeMandate(t.Context(), "test", "this", time.Hour)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	one := newControl(t, place, "one", lease)
	one.Joined(proxy("a", "reviews"))
	r := registry.New(registry.Options{TrustDomain: td, Grace: lease})
	s := registry.Share(r, registry.SharedOptions{
		DB: db, Replica: "two", Lease: lease, Elected: func() (statedb.Mandate, bool) { return by, elected.Load() },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { _ = s.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	two := &control{Registry: r}
	two.until(t, "reviews", 1)
	one.kill()
	beats := time.NewTimer(5 * lease)
	<-beats.C
	two.until(t, "reviews", 1)
	elected.Store(true)
	two.until(t, "reviews", 0)
}
