package between_test

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/effect/between"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
)

func TestDecide(t *testing.T) {
	rule := &ir.Rule{ID: "Service/shop/reviews:80", Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.Prefix, Value: "/"}}}}
	route := &ir.Route{Name: rule.ID, Rules: []*ir.Rule{rule}}
	to := []ir.Attachment{{Route: route.Name}}
	reviews := &ir.MeshService{Namespace: "shop", Name: "reviews", Ports: []*ir.MeshPort{{
		Port: 80, Protocol: ir.HTTP, Outbound: []ir.MeshOutbound{{Protocol: ir.HTTP, Routes: to}}, Inbound: ir.MeshInbound{Routes: to},
	}}}
	mesh := &ir.Mesh{Routes: []*ir.Route{route}, Services: []*ir.MeshService{reviews}, Egress: ir.EgressDeny}
	for _, c := range []struct {
		name, service, namespace, url string
		want                          dryrun.Passage
		wrong                         string
	}{
		{"a service", "cart", "shop", "http://reviews/1", dryrun.Passage{Host: "reviews", Service: "shop/reviews"}, ""},
		{"of another namespace", "cart", "", "http://reviews.shop:80/1", dryrun.Passage{Host: "reviews.shop:80", Service: "shop/reviews"}, ""},
		{"no service", "cart", "shop", "http://who@example.com/?q", dryrun.Passage{Host: "example.com", Egress: ir.EgressDeny}, ""},
		{"no such port", "cart", "shop", "http://reviews:81/", dryrun.Passage{}, "has no port 81: its ports are 80"},
		{"no sender", "", "shop", "http://reviews/", dryrun.Passage{}, "the sender is a service and a namespace"},
		{"a path for a sender", "a/b", "shop", "http://reviews/", dryrun.Passage{}, "the sender is a service and a namespace"},
	} {
		p, err := between.Decide(&ir.Config{}, mesh, "cluster.local", dryrun.PassageRequest{Service: c.service, Namespace: c.namespace, Request: dryrun.Request{URL: c.url}})
		switch {
		case c.wrong != "":
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%s: %v", c.name, err)
			}
		case err != nil:
			t.Errorf("%s: %v", c.name, err)
		case p.Host != c.want.Host || p.Service != c.want.Service || p.Egress != c.want.Egress || (p.Client == nil) != (p.Service == ""):
			t.Errorf("%s: %+v", c.name, p)
		}
	}
	if _, err := between.Decide(&ir.Config{}, nil, "cluster.local", dryrun.PassageRequest{Service: "cart"}); err == nil || !strings.Contains(err.Error(), "nothing of a mesh") {
		t.Errorf("without a mesh: %v", err)
	}
}
