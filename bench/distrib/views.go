package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
)

// views has for each service a route and a cluster of endpoints, and for each proxy
// those of the services that it uses.
type views struct {
	bare uint64 // bytes of heap before there is a proxy

	mu       sync.Mutex
	number   uint64
	config   *ir.Config
	encoder  distrib.Encoder
	resource map[string][]*distrib.Resource // by service
	all      *distrib.View                  // of who uses all
	changed  chan struct{}
	changes  []distrib.Change
	services int
}

func service(i int) string { return fmt.Sprintf("shop/service-%04d", i) }

func newViews(s size) (*views, error) {
	v := &views{config: &ir.Config{}, changed: make(chan struct{}), services: s.services}
	for i := range s.services {
		name := service(i)
		c := &ir.Cluster{
			Name: name, Ref: ir.Ref{Kind: "Service", Namespace: "shop", Name: name}, Protocol: ir.HTTP, ConnectTimeout: 5 * time.Second,
			Identity: "spiffe://example.org/ns/shop/sa/caller", Balance: ir.Balance{Algorithm: ir.PeakEWMA, Decay: 10 * time.Second, PanicThreshold: 50},
			Pool: ir.Pool{MaxIdle: 100, IdleTimeout: time.Minute}, RetryBudget: &ir.RetryBudget{Percent: 20, MinPerSecond: 10, Window: 10 * time.Second}, Hash: uint64(i),
		}
		for j := range s.endpoints {
			c.Endpoints = append(c.Endpoints, ir.Endpoint{
				Address: fmt.Sprintf("10.%d.%d.%d:15008", i/250, i%250, j), Weight: 1, Zone: fmt.Sprintf("zone-%d", j%3),
				Identity: "spiffe://example.org/ns/shop/sa/service", ServerName: fmt.Sprintf("80.service-%04d.shop.mesh", i),
			})
		}
		v.config.Clusters = append(v.config.Clusters, c)
		v.config.Routes = append(v.config.Routes, &ir.Route{
			Name: name, Ref: ir.Ref{Kind: "HTTPRoute", Namespace: "shop", Name: name},
			Rules: []*ir.Rule{{
				ID: name + "/rules/0", Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.Prefix, Value: "/"}}},
				Backends: []ir.BackendRef{{Cluster: name, Weight: 1, Ref: c.Ref}},
				Policy:   ir.RoutePolicy{Timeouts: ir.Timeouts{Request: 15 * time.Second}, Retry: &ir.Retry{Attempts: 2, ConnectFailure: true, Statuses: []int{503}}},
			}},
		})
	}
	if err := v.encode(); err != nil {
		return nil, err
	}
	runtime.GC()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	v.bare = mem.HeapAlloc
	return v, nil
}

// encode makes resources of the configuration; what did not change is as before.
func (v *views) encode() error {
	list, err := v.encoder.Split(v.config)
	if err != nil {
		return err
	}
	v.number++
	v.resource = make(map[string][]*distrib.Resource, v.services)
	for _, r := range list {
		v.resource[r.Name] = append(v.resource[r.Name], r)
	}
	v.all = &distrib.View{Resources: list, Hash: distrib.Sum(list)}
	return nil
}

func (v *views) View(p *distrib.Proxy) (distrib.View, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(p.Services) == v.services {
		return distrib.View{Number: v.number, Epoch: "bench", Hash: v.all.Hash, Resources: v.all.Resources, Services: p.Services}, nil
	}
	out := distrib.View{Number: v.number, Epoch: "bench", Services: p.Services, Resources: make([]*distrib.Resource, 0, 3*len(p.Services))}
	for _, name := range p.Services {
		out.Resources = append(out.Resources, v.resource[name]...)
	}
	slices.SortFunc(out.Resources, distrib.Compare)
	return out, nil
}

func (v *views) Changed() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.changed
}

func (v *views) Since(moment uint64) distrib.Change {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := distrib.Change{Moment: uint64(len(v.changes))}
	for _, c := range v.changes[moment:] {
		out.Services = append(out.Services, c.Services...)
		out.Endpoints = append(out.Endpoints, c.Endpoints...)
	}
	return out
}

// change changes an endpoint or the route of a service, and leaves the moment in it.
func (v *views) change(i int, route bool) (moment int64, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	moment = time.Now().UnixNano()
	var c distrib.Change
	if route {
		v.config.Routes = slices.Clone(v.config.Routes)
		r := *v.config.Routes[i]
		rule := *r.Rules[0]
		rule.Name = stamp(moment)
		r.Rules = []*ir.Rule{&rule}
		v.config.Routes[i] = &r
		if err := v.encode(); err != nil {
			return 0, err
		}
		c.Services = []string{service(i)}
	} else {
		was := v.config.Clusters[i]
		now := *was
		now.Endpoints = slices.Clone(was.Endpoints)
		now.Endpoints[len(now.Endpoints)/2].Hostname = stamp(moment)
		v.config.Clusters = slices.Clone(v.config.Clusters)
		v.config.Clusters[i] = &now
		r, err := distrib.EncodeEndpoints(now.Name, now.Endpoints)
		if err != nil {
			return 0, err
		}
		replace := func(list []*distrib.Resource) {
			for k, x := range list {
				if x.Key() == r.Key() {
					list[k] = r
				}
			}
		}
		// Lists are shared: those of who uses all are another after each change.
		v.all = &distrib.View{Resources: slices.Clone(v.all.Resources), Hash: v.all.Hash}
		replace(v.all.Resources)
		v.resource[now.Name] = slices.Clone(v.resource[now.Name])
		replace(v.resource[now.Name])
		c.Endpoints = []*distrib.Resource{r}
	}
	v.changes = append(v.changes, c)
	close(v.changed)
	v.changed = make(chan struct{})
	return moment, nil
}

// measure makes changes and prints how they reached the proxies.
func (v *views) measure(proxies *child, s size, what string, service int, route bool) error {
	need := s.users(service)
	in, out := json.NewEncoder(proxies.in), json.NewDecoder(proxies.out)
	var r report
	before := used()
	for i := range s.changes {
		if err := in.Encode(order{Expect: need, First: i == 0}); err != nil {
			return err
		}
		if err := out.Decode(&r); err != nil {
			return err
		}
		if _, err := v.change(service, route); err != nil {
			return err
		}
		if err := out.Decode(&r); err != nil {
			return err
		}
	}
	fmt.Printf("| %s | %d | %s | %s | %s | %s |\n", what, need, round(r.P50), round(r.P99), round(r.Max), round((used()-before)/time.Duration(s.changes)))
	if r.Count != need*s.changes {
		return fmt.Errorf("%d of %d changes have come", r.Count, need*s.changes)
	}
	return nil
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// used is the CPU that this process has taken.
func used() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
