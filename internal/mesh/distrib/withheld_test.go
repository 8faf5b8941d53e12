package distrib_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// grants are what a node may have besides itself.
type grants struct {
	mu  sync.Mutex
	of  map[string]bool // guarded by mu
	err error           // guarded by mu
}

func (g *grants) set(err error, services ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err, g.of = err, map[string]bool{}
	for _, s := range services {
		g.of["spiffe://test/ns/shop/sa/"+s] = true
	}
}

func (g *grants) granted(_ *distrib.Proxy, id string) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.of[id], g.err
}

func workloads(services ...string) (out []*meshpb.Workload) {
	for _, s := range services {
		out = append(out, &meshpb.Workload{Namespace: "shop", Service: s, Address: "10.0.0.1", Healthy: true})
	}
	return out
}

// hearWithheld reads until the proxy is told what it may not have.
func hearWithheld(t *testing.T, s stream) string {
	t.Helper()
	for {
		m, err := s.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if w := m.GetWithheld(); w != nil {
			out := make([]string, 0, len(w.GetServices()))
			for _, x := range w.GetServices() {
				if !strings.Contains(x.GetReason(), "/sa/"+x.GetService().GetName()) {
					t.Errorf("%v: %s", x.GetService(), x.GetReason())
				}
				out = append(out, x.GetService().GetNamespace()+"/"+x.GetService().GetName())
			}
			return strings.Join(out, " ")
		}
	}
}

// A node proxy whose grants become less goes on with the workloads that are left, is told
// of the others, and gets them back with the grant.
func TestWithheld(t *testing.T) {
	r, g := &roster{events: make(chan string, 100)}, &grants{}
	g.set(nil, "cart", "bank")
	c := newControl(t, newViews(), func(cfg *distrib.ServerConfig) { cfg.Workloads, cfg.Granted = r, g.granted })
	s := speak(t, c)
	say(t, s, hello(&meshpb.Hello{Role: meshpb.Role_ROLE_NODE, Workloads: workloads("cart", "bank"), Waiting: []*meshpb.ServiceName{{Namespace: "shop", Name: "late"}}}))
	r.expect(t, "joined cart=true bank=true")
	hears := func(want string) {
		t.Helper()
		if got := hearWithheld(t, s); got != want {
			t.Errorf("withheld: %q, want %q", got, want)
		}
	}
	hears("shop/late")
	g.set(nil, "cart")
	c.Regrant()
	r.expect(t, "joined cart=true")
	hears("shop/bank shop/late")
	c.Regrant() // nothing is new
	p := c.Proxies()[0]
	if len(p.Workloads) != 1 || len(p.Withheld) != 2 || p.Withheld[0].String() != "shop/bank" || !strings.Contains(p.Withheld[0].Reason, "does not grant it") {
		t.Errorf("%+v", p)
	}
	// What it says of a workload meanwhile holds when that is granted again.
	say(t, s, &meshpb.FromProxy{Message: &meshpb.FromProxy_Health{Health: &meshpb.Health{Workloads: []*meshpb.WorkloadHealth{{Namespace: "shop", Service: "bank"}, {Namespace: "shop", Service: "cart"}}}}})
	r.expect(t, "joined cart=false")
	g.set(errors.New("the store is away"))
	c.Regrant() // what is not known takes nothing away
	g.set(nil, "cart", "bank", "late")
	c.Regrant()
	r.expect(t, "joined cart=false bank=false")
	hears("")
	// A further Hello claims something that it may not have; the stream goes on.
	say(t, s, hello(&meshpb.Hello{Role: meshpb.Role_ROLE_NODE, Workloads: workloads("cart", "safe")}))
	r.expect(t, "joined cart=true")
	hears("shop/safe")
}

// Who has one identity and claims another's is refused, and so is a node while nobody can
// tell what it may have.
func TestClaimsThatEndTheStream(t *testing.T) {
	for name, x := range map[string]struct {
		role meshpb.Role
		err  error
		add  func(*meshpb.Hello)
		code codes.Code
		want string
	}{
		"a sidecar": {meshpb.Role_ROLE_SIDECAR, nil, nil, codes.PermissionDenied, "may not speak for spiffe://test/ns/shop/sa/bank"},
		"not known": {meshpb.Role_ROLE_NODE, errors.New("the store is away"), nil, codes.PermissionDenied, "the store is away"},
		"waits":     {meshpb.Role_ROLE_NODE, nil, func(h *meshpb.Hello) { h.Waiting = []*meshpb.ServiceName{{Namespace: "shop", Name: "A"}} }, codes.InvalidArgument, "shop/A, which is no service"},
		"waits for all": {meshpb.Role_ROLE_NODE, nil, func(h *meshpb.Hello) {
			for i := range 1001 {
				h.Waiting = append(h.Waiting, &meshpb.ServiceName{Namespace: "shop", Name: fmt.Sprint("s", i)})
			}
		}, codes.InvalidArgument, "there can be 1000"},
	} {
		t.Run(name, func(t *testing.T) {
			g := &grants{}
			g.set(x.err)
			c := newControl(t, newViews(), func(cfg *distrib.ServerConfig) { cfg.Granted = g.granted })
			s := speak(t, c)
			h := &meshpb.Hello{Role: x.role, Workloads: workloads("bank")}
			if x.add != nil {
				x.add(h)
			}
			say(t, s, hello(h))
			var err error
			for err == nil {
				_, err = s.Recv()
			}
			if status.Code(err) != x.code || !strings.Contains(err.Error(), x.want) {
				t.Errorf("%v", err)
			}
		})
	}
}
