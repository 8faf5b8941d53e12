package member

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/credentials/insecure"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/identity/identitytest"
)

type noPlane struct{}

func (noPlane) Apply(*ir.Config) error       { return nil }
func (noPlane) Endpoints(ir.EndpointUpdate)  {}
func (noPlane) Trust(bundles, denied []byte) {}

// What is withheld loses its identity, and is waited for; the other workloads have theirs.
func TestWithhold(t *testing.T) {
	n := testNode(t, map[string]string{"cart.yaml": cart, "late.yaml": strings.ReplaceAll(cart, "cart", "late")}, "cart", "late")
	var err error
	if n.m.client, err = distrib.NewClient(distrib.ClientConfig{Proxy: n.proxy(), Targets: []string{"127.0.0.1:1"}, Applier: noPlane{}, Credentials: insecure.NewCredentials()}); err != nil {
		t.Fatal(err)
	}
	late := n.loads["shop/late"]
	if p := n.proxy(); len(p.Workloads) != 2 || len(p.Waiting) != 0 || !late.in {
		t.Fatalf("%+v", p)
	}
	withheld := []distrib.Withheld{{ServiceName: distrib.ServiceName{Namespace: "shop", Name: "late"}, Reason: "not granted"}}
	n.withhold(withheld)
	n.withhold(withheld) // nothing new
	waits := func() {
		t.Helper()
		p := n.proxy()
		if len(p.Workloads) != 1 || p.Workloads[0].Service != "cart" || !slices.Equal(p.Waiting, []distrib.ServiceName{{Namespace: "shop", Name: "late"}}) {
			t.Errorf("%+v", p)
		}
		if n.m.keys.SVID(late.id) != nil || n.m.keys.SVID(n.loads["shop/cart"].id) == nil || n.m.keys.Own().IsZero() {
			t.Errorf("%v", n.m.keys.SVIDs())
		}
		if got := (Running{n.m}).Withheld(); len(got) != 1 || got["shop/late"] == "" {
			t.Errorf("%v", got)
		}
	}
	waits()
	// An SVID that was under way comes too late, and the workload is not said to be well.
	a := identitytest.New(t, "prod.example.com")
	n.m.keys.Apply(identity.Change{Put: []*identity.SVID{a.Workload("shop", "late")}})
	if late.enter() {
		t.Error("it is in the mesh, though withheld")
	}
	late.well(true)
	if late.healthy {
		t.Error("it is healthy, though withheld")
	}
	waits()
	n.withhold(nil)
	select {
	case <-late.renew:
	default:
		t.Error("its identity is not asked for when it is granted again")
	}
	if late.enter() || len(Running{n.m}.Withheld()) != 0 {
		t.Error("it is in without an identity")
	}
	n.m.keys.Apply(identity.Change{Put: []*identity.SVID{a.Workload("shop", "late")}})
	if !late.enter() || len(n.proxy().Workloads) != 2 {
		t.Errorf("%+v", n.proxy())
	}
}

// A refusal of an identity is told, other failures are not: they may pass.
func TestRefusedIdentity(t *testing.T) {
	n := testNode(t, map[string]string{"cart.yaml": cart})
	l := n.loads["shop/cart"]
	l.renewed(identity.RenewerState{ID: l.id, Err: errors.New("nobody answers"), Failures: 1})
	if got := (Running{n.m}).Withheld(); len(got) != 0 || n.m.renewals.all()[l.id.String()] != 1 {
		t.Errorf("%v", got)
	}
	n.m.renewals.forget(l.id)
	if got := n.m.renewals.all(); len(got) != 0 {
		t.Errorf("%v", got)
	}
}
