package dns_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/gridway/gridway/internal/config/source/discovery"
	"github.com/gridway/gridway/internal/config/source/dns"
	"github.com/gridway/gridway/internal/ir"
)

// prepared puts clusters in service as package app does and returns what was
// found before, and how long that took.
func prepared(s *discovery.Hub, clusters ...*ir.Cluster) (found []string, took time.Duration) {
	began := time.Now()
	updates := s.Prepare(context.Background(), clusters)
	took = time.Since(began)
	s.Set(clusters)
	for _, u := range updates {
		var list []string
		for _, e := range u.Endpoints {
			list = append(list, e.Address)
		}
		found = append(found, u.Cluster+": "+strings.Join(list, " "))
	}
	return found, took
}

func TestNamesAreKnownBeforeTheyServe(t *testing.T) {
	scripted(t, func(t *testing.T, srv *server) {
		srv.set(t, "a.test. 60 A 10.0.0.1", "_http._tcp.b.test. 60 SRV 1 1 80 b.test.", "b.test. 60 A 10.0.0.2", "c.test. 60 A 10.0.0.3")
		var r recorder
		s := run(t, files(t, &r, ""))
		name := func(n string) ir.DNSName { return ir.DNSName{Name: n, Port: 80, Resolver: srv.addr} }
		a := clusterOf("a", name("a.test"))
		b := clusterOf("b", ir.DNSName{Name: "_http._tcp.b.test", SRV: true, Resolver: srv.addr})
		b.Endpoints = []ir.Endpoint{{Address: "192.0.2.1:80", Weight: 1}}
		static := clusterOf("s")
		expect := func(found []string, took time.Duration) func(wait time.Duration, want ...string) {
			return func(wait time.Duration, want ...string) {
				t.Helper()
				if !slices.Equal(found, want) || took != wait {
					t.Errorf("found %q after %v, want %q after %v", found, took, want, wait)
				}
				synctest.Wait()
			}
		}
		expect(prepared(s, a, b, static))(0, "a: 10.0.0.1:80", "b: 192.0.2.1:80 10.0.0.2:80")
		asked := srv.count("a.test. A")
		expect(prepared(s, a, b))(0) // nothing new
		also := *a
		also.Hash = 2
		expect(prepared(s, &also, b))(0, "a: 10.0.0.1:80")
		if n := srv.count("a.test. A"); n != asked {
			t.Errorf("a name that is known was asked for %d times more", n-asked)
		}

		// What is denied is not there: no need to wait. What fails is waited for,
		// once, and no longer; others are in place all the same.
		srv.fail("down.test. A", mdns.RcodeServerFailure)
		srv.fail("down.test. AAAA", mdns.RcodeServerFailure)
		none, down := clusterOf("none", name("none.test")), clusterOf("down", name("down.test"))
		expect(prepared(s, &also, b, none))(0)
		c := clusterOf("c", name("c.test"), name("down.test"))
		expect(prepared(s, &also, b, none, down, c))(2*time.Second, "c: 10.0.0.3:80")
		more := *down
		more.Hash = 2
		expect(prepared(s, &also, b, none, &more, c))(0)

		// One that comes back within the time is not missed.
		srv.fail("late.test. A", mdns.RcodeServerFailure)
		srv.fail("late.test. AAAA", mdns.RcodeServerFailure)
		srv.set(t, "late.test. 60 A 10.0.0.4")
		time.AfterFunc(time.Second/2, func() {
			srv.fail("late.test. A", -1)
			srv.fail("late.test. AAAA", -1)
		})
		found, took := prepared(s, &also, clusterOf("late", name("late.test")))
		if !slices.Equal(found, []string{"late: 10.0.0.4:80"}) || took < time.Second || took > 1200*time.Millisecond {
			t.Errorf("%q after %v", found, took)
		}

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		if found := s.Prepare(ctx, []*ir.Cluster{clusterOf("again", ir.DNSName{Name: "down.test", Port: 80, Resolver: srv.addr, MinTTL: time.Second})}); len(found) > 0 || time.Since(began) > 0 {
			t.Errorf("a stop waited %v for %v", time.Since(began), found)
		}
	})
}

// A name that never had an address and goes on having none is known to be empty
// in the end, so that what served in its place can go.
func TestDeniedForGood(t *testing.T) {
	scripted(t, func(t *testing.T, srv *server) {
		var r recorder
		run(t, files(t, &r, ""), clusterOf("c", ir.DNSName{Name: "none.test", Port: 80, Resolver: srv.addr}))
		r.expect(t)
		advance(29 * time.Second)
		r.expect(t)
		advance(10 * time.Second)
		r.expect(t, "c: ")
		srv.set(t, "none.test. 60 A 10.0.0.1")
		advance(10 * time.Second)
		r.expect(t, "c: 10.0.0.1:80")
	})
}

// mute is the address of a server that takes questions and says nothing.
func mute(t *testing.T) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	return pc.LocalAddr().String()
}

// However many names a silent resolver has, those of another are found.
func TestSilentResolverHoldsUpNoOther(t *testing.T) {
	srv := newServer(t)
	srv.set(t, "a.test. 60 A 10.0.0.1")
	s := newHub(options{update: func(ir.EndpointUpdate) {}, Options: dns.Options{Reachable: func(netip.Addr) bool { return true }, Lookups: 2, First: time.Hour}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { s.Run(ctx); close(done) }()
	defer func() { cancel(); <-done }()

	silent := mute(t)
	var clusters []*ir.Cluster
	for i := range 50 {
		clusters = append(clusters, clusterOf(fmt.Sprintf("silent%d", i), ir.DNSName{Name: fmt.Sprintf("n%d.test", i), Port: 80, Resolver: silent}))
	}
	s.Set(clusters)
	found := s.Prepare(ctx, append(clusters, clusterOf("a", ir.DNSName{Name: "a.test", Port: 80, Resolver: srv.addr})))
	if len(found) != 1 || found[0].Cluster != "a" || len(found[0].Endpoints) != 1 {
		t.Errorf("found %+v", found)
	}
}

// The next server is asked, and the same one again, before the time is up.
func TestFirstServerIsSilent(t *testing.T) {
	srv := newServer(t)
	srv.set(t, "a.test. 60 A 10.0.0.1")
	var r recorder
	o := files(t, &r, "", "nameserver "+mute(t), "nameserver "+srv.addr)
	o.First = 10 * time.Second
	s := newHub(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { s.Run(ctx); close(done) }()
	defer func() { cancel(); <-done }()
	if found, _ := prepared(s, clusterOf("a", ir.DNSName{Name: "a.test", Port: 80})); !slices.Equal(found, []string{"a: 10.0.0.1:80"}) {
		t.Errorf("found %q", found)
	}
}
