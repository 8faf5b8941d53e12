package member

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gridway/gridway/internal/mesh/declared"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/identity/identitytest"
	"github.com/gridway/gridway/internal/mesh/intercept"
)

// A workload waits for its SVID, and no longer than it is to live.
func TestIdentified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := identitytest.New(t, "prod.example.com")
		id := identity.Workload(a.TrustDomain(), "shop", "cart")
		keys := identity.NewKeyring(identity.Options{})
		keys.Apply(identity.Change{Own: identity.Node(a.TrustDomain(), "rack"), Bundles: []*identity.Bundle{a.Bundle()}})
		l := &load{n: &node{m: &member{keys: keys}}, id: id}
		got := make(chan bool, 1)
		go func() { got <- l.identified(t.Context()) }()
		synctest.Wait()
		keys.Apply(identity.Change{Put: []*identity.SVID{a.Workload("shop", "other")}})
		synctest.Wait()
		select {
		case is := <-got:
			t.Fatalf("%v by the SVID of another", is)
		default:
		}
		keys.Apply(identity.Change{Put: []*identity.SVID{a.Workload("shop", "cart")}})
		if !<-got {
			t.Error("it has an SVID")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if (&load{n: l.n, id: identity.Workload(a.TrustDomain(), "shop", "none")}).identified(ctx) {
			t.Error("without an SVID")
		}
	})
}

// Whoever declares a workload otherwise does not wait for it, however often.
func TestWake(t *testing.T) {
	l := &load{kick: make(chan struct{}, 1)}
	for range 3 {
		l.wake()
	}
	<-l.kick
	select {
	case <-l.kick:
		t.Error("it is told twice")
	default:
	}
}

// Nothing is taken of a workload before the configuration for it has come, and why is said
// once.
func TestFollowerWaits(t *testing.T) {
	own, err := intercept.CgroupOf(int32(os.Getpid()))
	if err != nil || own == "/" {
		t.Skip("this process is in no cgroup of its own")
	}
	var said strings.Builder
	m := &member{opt: Options{Intercept: true}, plane: &plane{}, log: slog.New(slog.NewTextHandler(&said, nil))}
	l := &load{n: &node{m: m}, key: "shop/cart", ports: workloadPorts{Outbound: 20001, DNS: 20002}}
	f := &follower{l: l}
	defer f.close()
	for range 3 {
		f.look(&declared.Workload{Processes: declared.Processes{Cgroup: own}})
	}
	if l.who.cgroup != own || f.rules != nil || strings.Count(said.String(), "its configuration has not come yet") != 1 {
		t.Errorf("%+v, %s", l.who, &said)
	}
	f.look(&declared.Workload{Processes: declared.Processes{Cgroup: "/gridway-test-none"}})
	if l.who != (processes{}) && l.who.cgroup != "" || !strings.Contains(said.String(), "nothing of it runs") && !strings.Contains(said.String(), "no cgroup2") {
		t.Errorf("%+v, %s", l.who, &said)
	}
	f.say(&declared.Workload{}, errors.New("the kernel says no"))
	if !strings.Contains(said.String(), "does not go through the mesh") {
		t.Error(&said)
	}
	f.say(&declared.Workload{}, nil)
	f.say(&declared.Workload{}, errors.New("the kernel says no"))
	if strings.Count(said.String(), "does not go through the mesh") != 2 {
		t.Errorf("what is wrong again is said again: %s", &said)
	}
}

// A workload that leaves does not become well again.
func TestLeavingStaysOut(t *testing.T) {
	l := &load{n: &node{m: &member{}}, declared: &declared.Workload{}, leaving: true}
	l.well(true)
	l.well(false)
	if l.healthy {
		t.Error("it leaves, and is healthy")
	}
}
