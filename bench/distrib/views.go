package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/registry"
	"github.com/gridway/gridway/internal/mesh/view"
)

const (
	trustDomain = "example.org"
	namespace   = "shop"
)

// views are those of a control plane, with the compiler and the registry before them:
// for each service an object, a route whose parent it is, and workloads.
type views struct {
	*view.Views
	bare     uint64 // bytes of heap before there is a proxy
	registry *registry.Registry

	mu        sync.Mutex // guards what follows
	set       *store.Set
	out       *compile.Output
	workloads []*distrib.Proxy // by service, the one that changes
}

func name(i int) string { return fmt.Sprintf("service-%04d", i) }

func service(i int) string { return namespace + "/" + name(i) }

const objects = `apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: shop}
spec: {ports: [{port: 80, appProtocol: http}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: NAME, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: NAME}]
  rules:
  - {name: all, timeouts: {request: 15s}, backendRefs: [{name: NAME, port: 80}]}
---
`

func newViews(s size, folder string) (*views, error) {
	td, err := identity.ParseTrustDomain(trustDomain)
	if err != nil {
		return nil, err
	}
	v := &views{registry: registry.New(registry.Options{TrustDomain: td})}
	v.Views = view.New(view.Options{TrustDomain: td, Registry: v.registry, Epoch: "bench"})
	var text strings.Builder
	for i := range s.services {
		text.WriteString(strings.ReplaceAll(objects, "NAME", name(i)))
		id := identity.Workload(td, namespace, name(i)).String()
		for j := range s.endpoints {
			p := &distrib.Proxy{Identity: id, Name: fmt.Sprintf("%s-%d", name(i), j), Role: distrib.RoleSidecar, Workloads: []distrib.Workload{{
				Namespace: namespace, Service: name(i), Address: fmt.Sprintf("10.%d.%d.%d", i/250, i%250, j), Zone: fmt.Sprintf("zone-%d", j%3),
				Ports: []distrib.Port{{Number: 80, Protocol: "http"}}, Healthy: true, MeshPort: 15008,
			}}}
			v.registry.Joined(p)
			if j == s.endpoints/2 {
				v.workloads = append(v.workloads, p)
			}
		}
	}
	path := filepath.Join(folder, "mesh.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		return nil, err
	}
	set, problems, err := file.Load([]string{path}, file.Options{})
	if err != nil || len(problems) > 0 {
		return nil, fmt.Errorf("%v %w", problems, err)
	}
	if err := v.compile(set); err != nil {
		return nil, err
	}
	runtime.GC()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	v.bare = mem.HeapAlloc
	return v, nil
}

// compile puts objects before proxies. v.mu is held, or nobody else has v yet.
func (v *views) compile(set *store.Set) error {
	v.set = set
	v.out = compile.Compile(compile.Input{Set: set, Mesh: true, Now: time.Now()}, v.out)
	for _, p := range v.out.Problems {
		if p.Severity == store.Error {
			return fmt.Errorf("%s", p)
		}
	}
	return v.Apply(v.out.Config, v.out.Mesh)
}

// run does the work of a registry and of views until ctx ends.
func (v *views) run(ctx context.Context) {
	var work sync.WaitGroup
	work.Go(func() { _ = v.registry.Run(ctx) })
	work.Go(func() { _ = v.Run(ctx) })
	work.Wait()
}

// change changes a workload or the route of a service, and leaves the moment in it: in
// the workload's zone, or in the name of the route's rule.
func (v *views) change(i int, route bool) (moment int64, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	moment = time.Now().UnixNano()
	if !route {
		p := *v.workloads[i]
		w := p.Workloads[0]
		w.Zone = stamp(moment)
		p.Workloads = []distrib.Workload{w}
		v.workloads[i] = &p
		v.registry.Joined(&p)
		return moment, nil
	}
	key := store.Key{Group: gatewayv1.GroupName, Kind: "HTTPRoute", Namespace: namespace, Name: name(i)}
	o := *v.set.Get(key)
	r := o.Value.(*gatewayv1.HTTPRoute).DeepCopy()
	rule := gatewayv1.SectionName(stamp(moment))
	r.Spec.Rules[0].Name = &rule
	o.Value = r
	return moment, v.compile(v.set.With([]*store.Object{&o}, nil))
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
