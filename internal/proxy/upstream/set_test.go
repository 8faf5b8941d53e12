package upstream_test

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

func TestSessionsStay(t *testing.T) {
	cfg := cluster("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3")
	set := newSet(t, cfg)
	c := set.Cluster(cfg.Name)
	q := upstream.Query{Sticky: "127.0.0.1:2"}
	for range 20 {
		if e := pick(t, c, q); e.Address() != q.Sticky {
			t.Fatal("session moved to", e.Address())
		}
	}
	update := func(eps ...ir.Endpoint) {
		set.Update(ir.EndpointUpdate{Cluster: cfg.Name, Endpoints: eps})
	}
	update(ir.Endpoint{Address: "127.0.0.1:1", Weight: 1}, ir.Endpoint{Address: "127.0.0.1:2", Weight: 1, Draining: true})
	if e := pick(t, c, q); e.Address() != q.Sticky {
		t.Error("a draining endpoint lost its session")
	}
	for range 20 {
		if e := pick(t, c, upstream.Query{}); e.Address() == q.Sticky {
			t.Error("a draining endpoint got a new session")
		}
	}
	if got := state(c, 1); got != "draining" {
		t.Error(got)
	}
	sticky := pick(t, c, q)
	if e := pick(t, c, upstream.Query{Sticky: q.Sticky, Avoid: []*upstream.Endpoint{sticky}}); e == sticky {
		t.Error("a retry should leave the session's endpoint")
	}
	update(ir.Endpoint{Address: "127.0.0.1:1", Weight: 1})
	if e := pick(t, c, q); e.Address() != "127.0.0.1:1" {
		t.Error("session of an endpoint that left")
	}
}

func TestAvoidReachesTheNextPriority(t *testing.T) {
	cfg := cluster("127.0.0.1:1", "127.0.0.1:2")
	cfg.Endpoints[1].Priority = 1
	for _, alg := range []ir.BalanceAlgorithm{ir.RoundRobin, ir.LeastRequest, ir.PeakEWMA, ir.Random, ir.RingHash, ir.Maglev} {
		cfg.Balance.Algorithm = alg
		c := newSet(t, cfg).Cluster(cfg.Name)
		first := pick(t, c, upstream.Query{})
		second := pick(t, c, upstream.Query{Avoid: []*upstream.Endpoint{first}})
		third := pick(t, c, upstream.Query{Avoid: []*upstream.Endpoint{first, second}})
		if first.Address() != "127.0.0.1:1" || second.Address() != "127.0.0.1:2" || third == nil {
			t.Error(alg, first.Address(), second.Address())
		}
		n := 0
		for _, e := range c.Snapshot().Endpoints {
			n += e.Active
		}
		if n != 3 {
			t.Error(alg, "active", n)
		}
	}
}

