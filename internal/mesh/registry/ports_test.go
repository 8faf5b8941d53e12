package registry_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/registry"
	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

// portsOf are the ports of the one Service that a registry has: "web:80/http 81".
func portsOf(r *registry.Registry) string {
	var out []string
	list, _ := r.Services()
	for _, o := range list {
		for _, p := range o.Value.(*corev1.Service).Spec.Ports {
			text := fmt.Sprint(p.Port)
			if p.Name != "" {
				text = p.Name + ":" + text
			}
			if p.AppProtocol != nil {
				text += "/" + *p.AppProtocol
			}
			out = append(out, text)
		}
	}
	return strings.Join(out, " ")
}

func wantPorts(t *testing.T, r *registry.Registry, want string) {
	t.Helper()
	if got := portsOf(r); got != want {
		t.Errorf("ports %q, want %q", got, want)
	}
}

// TestPortStays: what callers use stays when the workload goes that said it, and goes an
// hour after the last workload that had it.
func TestPortStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, registry.Options{})
		a, b := proxy("a", "reviews", distrib.Port{Number: 80}), proxy("b", "reviews", distrib.Port{Number: 81})
		r.Joined(a)
		time.Sleep(time.Second)
		r.Joined(b)
		r.Left(a, true)
		time.Sleep(24 * time.Hour)
		wantPorts(t, r, "80") // b has it, as its only port

		named := proxy("b", "reviews", distrib.Port{Number: 82, Name: "web"}, distrib.Port{Number: 90, Name: "admin"})
		r.Joined(named)
		wantPorts(t, r, "80 web:82 admin:90")
		time.Sleep(59 * time.Minute)
		wantPorts(t, r, "80 web:82 admin:90")
		time.Sleep(2 * time.Minute)
		wantPorts(t, r, "web:82 admin:90")
		r.Left(named, true)
		time.Sleep(61 * time.Minute)
		r.Joined(b)
		wantPorts(t, r, "81") // an hour without workloads: all is forgotten
	})
}

// TestPortFollows: what a port speaks and is called changes with its workloads, when none
// has said otherwise for a minute, and at once where there was none.
func TestPortFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, registry.Options{})
		a := proxy("a", "reviews", distrib.Port{Number: 80, Name: "web", Protocol: "http"})
		b := proxy("b", "reviews", distrib.Port{Number: 80, Name: "db", Protocol: "tcp"})
		r.Joined(a)
		time.Sleep(time.Second)
		r.Joined(b)
		wantPorts(t, r, "web:80/http")
		r.Left(a, true)
		time.Sleep(30 * time.Second)
		r.Joined(a) // it started anew
		time.Sleep(time.Hour)
		wantPorts(t, r, "web:80/http")
		r.Left(a, true)
		time.Sleep(61 * time.Second)
		wantPorts(t, r, "db:80/tcp")
		r.Left(b, true)
		r.Joined(a)
		wantPorts(t, r, "web:80/http")
	})
}

// TestPortsAreBounded: ports that no workload has give way to others, and no more.
func TestPortsAreBounded(t *testing.T) {
	r := registry.New(registry.Options{TrustDomain: td})
	many := func(from, n int) (list []distrib.Port) {
		for i := range n {
			list = append(list, distrib.Port{Number: uint16(from + i), Name: fmt.Sprint("p", from+i)})
		}
		return list
	}
	count := func() int { return len(strings.Fields(portsOf(r))) }
	r.Joined(proxy("a", "reviews", many(1000, 64)...))
	r.Joined(proxy("b", "reviews", many(2000, 1)...))
	if count() != 64 || strings.Contains(portsOf(r), "2000") {
		t.Error(portsOf(r))
	}
	if list := r.Problems(); len(list) != 1 || list[0].Code != "PortUnreached" || !strings.Contains(list[0].Message, "port 2000 of the workload of b") {
		t.Error(list)
	}
	r.Joined(proxy("a", "reviews", many(1000, 1)...))
	r.Joined(proxy("b", "reviews", many(2000, 10)...))
	if count() != 64 || !strings.Contains(portsOf(r), "2009") || len(r.Problems()) != 0 {
		t.Error(portsOf(r), r.Problems())
	}
}

