package registry_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/registry"
)

var td, _ = identity.ParseTrustDomain("example.org")

func proxy(name, service string, ports ...distrib.Port) *distrib.Proxy {
	return &distrib.Proxy{
		Name: name, Role: distrib.RoleSidecar, Identity: identity.Workload(td, "shop", service).String(),
		Workloads: []distrib.Workload{{Namespace: "shop", Service: service, Address: "10.0.0.1", Ports: ports, Healthy: true}},
	}
}

// run starts the goroutine of a registry for the length of a test.
func run(t *testing.T, o registry.Options) *registry.Registry {
	o.TrustDomain = td
	r := registry.New(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return r
}

// TestGrace: a proxy that moves is not missed, one that is gone is forgotten, and one
// that says good-bye at once.
func TestGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, registry.Options{})
		count := func() int { return len(r.Instances("shop", "reviews")) }
		p := proxy("a", "reviews")
		r.Joined(p)
		r.Left(p, false)
		time.Sleep(9 * time.Second)
		r.Joined(p)
		changed := r.Changed()
		time.Sleep(time.Minute)
		if count() != 1 {
			t.Error("a proxy that came back within the grace is missing")
		}
		select {
		case <-changed:
			t.Error("something changed though nothing did")
		default:
		}
		r.Left(p, false)
		time.Sleep(11 * time.Second)
		if count() != 0 {
			t.Error("a proxy that is gone is there")
		}
		select {
		case <-changed:
		default:
			t.Error("nobody was told")
		}
		r.Joined(p)
		r.Left(p, true)
		if count() != 0 {
			t.Error("a proxy that said good-bye is there")
		}
	})
}

// TestServices: what registers makes a Service, which stays for a while.
func TestServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, registry.Options{})
		ports := func() string {
			var out []string
			list, _ := r.Services()
			for _, o := range list {
				for _, p := range o.Value.(*corev1.Service).Spec.Ports {
					protocol := ""
					if p.AppProtocol != nil {
						protocol = *p.AppProtocol
					}
					out = append(out, fmt.Sprintf("%s %s:%d/%s", o.Key, p.Name, p.Port, protocol))
				}
			}
			return strings.Join(out, ", ")
		}
		a := proxy("a", "reviews", distrib.Port{Name: "http", Number: 80, Protocol: "http"})
		r.Joined(a)
		time.Sleep(time.Second)
		b := proxy("b", "reviews", distrib.Port{Name: "http", Number: 81}, distrib.Port{Number: 80, Protocol: "tcp"})
		r.Joined(b)
		if got := ports(); got != "Service/shop/reviews http:80/http" {
			t.Error(got) // both call it http
		}
		before, version := r.Services()
		b.Workloads[0].Healthy = false
		r.Joined(b)
		if after, now := r.Services(); now != version || after[0] != before[0] {
			t.Error("health of a workload has made another Service")
		}
		r.Left(a, true)
		r.Left(b, true)
		time.Sleep(59 * time.Minute)
		if got := ports(); got == "" {
			t.Error("the Service is gone with its last workload")
		}
		time.Sleep(2 * time.Minute)
		if got := ports(); got != "" {
			t.Error(got)
		}
	})
}

// TestPortsOfServices: workloads that have one port alone mean the same one, and so do
// those that call it the same; others are more ports of the Service.
func TestPortsOfServices(t *testing.T) {
	for want, ports := range map[string][][]distrib.Port{
		"80":             {{{Number: 80}}, {{Number: 81}}},
		"80 81":          {{{Number: 80}}, {{Number: 80}, {Number: 81}}},
		"80 81 90":       {{{Number: 80}, {Number: 90}}, {{Number: 81}}},
		"web:80":         {{{Name: "web", Number: 80}}, {{Name: "web", Number: 81}}},
		"web:80 api:81":  {{{Name: "web", Number: 80}}, {{Name: "api", Number: 81}}},
		"80 82 admin:90": {{{Number: 80}}, {{Number: 81}}, {{Number: 82}, {Name: "admin", Number: 90}}},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := run(t, registry.Options{})
			for i, list := range ports {
				r.Joined(proxy(strconv.Itoa(i), "reviews", list...))
				time.Sleep(time.Second)
			}
			var got []string
			list, _ := r.Services()
			for _, p := range list[0].Value.(*corev1.Service).Spec.Ports {
				text := strconv.Itoa(int(p.Port))
				if p.Name != "" {
					text = p.Name + ":" + text
				}
				got = append(got, text)
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%v, want %s", got, want)
			}
		})
	}
}

