package delta_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gridway/gridway/internal/cli/delta"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
)

// side is one listener with a route whose rules go to a backend each.
func side(t *testing.T, change func(cfg *ir.Config)) *dryrun.Table {
	t.Helper()
	rule := func(path, backend string) *ir.Rule {
		return &ir.Rule{
			ID: "HTTPRoute/default/r/rules/" + path, Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.Exact, Value: path}}},
			Backends: []ir.BackendRef{{Cluster: "Backend/default/" + backend, Weight: 1, Ref: ir.Ref{Kind: "Backend", Namespace: "default", Name: backend}}},
		}
	}
	cfg := &ir.Config{
		Listeners: []*ir.Listener{{Name: ":80", Port: 80, Protocol: ir.HTTP, Sections: []*ir.Section{{Name: "s", Routes: []ir.Attachment{{Route: "r", Hostnames: []string{"h.example"}}}}}}},
		Routes:    []*ir.Route{{Name: "r", Rules: []*ir.Rule{rule("/a", "a"), rule("/b", "b")}}},
		Clusters: []*ir.Cluster{
			{Name: "Backend/default/a", Protocol: ir.HTTP, Endpoints: []ir.Endpoint{{Address: "127.0.0.1:1", Weight: 1}}},
			{Name: "Backend/default/b", Protocol: ir.HTTP},
		},
	}
	if change != nil {
		change(cfg)
	}
	table, err := dryrun.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestBehaviour(t *testing.T) {
	first := func(cfg *ir.Config) *ir.Rule { return cfg.Routes[0].Rules[0] }
	for _, tt := range []struct {
		name   string
		change func(cfg *ir.Config)
		want   []string
	}{
		{"nothing", nil, nil},
		{"another name is no other behaviour", func(cfg *ir.Config) { first(cfg).Name = "named"; cfg.Routes[0].Name = "r" }, nil},
		{"another backend", func(cfg *ir.Config) { first(cfg).Backends = cfg.Routes[0].Rules[1].Backends }, []string{"GET /a result: a → b"}},
		{"a rule less", func(cfg *ir.Config) { cfg.Routes[0].Rules = cfg.Routes[0].Rules[:1] }, []string{"GET /b result: b → reply 404 RouteNotFound"}},
		{"another path, seen from both sides", func(cfg *ir.Config) { first(cfg).Matches[0].Path.Value = "/c" }, []string{"GET /a result: a → reply 404 RouteNotFound", "GET /c result: reply 404 RouteNotFound → a"}},
		{"policy: only the part that differs", func(cfg *ir.Config) { first(cfg).Policy.MaxBodyBytes = 5 }, []string{"GET /a policy:  → body 5"}},
		{"endpoints", func(cfg *ir.Config) { cfg.Clusters[0].Endpoints[0].Weight = 3 }, []string{"GET /a endpoints: 127.0.0.1:1 → 127.0.0.1:1 weight 3"}},
		{"a header that is set", func(cfg *ir.Config) {
			first(cfg).Filters.RequestHeaders = &ir.HeaderMods{Set: []ir.Header{{Name: "X", Value: "1"}}}
		}, []string{"GET /a request headers:  → X: 1"}},
		{"hidden values are equal to everything", func(cfg *ir.Config) {
			first(cfg).Filters.RequestHeaders = &ir.HeaderMods{Set: []ir.Header{{Name: "X", Value: delta.Hidden}}}
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			describe := func(p ir.RoutePolicy) []string {
				s := []string{"same"}
				if p.MaxBodyBytes > 0 {
					s = append(s, fmt.Sprint("body ", p.MaxBodyBytes))
				}
				return s
			}
			changes, tried := delta.Behaviour(side(t, nil), side(t, tt.change), describe)
			var got []string
			for _, c := range changes {
				for _, a := range c.Aspects {
					got = append(got, fmt.Sprintf("%s %s %s: %s → %s", c.Method, c.URL[len("http://h.example:80"):], a.Name, a.Old, a.New))
				}
			}
			if !slices.Equal(got, tt.want) || tried < 3 {
				t.Errorf("%d tried, got %q\nwant %q", tried, got, tt.want)
			}
		})
	}
}
