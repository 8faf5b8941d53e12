package distrib_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
)

func small() *ir.Config {
	return &ir.Config{
		Routes: []*ir.Route{
			{Name: "HTTPRoute/shop/b", Ref: ir.Ref{Kind: "HTTPRoute", Namespace: "shop", Name: "b"}, Rules: []*ir.Rule{{ID: "HTTPRoute/shop/b/rules/0"}}, Hash: 1<<64 - 1},
			{Name: "HTTPRoute/shop/a", Ref: ir.Ref{Kind: "HTTPRoute", Namespace: "shop", Name: "a"}, Rules: []*ir.Rule{}},
		},
		Clusters: []*ir.Cluster{
			{Name: "Service/shop/cart:80", Endpoints: []ir.Endpoint{{Address: "10.0.0.1:80", Weight: 1, Zone: "a"}, {Address: "10.0.0.2:80", Weight: 2, Zone: "a"}}},
			{Name: "Service/shop/empty:80"},
		},
		Policies: []string{"z", "a"},
	}
}

func TestEncoderKeepsWhatDidNotChange(t *testing.T) {
	var e distrib.Encoder
	c := small()
	first, err := e.Split(c)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(first, distrib.Compare) {
		t.Error("not in order")
	}
	next := *c
	next.Routes = slices.Clone(c.Routes)
	changed := *c.Routes[0]
	changed.GRPC = true
	next.Routes[0] = &changed
	second, err := e.Split(&next)
	if err != nil {
		t.Fatal(err)
	}
	var differ []string
	for i := range first {
		if first[i] != second[i] {
			differ = append(differ, first[i].Name)
		}
	}
	if !slices.Equal(differ, []string{"HTTPRoute/shop/b"}) {
		t.Errorf("encoded anew: %q", differ)
	}
	if distrib.Sum(first) == distrib.Sum(second) {
		t.Error("different views have the same hash")
	}
}

// The hash is part of what is on disk and of what replicas compare.
func TestHashesStay(t *testing.T) {
	list, err := distrib.Split(small())
	if err != nil {
		t.Fatal(err)
	}
	pointers := make([]*distrib.Resource, len(list))
	for i := range list {
		pointers[i] = &list[i]
	}
	endpoints := slices.IndexFunc(list, func(r distrib.Resource) bool { return r.Kind == distrib.KindEndpoints })
	if got := fmt.Sprintf("%016x %016x", distrib.Sum(pointers), list[endpoints].Hash); got != "a3d2480247120830 464277be618ef1f4" {
		t.Errorf("got %s; another hash has all proxies sent everything once", got)
	}
	// Endpoints change without a revision.
	before := distrib.Sum(pointers)
	changed := list[endpoints]
	changed.Hash++
	pointers[endpoints] = &changed
	if distrib.Sum(pointers) != before {
		t.Error("the hash of the view depends on endpoints")
	}
}