func TestSince(t *testing.T) {
	r := registry.New(registry.Options{TrustDomain: td})
	moment, services, all := r.Since(0)
	if moment != 0 || len(services) != 0 || all {
		t.Error(moment, services, all)
	}
	r.Joined(proxy("a", "reviews"))
	r.Joined(proxy("b", "ratings"))
	r.Joined(proxy("c", "reviews"))
	moment, services, all = r.Since(0)
	if !slices.Equal(services, []string{"shop/reviews", "shop/ratings"}) || all {
		t.Error(services, all)
	}
	if _, services, all = r.Since(moment); len(services) != 0 || all {
		t.Error(services, all)
	}
	for i := range 10000 {
		r.Joined(proxy("a", fmt.Sprint("s", i)))
	}
	if _, _, all = r.Since(moment); !all {
		t.Error("it remembers more than it may")
	}
	if _, _, all = r.Since(1 << 60); !all {
		t.Error("it knows the future")
	}
}

func TestCheck(t *testing.T) {
	r := registry.New(registry.Options{TrustDomain: td, Grants: func(node, w identity.ID) bool {
		return node == identity.Node(td, "host") && w == identity.Workload(td, "shop", "reviews")
	}})
	node := proxy("n", "reviews")
	node.Role, node.Identity = distrib.RoleNode, identity.Node(td, "host").String()
	if err := r.Check(node); err != nil {
		t.Error(err)
	}
	other := proxy("n", "ratings")
	other.Role, other.Identity = node.Role, node.Identity
	if err := r.Check(other); err == nil {
		t.Error("a node has a workload that it was not granted")
	}
	with := func(change func(w *distrib.Workload)) *distrib.Proxy {
		p := proxy("x", "reviews")
		change(&p.Workloads[0])
		return p
	}
	for want, p := range map[string]*distrib.Proxy{
		"its certificate would have to say spiffe://example.org/ns/shop/sa/other": with(func(w *distrib.Workload) { w.Service = "other" }),
		`"Shop"`:                   with(func(w *distrib.Workload) { w.Namespace = "Shop" }),
		"not an IP address":        with(func(w *distrib.Workload) { w.Address = "host.example.org" }),
		"reach it by":              with(func(w *distrib.Workload) { w.Address = "0.0.0.0" }),
		"port 80 is there twice":   with(func(w *distrib.Workload) { w.Ports = []distrib.Port{{Number: 80}, {Number: 80}} }),
		"a port needs a number":    with(func(w *distrib.Workload) { w.Ports = []distrib.Port{{Name: "x"}} }),
		"65 ports":                 with(func(w *distrib.Workload) { w.Ports = make([]distrib.Port, 65) }),
		"more than 253 bytes":      with(func(w *distrib.Workload) { w.Zone = strings.Repeat("z", 254) }),
		"has 2000 workloads, and ": {Name: "many", Workloads: make([]distrib.Workload, 2000)},
	} {
		if err := r.Check(p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if r.Joined(p); len(r.Instances("shop", "reviews")) != 0 {
			t.Errorf("%s: it is registered", want)
		}
		if r.Refused()[p.Name] == "" {
			t.Errorf("%s: it is not among the refused", want)
		}
		if r.Left(p, true); len(r.Refused()) != 0 {
			t.Errorf("%s: it is among the refused after it left", want)
		}
	}
}