func TestDiscoveredEndpointsOutliveApply(t *testing.T) {
	cfg := cluster()
	cfg.Discovery = &ir.Discovery{DNS: []ir.DNSName{{Name: "catalog.example"}}}
	set := newSet(t, cfg)
	set.Update(ir.EndpointUpdate{Cluster: cfg.Name, Endpoints: []ir.Endpoint{{Address: "127.0.0.1:1", Weight: 1, Hostname: "catalog.example"}}})
	again := *cfg
	changed := *cfg
	changed.Hash = 2
	for _, next := range []*ir.Cluster{&again, &changed} {
		if err := set.Apply([]*ir.Cluster{next}); err != nil {
			t.Fatal(err)
		}
		c := set.Cluster(cfg.Name)
		if e, err := c.Pick(&upstream.Query{}); err != nil || e.Hostname() != "catalog.example" {
			t.Error("discovered endpoint lost:", err)
		}
	}
	// Of another name nothing is known yet.
	moved := changed
	moved.Hash, moved.Discovery = 3, &ir.Discovery{DNS: []ir.DNSName{{Name: "other.example"}}}
	if err := set.Apply([]*ir.Cluster{&moved}); err != nil {
		t.Fatal(err)
	}
	if e, err := set.Cluster(cfg.Name).Pick(&upstream.Query{}); err != nil || e.Hostname() != "catalog.example" {
		t.Error("nothing serves until the other name is known:", err)
	}
	set.Update(ir.EndpointUpdate{Cluster: cfg.Name})
	if _, err := set.Cluster(cfg.Name).Pick(&upstream.Query{}); !errors.Is(err, upstream.ErrNoHealthyEndpoint) {
		t.Error("endpoints of another name were kept:", err)
	}
	// What was sent in clear text is not for others, nor the other way round.
	set.Update(ir.EndpointUpdate{Cluster: cfg.Name, Endpoints: []ir.Endpoint{{Address: "127.0.0.1:1", Weight: 1}}})
	secure := moved
	secure.Hash, secure.Discovery, secure.TLS = 4, cfg.Discovery, &ir.UpstreamTLS{}
	if err := set.Apply([]*ir.Cluster{&secure}); err != nil {
		t.Fatal(err)
	}
	if _, err := set.Cluster(cfg.Name).Pick(&upstream.Query{}); !errors.Is(err, upstream.ErrNoHealthyEndpoint) {
		t.Error("endpoints of another transport were kept:", err)
	}
}

// What was found before a cluster serves is there when it does.
func TestEndpointsFoundBeforehand(t *testing.T) {
	cfg := cluster()
	cfg.Discovery = &ir.Discovery{DNS: []ir.DNSName{{Name: "catalog.example"}}}
	set := newSet(t)
	for i, hash := range []uint64{1, 1, 2} { // new, kept, rebuilt
		next := *cfg
		next.Hash = hash
		address := fmt.Sprintf("127.0.0.1:%d", i+1)
		found := ir.EndpointUpdate{Cluster: cfg.Name, Endpoints: []ir.Endpoint{{Address: address, Weight: 1}}}
		if err := set.Apply([]*ir.Cluster{&next}, found); err != nil {
			t.Fatal(err)
		}
		if e := pick(t, set.Cluster(cfg.Name), upstream.Query{}); e.Address() != address {
			t.Errorf("hash %d: %s, want %s", hash, e.Address(), address)
		}
		again := next
		if err := set.Apply([]*ir.Cluster{&again}); err != nil {
			t.Fatal(err)
		}
		if e := pick(t, set.Cluster(cfg.Name), upstream.Query{}); e.Address() != address {
			t.Errorf("hash %d: forgotten by the next configuration", hash)
		}
	}
}

func TestRebuiltClusterRemembers(t *testing.T) {
	cfg := cluster("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3")
	cfg.Outlier = &ir.Outlier{Consecutive5xx: 1, Interval: time.Minute, BaseEjection: time.Hour, MaxEjection: time.Hour, MaxPercent: 50}
	set := newSet(t, cfg)
	c := set.Cluster(cfg.Name)
	e := pick(t, c, upstream.Query{Sticky: "127.0.0.1:1"})
	c.Done(e, upstream.Outcome{Status: 500, Latency: 70 * time.Millisecond})
	next := *cfg
	next.Hash, next.Balance.Algorithm = 2, ir.PeakEWMA
	if err := set.Apply([]*ir.Cluster{&next}); err != nil {
		t.Fatal(err)
	}
	snap := set.Cluster(cfg.Name).Snapshot()
	if got := snap.Endpoints[0]; got.State != "ejected" || got.Latency < 60*time.Millisecond || got.EjectedFor < 59*time.Minute {
		t.Errorf("%+v", got)
	}
	plain := next
	plain.Hash, plain.Outlier = 3, nil
	if err := set.Apply([]*ir.Cluster{&plain}); err != nil {
		t.Fatal(err)
	}
	if got := state(set.Cluster(cfg.Name), 0); got != "healthy" {
		t.Error("without outlier detection nobody would end the ejection:", got)
	}
}