func TestDecoderKeepsWhatDidNotChange(t *testing.T) {
	var e distrib.Encoder
	var d distrib.Decoder
	c := small()
	c.Authorizations = []*ir.Authorization{{Policy: "shop/guard"}}
	c.Routes[0].Rules[0].Policy.Authorization = c.Authorizations
	list, err := e.Split(c)
	if err != nil {
		t.Fatal(err)
	}
	first, err := d.Join(slices.Values(list))
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range list {
		if r.Kind == distrib.KindEndpoints && r.Name == "Service/shop/empty:80" {
			if list[i], err = distrib.EncodeEndpoints(r.Name, []ir.Endpoint{{Address: "10.0.0.9:80"}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	second, err := d.Join(slices.Values(list))
	if err != nil {
		t.Fatal(err)
	}
	if first.Routes[0] != second.Routes[0] || first.Routes[1] != second.Routes[1] || first.Clusters[0] != second.Clusters[0] {
		t.Error("what did not change is another pointer")
	}
	if first.Clusters[1] == second.Clusters[1] || len(first.Clusters[1].Endpoints) != 0 || len(second.Clusters[1].Endpoints) != 1 {
		t.Error("endpoints are not the cluster's")
	}
	// A policy that changes is another one for the rules that have it.
	next := *c
	next.Authorizations = []*ir.Authorization{{Policy: "shop/guard", Broken: true}}
	route := *c.Routes[0]
	route.Rules = []*ir.Rule{{ID: c.Routes[0].Rules[0].ID, Policy: ir.RoutePolicy{Authorization: next.Authorizations}}}
	next.Routes = []*ir.Route{&route, c.Routes[1]}
	if list, err = e.Split(&next); err != nil {
		t.Fatal(err)
	}
	third, err := d.Join(slices.Values(list))
	if err != nil {
		t.Fatal(err)
	}
	if !third.Routes[1].Rules[0].Policy.Authorization[0].Broken || second.Routes[1].Rules[0].Policy.Authorization[0].Broken {
		t.Error("the rule has not the policy of its configuration")
	}
}

func TestSplitRefuses(t *testing.T) {
	for want, c := range map[string]*ir.Config{
		`there are two of route "r"`:               {Routes: []*ir.Route{{Name: "r"}, {Name: "r"}}},
		`route "r": it has text that is not UTF-8`: {Routes: []*ir.Route{{Name: "r", Rules: []*ir.Rule{{Name: "\xff"}}}}},
		`endpoints "c"`:                            {Clusters: []*ir.Cluster{{Name: "c", Endpoints: []ir.Endpoint{{Address: "\xff"}}}}},
		`route "a": it has text`:                   {Routes: []*ir.Route{{Name: "a", Rules: []*ir.Rule{{Name: `\ufffd` + "\xff"}}}}},
	} {
		if _, err := distrib.Split(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := distrib.Split(&ir.Config{Routes: []*ir.Route{{Name: `\ufffd \\ufffd ` + "\ufffd"}}}); err != nil {
		t.Errorf("text that only looks like it: %v", err)
	}
}

func TestJoinRefuses(t *testing.T) {
	type res = distrib.Resource
	of := func(kind, name, body string) res { return res{Kind: kind, Name: name, Body: []byte(body)} }
	for want, list := range map[string][]res{
		`route "r": it is called "x" inside`:             {of("route", "r", `{"name":"x"}`)},
		`route "r" is there twice`:                       {of("route", "r", `{"name":"r"}`), of("route", "r", `{"name":"r"}`)},
		`route "r": null where something has to be`:      {of("route", "r", `{"name":"r","rules":[null]}`)},
		`route "r": something follows`:                   {of("route", "r", `{"name":"r"}{}`)},
		`authorization "shop/guard", which is not there`: {of("route", "r", `{"name":"r","rules":[{}],"shared":[{"rule":0,"authorizations":["shop/guard"]}]}`)},
		`it has no rule 1`:                               {of("route", "r", `{"name":"r","rules":[{}],"shared":[{"rule":1}]}`)},
		`its endpoints are not there`:                    {of("cluster", "c", `{"name":"c"}`)},
		`there is no cluster of that name`:               {of("endpoints", "c", ``)},
		`it has endpoints inside`:                        {of("cluster", "c", `{"name":"c","endpoints":[{"address":"a"}]}`)},
		`refers to name 3 of 0`:                          {of("cluster", "c", `{"name":"c"}`), of("endpoints", "c", "\x12\x02\x18\x03")},
		`does not know rules[0].policy.teleport.to, and has to be upgraded first`: {
			of("route", "r", `{"name":"r","rules":[{"policy":{"teleport":{"to":"x"}}}]}`),
		},
		`does not know rules[0].policy.teleport, and`:   {of("route", "r", `{"name":"r","rules":[{"policy":{"teleport":{}}}]}`)},
		`consumer "a/b": a secret of credential 1 of 0`: {of("consumer", "a/b", `{"namespace":"a","name":"b","secrets":[{"credential":1}]}`)},
	} {
		_, err := distrib.Join(list)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		var resource *distrib.ResourceError
		if err != nil && !errors.As(err, &resource) && !strings.Contains(want, "twice") {
			t.Errorf("%v does not say which resource", err)
		}
	}
}

// A newer control plane writes fields, and sends kinds, that this version has not.
func TestJoinOfALaterVersion(t *testing.T) {
	got, err := distrib.Join([]distrib.Resource{
		{Kind: "route", Name: "r", Body: []byte(`{"name":"r","rules":[{"policy":{"teleport":false,"bridge":{"maxMessageBytes":0}}}],"shine":[],"depth":0}`)},
		{Kind: "hologram", Name: "h", Body: []byte("?")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Routes[0].Rules[0].Policy.Bridge == nil {
		t.Error("a field of nothing but zeros was lost")
	}
}

func FuzzJoin(f *testing.F) {
	list, err := distrib.Split(small())
	if err != nil {
		f.Fatal(err)
	}
	for _, r := range list {
		f.Add(r.Kind, r.Name, r.Body, []byte(nil))
	}
	f.Add("route", "r", []byte(`{"name":"r","rules":[null],"x":1}`), []byte(nil))
	f.Add("cluster", "c", []byte(`{"name":"c"}`), []byte("\x0a\x01a\x12\x07\x0a\x01b\x10\x01\x18\x01"))
	f.Fuzz(func(t *testing.T, kind, name string, body, endpoints []byte) {
		list := []distrib.Resource{{Kind: kind, Name: name, Hash: 1, Body: body}}
		if kind == distrib.KindCluster {
			list = append(list, distrib.Resource{Kind: distrib.KindEndpoints, Name: name, Hash: 1, Body: endpoints})
		}
		c, err := distrib.Join(list)
		if err != nil {
			return
		}
		again, err := distrib.Split(c)
		if err != nil {
			t.Fatalf("what was joined cannot be split: %v", err)
		}
		if _, err := distrib.Join(again); err != nil {
			t.Fatalf("what was split cannot be joined: %v", err)
		}
	})
}
