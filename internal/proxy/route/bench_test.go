package route_test

import (
	"fmt"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/route"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// shop is n routes with a prefix each, under one hostname or one each.
func shop(n int, hosts bool) []route.Section[int] {
	s := route.Section[int]{Section: &ir.Section{}}
	for i := range n {
		a := route.Attached[int]{Route: &ir.Route{
			Name:  fmt.Sprintf("HTTPRoute/shop/r%d", i),
			Ref:   ir.Ref{Kind: "HTTPRoute", Namespace: "shop", Name: fmt.Sprintf("r%d", i)},
			Rules: []*ir.Rule{{ID: fmt.Sprintf("HTTPRoute/shop/r%d/rules/0", i), Matches: []ir.Match{prefix(fmt.Sprintf("/api/service-%d", i))}}},
			Hash:  uint64(i) + 1,
		}, Values: []int{i}}
		if hosts {
			a.Hostnames = []string{fmt.Sprintf("h%d.example.com", i)}
		}
		s.Routes = append(s.Routes, a)
	}
	return []route.Section[int]{s}
}

func shopRequests(n int, hosts bool, spread int) []*httpmsg.Request {
	var out []*httpmsg.Request
	for i := range spread {
		k := (i * 7919) % n
		host := "shop.example.com"
		if hosts {
			host = fmt.Sprintf("h%d.example.com", k)
		}
		out = append(out, request("GET", host, fmt.Sprintf("/api/service-%d/items/17", k), "a=1"))
	}
	return out
}

// BenchmarkMatch compares 10 routes with 100,000. "hot" asks for ten of them
// again and again; "cold" goes through 50,000 requests, each of which is read
// from memory anew, as is what the table holds for it.
func BenchmarkMatch(b *testing.B) {
	for _, hosts := range []bool{false, true} {
		for _, c := range []struct {
			name      string
			n, spread int
		}{{"10-hot", 10, 10}, {"100000-hot", 100_000, 10}, {"10-cold", 10, 50_000}, {"100000-cold", 100_000, 50_000}} {
			b.Run(map[bool]string{false: "paths/", true: "hosts/"}[hosts]+c.name, func(b *testing.B) {
				table, err := route.Build(shop(c.n, hosts), nil)
				if err != nil {
					b.Fatal(err)
				}
				requests := shopRequests(c.n, hosts, c.spread)
				b.ReportAllocs()
				b.ResetTimer()
				for i := 0; i < b.N; i++ {
					if _, ok := table.Match(requests[i%len(requests)], ""); !ok {
						b.Fatal("no match")
					}
				}
			})
		}
	}
}

// BenchmarkRebuild changes one route of 10,000, its backends or its path, and
// makes the next table from all routes or from that one.
func BenchmarkRebuild(b *testing.B) {
	for _, c := range []struct {
		name        string
		hosts, path bool
	}{{"one-host/backend", false, false}, {"one-host/path", false, true}, {"host-each/backend", true, false}, {"host-each/path", true, true}} {
		for _, with := range []bool{false, true} {
			b.Run(c.name+map[bool]string{false: "/all", true: "/with"}[with], func(b *testing.B) {
				sections := shop(10_000, c.hosts)
				table, err := route.Build(sections, nil)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				b.ResetTimer()
				for i := 0; i < b.N; i++ {
					was := sections[0].Routes[5000].Route
					changed := *was
					changed.Hash = uint64(i) + 1_000_000
					if c.path {
						changed.Rules = []*ir.Rule{{ID: changed.Rules[0].ID, Matches: []ir.Match{prefix(fmt.Sprintf("/changed-%d", i))}}}
					}
					sections[0].Routes[5000].Route = &changed
					if with {
						var ok bool
						if table, ok = table.With(sectionsOf(sections), []route.Change[int]{{Was: was, Attached: sections[0].Routes[5000]}}); !ok {
							b.Fatal("refused")
						}
					} else if table, err = route.Build(sections, table); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