func TestEndpointListsOfAllKinds(t *testing.T) {
	cfg := cluster()
	set := newSet(t, cfg)
	c := set.Cluster(cfg.Name)
	for _, list := range []string{"abc", "ab", "cab", "", "aabbaa", "zzz", "abcdefgh", "hgfedcba", "hgxfedcba", "a", "bacada"} {
		var eps []ir.Endpoint
		want := map[string]uint32{}
		var order []string
		kept := map[string]*upstream.Endpoint{}
		for _, e := range endpointsOf(c) {
			kept[e.Address()] = e
		}
		for i, r := range list {
			a := fmt.Sprintf("127.0.0.1:%d", r)
			eps = append(eps, ir.Endpoint{Address: a, Weight: uint32(i + 1)})
			if want[a] == 0 {
				want[a] = uint32(i + 1)
				order = append(order, a)
			}
		}
		set.Update(ir.EndpointUpdate{Cluster: cfg.Name, Endpoints: eps})
		snap := c.Snapshot()
		if len(snap.Endpoints) != len(order) {
			t.Fatalf("%q: %d endpoints", list, len(snap.Endpoints))
		}
		for i, e := range snap.Endpoints {
			if e.Address != order[i] || e.Weight != want[e.Address] || e.State != "healthy" {
				t.Errorf("%q: %d is %+v", list, i, e)
			}
		}
		for _, e := range endpointsOf(c) {
			if old := kept[e.Address()]; old != nil && old != e {
				t.Errorf("%q: %s was made anew", list, e.Address())
			}
		}
	}
}

// endpointsOf finds the endpoints by their sessions.
func endpointsOf(c *upstream.Cluster) (list []*upstream.Endpoint) {
	for _, s := range c.Snapshot().Endpoints {
		e, err := c.Pick(&upstream.Query{Sticky: s.Address})
		if err == nil && e.Address() == s.Address {
			list = append(list, e)
			c.Done(e, upstream.Outcome{Kind: upstream.Cancelled})
		}
	}
	return list
}

func TestHashOf(t *testing.T) {
	request := func(query string, fields ...string) *httpmsg.Request {
		r := &httpmsg.Request{Query: []byte(query), Host: []byte("shop.example")}
		for i := 0; i < len(fields); i += 2 {
			r.Header.Add([]byte(fields[i]), []byte(fields[i+1]))
		}
		return r
	}
	ip := netip.MustParseAddr("192.0.2.1")
	hash := func(r *httpmsg.Request, client netip.Addr, keys ...ir.HashKey) (uint64, bool) {
		cfg := cluster("127.0.0.1:1")
		cfg.Balance = ir.Balance{Algorithm: ir.Maglev, HashOn: keys}
		return newSet(t, cfg).Cluster(cfg.Name).HashOf(r, client)
	}
	header, cookie, query, source := ir.HashKey{Header: "X-User"}, ir.HashKey{Cookie: "sid"}, ir.HashKey{Query: "user"}, ir.HashKey{SourceIP: true}
	value, _ := hash(request("", "x-user", "7"), ip, header)
	for name, c := range map[string]struct {
		r    *httpmsg.Request
		keys []ir.HashKey
		same bool // as value
		ok   bool
	}{
		"cookie":            {request("", "Cookie", "a=1; sid=7; b=2"), []ir.HashKey{cookie}, true, true},
		"second cookie":     {request("", "Cookie", "a=1", "cookie", "sid=7"), []ir.HashKey{cookie}, true, true},
		"cookie's suffix":   {request("", "Cookie", "xsid=7"), []ir.HashKey{cookie}, false, false},
		"query":             {request("x=1&user=7&y"), []ir.HashKey{query}, true, true},
		"no such parameter": {request("superuser=7&user"), []ir.HashKey{query}, false, false},
		"fallback":          {request("user=7"), []ir.HashKey{header, cookie, query}, true, true},
		"first wins":        {request("user=8", "X-User", "7"), []ir.HashKey{header, query}, true, true},
		"source after all":  {request(""), []ir.HashKey{header, source}, false, true},
		"nothing":           {request(""), []ir.HashKey{header}, false, false},
		"default":           {request(""), nil, false, true},
		"host":              {request(""), []ir.HashKey{{Header: "Host"}}, false, true},
	} {
		got, ok := hash(c.r, ip, c.keys...)
		if ok != c.ok || (got == value) != c.same {
			t.Errorf("%s: %d %v", name, got, ok)
		}
	}
	a, _ := hash(request(""), ip, source)
	b, _ := hash(request(""), netip.MustParseAddr("::ffff:192.0.2.1"), source)
	if a != b {
		t.Error("an IPv4 client hashes differently in IPv6 form")
	}
	if _, ok := newSet(t, cluster("127.0.0.1:1")).Cluster("Backend/default/test").HashOf(request(""), ip); ok {
		t.Error("round robin needs no hash")
	}
}

