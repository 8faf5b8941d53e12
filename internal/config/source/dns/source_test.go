package dns_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
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

// options of a source and of the hub that delivers what it finds.
type options struct {
	dns.Options
	update func(ir.EndpointUpdate)
}

func newHub(o options) *discovery.Hub {
	return discovery.New(discovery.Options{Sources: []discovery.Source{dns.New(o.Options)}, Update: o.update, Log: o.Log})
}

// run starts a Hub with a Source inside a bubble and ends it with the test.
func run(t *testing.T, o options, clusters ...*ir.Cluster) *discovery.Hub {
	t.Helper()
	s := newHub(o)
	s.Set(clusters)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { s.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	synctest.Wait()
	return s
}

// advance moves the bubble's clock on.
func advance(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// scripted runs a test on synctest's clock against a DNS server outside it.
func scripted(t *testing.T, f func(t *testing.T, srv *server)) {
	srv := newServer(t)
	synctest.Test(t, func(t *testing.T) { f(t, srv) })
}

func TestAddressesAndTTL(t *testing.T) {
	scripted(t, func(t *testing.T, srv *server) {
		srv.set(t, "a.test. 60 A 10.0.0.2", "a.test. 60 A 10.0.0.1", "a.test. 90 AAAA 2001:db8::1")
		var r recorder
		name := ir.DNSName{Name: "a.test", Port: 80, Weight: 3, Zone: "z", Priority: 1, Resolver: srv.addr, MinTTL: 10 * time.Second, MaxTTL: 100 * time.Second}
		c := clusterOf("c", name)
		c.Endpoints = []ir.Endpoint{{Address: "192.0.2.1:80", Weight: 1}}
		s := run(t, options{update: r.update, Options: dns.Options{Reachable: func(netip.Addr) bool { return true }}}, c)
		r.expect(t, "c: 192.0.2.1:80 10.0.0.1:80 10.0.0.2:80 [2001:db8::1]:80")

		// Asked again when the shortest TTL ends, not before; told only of a change.
		advance(59 * time.Second)
		if n := srv.count("a.test. A"); n != 1 {
			t.Errorf("asked %d times within the TTL", n)
		}
		srv.set(t, "a.test. 60 A 10.0.0.1", "a.test. 60 A 10.0.0.2") // another order is no change
		advance(8 * time.Second)
		if n := srv.count("a.test. A"); n != 2 {
			t.Errorf("asked %d times after the TTL", n)
		}
		r.expect(t)

		// A shorter TTL counts from the next answer on, but never below MinTTL.
		srv.set(t, "a.test. 1 A 10.0.0.3")
		advance(67 * time.Second)
		r.expect(t, "c: 192.0.2.1:80 10.0.0.3:80 [2001:db8::1]:80")
		before := srv.count("a.test. A")
		advance(66 * time.Second)
		if n := srv.count("a.test. A") - before; n < 5 || n > 7 {
			t.Errorf("asked %d times in 66 s with a MinTTL of 10 s", n)
		}
		// And never above MaxTTL.
		srv.set(t, "a.test. 86400 A 10.0.0.3", "a.test. 86400 AAAA 2001:db8::1")
		advance(11 * time.Second)
		before = srv.count("a.test. A")
		advance(111 * time.Second)
		if n := srv.count("a.test. A") - before; n != 1 {
			t.Errorf("asked %d times in 111 s with a MaxTTL of 100 s", n)
		}
		st := s.States()
		if len(st) != 1 || st[0].Name != "a.test" || st[0].Err != "" || st[0].Endpoints != 2 ||
			!st[0].Next.After(time.Now()) || st[0].Answered.IsZero() || st[0].Clusters[0] != "c" {
			t.Errorf("status: %+v", st)
		}
	})
}

func TestEndpointFields(t *testing.T) {
	scripted(t, func(t *testing.T, srv *server) {
		srv.set(t, "a.test. 60 A 10.0.0.1")
		var r recorder
		name := ir.DNSName{Name: "a.test", Port: 80, Weight: 3, Zone: "z", Priority: 1, Resolver: srv.addr}
		run(t, files(t, &r, ""), clusterOf("c", name))
		got, _ := r.latest()
		want := ir.Endpoint{Address: "10.0.0.1:80", Weight: 3, Zone: "z", Priority: 1, Hostname: "a.test"}
		if len(got) != 1 || got[0] != want {
			t.Errorf("got %+v", got)
		}
	})
}

func TestOutageKeepsLastGood(t *testing.T) {
	scripted(t, func(t *testing.T, srv *server) {
		srv.set(t, "a.test. 10 A 10.0.0.1")
		var r recorder
		s := run(t, files(t, &r, ""), clusterOf("c", ir.DNSName{Name: "a.test.", Port: 80, Resolver: srv.addr}))
		r.expect(t, "c: 10.0.0.1:80")
		srv.fail("", mdns.RcodeServerFailure)
		before := srv.count("a.test. A")
		advance(time.Hour)
		r.expect(t)
		asked := srv.count("a.test. A") - before // two attempts each, a lookup every 30 s to 33 s
		if asked < 200 || asked > 260 {
			t.Errorf("asked %d times in an hour of outage", asked)
		}
		st := s.States()[0]
		if !strings.Contains(st.Err, "SERVFAIL") || st.Failures == 0 || st.Endpoints != 1 {
			t.Errorf("status: %+v", st)
		}
		srv.fail("", -1)
		srv.set(t, "a.test. 10 A 10.0.0.2")
		advance(34 * time.Second)
		r.expect(t, "c: 10.0.0.2:80")
		if st := s.States()[0]; st.Err != "" || st.Failures != 0 {
			t.Errorf("status: %+v", st)
		}
	})
}

func TestOutageAtStart(t *testing.T) {
	scripted(t, func(t *testing.T, srv *server) {
		srv.fail("", mdns.RcodeRefused)
		srv.set(t, "a.test. 60 A 10.0.0.1")
		var r recorder
		run(t, files(t, &r, ""), clusterOf("c", ir.DNSName{Name: "a.test", Port: 80, Resolver: srv.addr}))
		advance(5 * time.Second)
		r.expect(t) // not even an empty update: nothing is known
		srv.fail("", -1)
		advance(5 * time.Second)
		r.expect(t, "c: 10.0.0.1:80")
	})
}

func TestNXDOMAIN(t *testing.T) {
	scripted(t, func(t *testing.T, srv *server) {
		srv.set(t, "a.test. 5 A 10.0.0.1")
		var r recorder
		name := ir.DNSName{Name: "a.test", Port: 80, Resolver: srv.addr, MinTTL: 5 * time.Second}
		run(t, files(t, &r, ""), clusterOf("c", name))
		r.expect(t, "c: 10.0.0.1:80")

		// Flapping: short disappearances are not passed on.
		for range 5 {
			srv.clear("a.test. A")
			advance(20 * time.Second)
			srv.set(t, "a.test. 5 A 10.0.0.1")
			advance(10 * time.Second)
		}
		r.expect(t)
		// A failure in between is no denial, and starts the count again.
		srv.clear("a.test. A")
		advance(20 * time.Second)
		srv.fail("", mdns.RcodeServerFailure)
		advance(20 * time.Second)
		srv.fail("", -1)
		advance(20 * time.Second)
		r.expect(t)
		// For good: empty after the grace, and back when the name is.
		advance(40 * time.Second)
		r.expect(t, "c: ")
		srv.set(t, "a.test. 5 A 10.0.0.2")
		advance(6 * time.Second)
		r.expect(t, "c: 10.0.0.2:80")
	})
}

func TestOneFamilyFails(t *testing.T) {
	scripted(t, func(t *testing.T, srv *server) {
		srv.set(t, "a.test. 10 A 10.0.0.1", "a.test. 10 AAAA 2001:db8::1")
		var r recorder
		s := run(t, files(t, &r, ""), clusterOf("c", ir.DNSName{Name: "a.test", Port: 80, Resolver: srv.addr}))
		r.expect(t, "c: 10.0.0.1:80 [2001:db8::1]:80")
		srv.fail("a.test. AAAA", mdns.RcodeServerFailure)
		srv.set(t, "a.test. 10 A 10.0.0.2")
		advance(11 * time.Second)
		r.expect(t, "c: 10.0.0.2:80 [2001:db8::1]:80")
		if st := s.States()[0]; !strings.Contains(st.Err, "AAAA") {
			t.Errorf("status: %+v", st)
		}
		srv.fail("a.test. AAAA", -1)
		srv.clear("a.test. AAAA")
		advance(12 * time.Second)
		r.expect(t, "c: 10.0.0.2:80")
	})
}

func TestUnreachableFamily(t *testing.T) {
	scripted(t, func(t *testing.T, srv *server) {
		srv.set(t, "a.test. 10 A 10.0.0.1", "a.test. 10 AAAA 2001:db8::1", "six.test. 10 AAAA 2001:db8::1")
		var r recorder
		o := files(t, &r, "")
		o.Reachable = netip.Addr.Is4
		run(t, o, clusterOf("c", ir.DNSName{Name: "a.test", Port: 80, Resolver: srv.addr}),
			clusterOf("six", ir.DNSName{Name: "six.test", Port: 80, Resolver: srv.addr}))
		advance(time.Second)
		got := map[string]bool{}
		for _, u := range r.take() {
			got[u] = true
		}
		if !got["c: 10.0.0.1:80"] || !got["six: [2001:db8::1]:80"] {
			t.Errorf("updates: %v", got)
		}
	})
}

func TestTruncationAndEDNS(t *testing.T) {
	scripted(t, func(t *testing.T, srv *server) {
		var many []string
		for i := range 200 {
			many = append(many, fmt.Sprintf("big.test. 60 A 10.0.1.%d", i))
		}
		srv.set(t, many...)
		var r recorder
		name := ir.DNSName{Name: "big.test", Port: 80, Resolver: srv.addr}
		run(t, files(t, &r, ""), clusterOf("c", name))
		if got := r.take(); len(got) != 1 || len(strings.Fields(got[0])) != 201 {
			t.Errorf("updates: %q", got)
		}
		if srv.tcp != 1 || srv.edns == 0 {
			t.Errorf("%d questions over TCP, %d with EDNS0", srv.tcp, srv.edns)
		}
		srv.mu.Lock()
		srv.noEDNS = true
		srv.mu.Unlock()
		srv.set(t, "old.test. 60 A 10.0.0.1")
		run(t, files(t, &r, ""), clusterOf("old", ir.DNSName{Name: "old.test", Port: 80, Resolver: srv.addr}))
		r.expect(t, "old: 10.0.0.1:80")
	})
}

func TestAliases(t *testing.T) {
	scripted(t, func(t *testing.T, srv *server) {
		srv.set(t, "a.test. 60 CNAME b.test.", "b.test. 20 CNAME c.test.", "c.test. 60 A 10.0.0.1",
			"loop.test. 60 CNAME loop.test.")
		var r recorder
		s := run(t, files(t, &r, ""), clusterOf("c", ir.DNSName{Name: "a.test", Port: 80, Resolver: srv.addr}),
			clusterOf("loop", ir.DNSName{Name: "loop.test", Port: 80, Resolver: srv.addr}))
		r.expect(t, "c: 10.0.0.1:80")
		advance(23 * time.Second)
		if n := srv.count("c.test. A"); n != 2 {
			t.Errorf("asked %d times; the alias has a TTL of 20 s", n)
		}
		if st := s.States()[1]; st.Err == "" {
			t.Errorf("a loop of aliases is no error: %+v", st)
		}
	})
}

func TestSetFollowsConfiguration(t *testing.T) {
	scripted(t, func(t *testing.T, srv *server) {
		srv.set(t, "a.test. 60 A 10.0.0.1", "b.test. 60 A 10.0.0.2", "b.test. 60 A 10.0.0.1")
		var r recorder
		a := ir.DNSName{Name: "a.test", Port: 80, Resolver: srv.addr}
		b := ir.DNSName{Name: "b.test", Port: 80, Resolver: srv.addr}
		s := run(t, files(t, &r, ""), clusterOf("c", a))
		r.expect(t, "c: 10.0.0.1:80")
		// The same again changes nothing and asks nothing.
		s.Set([]*ir.Cluster{clusterOf("c", a)})
		synctest.Wait()
		r.expect(t)
		// A second cluster with a known name is told at once, or with what was asked for it
		// if that is as fast; equal addresses merge.
		s.Set([]*ir.Cluster{clusterOf("c", a), clusterOf("d", a, b)})
		synctest.Wait()
		got := r.take()
		if whole := "d: 10.0.0.1:80 10.0.0.2:80"; !slices.Equal(got, []string{"d: 10.0.0.1:80", whole}) && !slices.Equal(got, []string{whole}) {
			t.Errorf("updates: %q", got)
		}
		if n := srv.count("a.test. A"); n != 1 {
			t.Errorf("asked %d times", n)
		}
		// Static endpoints that change are delivered with what is known.
		c := clusterOf("c", a)
		c.Endpoints = []ir.Endpoint{{Address: "192.0.2.1:1"}}
		s.Set([]*ir.Cluster{c})
		synctest.Wait()
		r.expect(t, "c: 192.0.2.1:1 10.0.0.1:80")
		if st := s.States(); len(st) != 1 {
			t.Errorf("status: %+v", st)
		}
		before := srv.count("b.test. A")
		advance(time.Hour)
		if srv.count("b.test. A") != before {
			t.Error("a name that was dropped is still asked for")
		}
		s.Set(nil)
		advance(time.Minute)
		if len(s.States()) != 0 {
			t.Error("names are left")
		}
	})
}

func TestManyNames(t *testing.T) {
	scripted(t, func(t *testing.T, srv *server) {
		var clusters []*ir.Cluster
		for i := range 100 {
			srv.set(t, fmt.Sprintf("n%d.test. 60 A 10.0.0.%d", i, i))
			clusters = append(clusters, clusterOf(fmt.Sprintf("c%d", i), ir.DNSName{Name: fmt.Sprintf("n%d.test", i), Port: 80, Resolver: srv.addr}))
		}
		var r recorder
		o := files(t, &r, "")
		o.Lookups = 3
		run(t, o, clusters...)
		if got := len(r.take()); got != 100 {
			t.Errorf("%d of 100 clusters were told", got)
		}
	})
}

func TestHostsAndLocalhost(t *testing.T) {
	scripted(t, func(t *testing.T, srv *server) {
		var r recorder
		o := files(t, &r, "10.1.1.1 db db.internal # comment\n::1 other\n10.1.1.2 DB\nbad line\n")
		s := run(t, o, clusterOf("db", ir.DNSName{Name: "db", Port: 5432}))
		r.expect(t, "db: 10.1.1.1:5432 10.1.1.2:5432")
		if err := os.WriteFile(o.Hosts, []byte("10.1.1.3 db\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		advance(6 * time.Second)
		r.expect(t, "db: 10.1.1.3:5432")
		// Of the local host's addresses the one at which somebody listens is used:
		// the DNS server listens at 127.0.0.1 only.
		port := netip.MustParseAddrPort(srv.addr).Port()
		s.Set([]*ir.Cluster{clusterOf("l", ir.DNSName{Name: "localhost", Port: port})})
		advance(time.Second)
		r.expect(t, fmt.Sprintf("l: 127.0.0.1:%d", port))
		s.Set([]*ir.Cluster{clusterOf("none", ir.DNSName{Name: "api.localhost.", Port: 1})})
		advance(time.Second)
		r.expect(t, "none: 127.0.0.1:1 [::1]:1")
	})
}

func TestSystemResolverAndSearch(t *testing.T) {
	dead := newServer(t)
	dead.fail("", mdns.RcodeServerFailure)
	scripted(t, func(t *testing.T, srv *server) {
		srv.set(t, "db.ns.test. 60 A 10.0.0.1", "db.x. 60 A 10.0.0.2")
		var r recorder
		o := files(t, &r, "", "nameserver "+dead.addr, "nameserver "+srv.addr, "search other.test ns.test")
		s := run(t, o, clusterOf("short", ir.DNSName{Name: "db", Port: 1}))
		r.expect(t, "short: 10.0.0.1:1")
		if dead.count("db.ns.test. A") == 0 {
			t.Error("the first resolver was not asked first")
		}
		s.Set([]*ir.Cluster{clusterOf("long", ir.DNSName{Name: "db.x", Port: 1})})
		synctest.Wait()
		r.expect(t, "long: 10.0.0.2:1")
		if srv.count("db.x.other.test. A") != 0 {
			t.Error("a search domain was tried for a name with enough dots")
		}
		// With one search domain failing nothing certain is known: no denial.
		srv.fail("db.other.test. A", mdns.RcodeServerFailure)
		srv.clear("db.ns.test. A")
		s.Set([]*ir.Cluster{clusterOf("short", ir.DNSName{Name: "db", Port: 1})})
		synctest.Wait()
		if st := s.States()[0]; !strings.Contains(st.Err, "SERVFAIL") {
			t.Errorf("status: %+v", st)
		}
	})
}