// TestPortProblems: what workloads say that does not go together is told.
func TestPortProblems(t *testing.T) {
	http, plain := distrib.Port{Number: 80, Name: "web", Protocol: "http"}, distrib.Port{Number: 80}
	for _, c := range []struct {
		want  string
		ports [][]distrib.Port
	}{
		{"", [][]distrib.Port{{http}, {http}}},
		{"", [][]distrib.Port{{http}, {http, {Number: 90, Name: "admin"}}}},
		{"note: Service/shop/reviews: spec.ports: callers use port 80, which some workloads have at another number (81)", [][]distrib.Port{{plain}, {{Number: 81}}}},
		{"(81, 82, 83, and others)", [][]distrib.Port{{plain}, {{Number: 84}}, {{Number: 83}}, {{Number: 82}}, {{Number: 81}}}},
		{`warning: Service/shop/reviews: spec.ports: port 80 is taken to speak "http", as was said first, and the workload of b says "tcp"`, [][]distrib.Port{{http}, {{Number: 80, Name: "web", Protocol: "tcp"}}}},
		{`port 80 is taken to speak what is found out, as was said first, and the workload of b says "http"`, [][]distrib.Port{{plain}, {{Number: 80, Protocol: "http"}}}},
		{`port 80 is called "web", as was said first, and the workload of b calls it "api"`, [][]distrib.Port{{http}, {{Number: 80, Name: "api", Protocol: "http"}}}},
		{"callers cannot reach port 81 of the workload of c: it is none of the ports of the service, which are 80, 82, admin:90", [][]distrib.Port{{plain}, {{Number: 82}, {Number: 90, Name: "admin"}}, {{Number: 81}}}},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := run(t, registry.Options{})
			for i, list := range c.ports {
				r.Joined(proxy(string(rune('a'+i)), "reviews", list...))
				time.Sleep(time.Second)
			}
			list := r.Problems()
			if c.want == "" {
				if len(list) != 0 {
					t.Error(list)
				}
				return
			}
			if len(list) != 1 || !strings.Contains(list[0].String(), c.want) || list[0].Remedy == "" {
				t.Errorf("%v, want %s", list, c.want)
			}
			_, before := r.Services()
			for i := range c.ports {
				if i > 0 {
					r.Left(proxy(string(rune('a'+i)), "reviews"), true)
				}
			}
			if _, now := r.Services(); now == before || len(r.Problems()) != 0 {
				t.Errorf("%v stays", r.Problems())
			}
		})
	}
}

// untilStored waits until a store says something of the one Service that it has.
func untilStored(t *testing.T, db *statedb.DB, what string, is func(*statedb.MeshService) bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(30 * time.Second); ; <-tick.C {
		var got *statedb.MeshService
		err := db.Read(t.Context(), func(tx *statedb.Tx) error {
			list, err := tx.MeshServices(t.Context(), 0)
			if len(list) > 0 {
				got = &list[0]
			}
			return err
		})
		switch {
		case err != nil:
			t.Fatal(err)
		case is(got):
			return
		case time.Now().After(limit):
			t.Fatalf("%s: %+v", what, got)
		}
	}
}

// TestPortsAreKept: control planes that share a store have chosen the same ports, and so
// has one that starts anew, whichever workload comes first then.
func TestPortsAreKept(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		one, two := newControl(t, place, "one", time.Second), newControl(t, place, "two", time.Second)
		a, b := proxy("a", "reviews", distrib.Port{Number: 80, Protocol: "http"}), proxy("b", "reviews", distrib.Port{Number: 81, Protocol: "tcp"})
		one.Joined(a)
		two.until(t, "reviews", 1)
		two.Joined(b)
		one.until(t, "reviews", 2)
		one.Left(a, true)
		two.until(t, "reviews", 1)
		for _, c := range []*control{one, two} {
			wantPorts(t, c.Registry, "80/http")
		}
		one.kill()
		two.kill()

		anew := registry.New(registry.Options{TrustDomain: td})
		s := registry.Share(anew, registry.SharedOptions{DB: statetest.Open(t, place), Lease: time.Second})
		s.Load(t.Context())
		wantPorts(t, anew, "80/http")
		anew.Joined(b)
		wantPorts(t, anew, "80/http")
		anew.Left(b, true)
		anew.Joined(b)
		wantPorts(t, anew, "80/tcp") // none has said anything else since it went
	})
}

// TestPortsAreChosenOnce: of two control planes that choose at once, the one holds that is
// first at the store.
func TestPortsAreChosenOnce(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		db := statetest.Open(t, place)
		one, two := registry.New(registry.Options{TrustDomain: td}), registry.New(registry.Options{TrustDomain: td})
		one.Joined(proxy("a", "reviews", distrib.Port{Number: 80}))
		two.Joined(proxy("b", "reviews", distrib.Port{Number: 81}))
		wantPorts(t, two, "81")
		for i, r := range []*registry.Registry{one, two} {
			c := shareControl(t, r, place, fmt.Sprint(i), time.Minute)
			c.until(t, "reviews", i+1)
			untilStored(t, db, "kept", func(m *statedb.MeshService) bool { return m != nil })
		}
		(&control{Registry: one}).until(t, "reviews", 2)
		for _, r := range []*registry.Registry{one, two} {
			wantPorts(t, r, "80")
		}
	})
}

// TestPortsAreForgotten: those of a Service that has no workload for long are, and those
// of one that has again are not.
func TestPortsAreForgotten(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		db := statetest.Open(t, place)
		r := registry.New(registry.Options{TrustDomain: td, Remember: 2 * time.Second})
		a := proxy("a", "reviews", distrib.Port{Number: 80})
		r.Joined(a)
		shareControl(t, r, place, "one", 300*time.Millisecond)
		untilStored(t, db, "kept", func(m *statedb.MeshService) bool { return m != nil && m.Gone < 0 })
		r.Left(a, true)
		untilStored(t, db, "gone", func(m *statedb.MeshService) bool { return m == nil || m.Gone >= 0 })
		r.Joined(a)
		untilStored(t, db, "there again", func(m *statedb.MeshService) bool { return m != nil && m.Gone < 0 })
		r.Left(a, true)
		untilStored(t, db, "forgotten", func(m *statedb.MeshService) bool { return m == nil })
	})
}