// Everything at once: exchanges, reloads, endpoint changes and failures. What
// was counted in must be counted out.
func TestChurn(t *testing.T) {
	servers := []*echo{newEcho(t), newEcho(t), newEcho(t)}
	algorithms := []ir.BalanceAlgorithm{ir.RoundRobin, ir.LeastRequest, ir.PeakEWMA, ir.RingHash, ir.Maglev}
	make1 := func(hash int) *ir.Cluster {
		cfg := limited(6, 0, servers[0].address, servers[1].address, servers[2].address)
		cfg.Hash = uint64(hash)
		cfg.Balance = ir.Balance{Algorithm: algorithms[hash%len(algorithms)], BoundedLoad: 150, RingSize: 1021, SlowStart: 50 * time.Millisecond, ZoneAware: true, PanicThreshold: 50}
		cfg.Outlier = &ir.Outlier{ConsecutiveGateway: 2, Interval: 5 * time.Millisecond, BaseEjection: 3 * time.Millisecond, MaxPercent: 60}
		cfg.Health = &ir.Health{Interval: 3 * time.Millisecond, Timeout: time.Second, HealthyThreshold: 1, UnhealthyThreshold: 1}
		cfg.Pool.IdleTimeout = 30 * time.Millisecond
		return cfg
	}
	set := newSet(t, make1(0))
	name := make1(0).Name
	var seen sync.Map
	var stop atomic.Bool
	var work sync.WaitGroup
	for g := range 8 {
		work.Go(func() {
			for i := g; !stop.Load(); i++ {
				c := set.Cluster(name)
				seen.Store(c, true)
				e, err := c.Pick(&upstream.Query{Hash: uint64(i * 7919), HasHash: true})
				if err != nil {
					continue
				}
				outcome := upstream.Outcome{Status: 200, Latency: time.Duration(i%5) * time.Millisecond}
				conn, _, err := e.Connect(soon())
				switch {
				case err != nil:
					t.Error(err) // such as a wait for a connection that nobody ended
					outcome.Kind = upstream.ConnectFailure
				case i%11 == 0:
					e.Drop(conn)
					outcome.Kind = upstream.Reset
				default:
					e.Put(conn)
				}
				c.Done(e, outcome)
			}
		})
	}
	for i := 1; i < 120; i++ {
		cfg := make1(i / 6)
		if i%3 == 0 {
			cfg.Endpoints = cfg.Endpoints[i%2:]
		}
		if err := set.Apply([]*ir.Cluster{cfg}); err != nil {
			t.Fatal(err)
		}
		set.Update(ir.EndpointUpdate{Cluster: name, Endpoints: cfg.Endpoints[:1+i%2]})
		set.Cluster(name).Snapshot()
	}
	stop.Store(true)
	work.Wait()
	seen.Range(func(key, _ any) bool {
		c := key.(*upstream.Cluster)
		for _, e := range c.Snapshot().Endpoints {
			if e.Active != 0 {
				t.Error("active", e.Active)
			}
		}
		eventually(t, "connections closed", func() bool { s := c.Snapshot(); return s.Connections == 0 && s.Pending == 0 })
		return true
	})
}
