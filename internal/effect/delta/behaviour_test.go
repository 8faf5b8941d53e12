package delta_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gridway/gridway/internal/effect/delta"
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
		{"policy: only the part that differs", func(cfg *ir.Config) { first(cfg).Policy.MaxBodyBytes = 5 }, []string{"GET /a policy.maxBodyBytes:  → 5"}},
		{"endpoints", func(cfg *ir.Config) { cfg.Clusters[0].Endpoints[0].Weight = 3 }, []string{"GET /a endpoints: 127.0.0.1:1 → 127.0.0.1:1 weight 3"}},
		{"a header that is set", func(cfg *ir.Config) {
			first(cfg).Filters.RequestHeaders = &ir.HeaderMods{Set: []ir.Header{{Name: "X", Value: "1"}}}
		}, []string{"GET /a request headers:  → X: 1"}},
		{"a header that only some requests have is removed", func(cfg *ir.Config) {
			first(cfg).Filters.RequestHeaders = &ir.HeaderMods{Remove: []string{"X", "Y"}}
		}, []string{"GET /a filters.requestHeaders.remove:  → X, Y"}},
		{"faults in percent", func(cfg *ir.Config) {
			first(cfg).Policy.Fault = &ir.Fault{AbortStatus: 503, AbortPercent: 250}
		}, []string{"GET /a policy.fault.abortStatus:  → 503", "GET /a policy.fault.abortPercent:  → 2.5%"}},
		{"exact becomes prefix", func(cfg *ir.Config) { first(cfg).Matches[0].Path.Type = ir.Prefix }, []string{"GET /a/below result: reply 404 RouteNotFound → a"}},
		{"prefix becomes an expression that takes its neighbours too", func(cfg *ir.Config) {
			first(cfg).Matches[0].Path = ir.PathMatch{Type: ir.Regex, Value: "/a(-beside)?"}
		}, []string{"GET /a-beside result: reply 404 RouteNotFound → a"}},
		{"another method", func(cfg *ir.Config) { first(cfg).Matches[0].Method = "POST" }, []string{"GET /a result: a → reply 404 RouteNotFound"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changes, tried := delta.Behaviour(t.Context(), side(t, nil), side(t, tt.change))
			var got []string
			for _, c := range changes {
				for _, a := range c.Aspects {
					got = append(got, fmt.Sprintf("%s %s %s: %s → %s", c.Method, c.URL[len("http://h.example:80"):], a.Name, a.Old, a.New))
				}
			}
			if !slices.Equal(got, tt.want) || tried.Requests < 3 {
				t.Errorf("%+v tried, got %q\nwant %q", tried, got, tt.want)
			}
		})
	}
}

// The winner among rules that both hold changes with their order, which no
// request shows that was made for one of them.
// What holds for callers who are let through is seen although the requests that
// are compared have no credentials.
func TestBehaviourBehindAuthentication(t *testing.T) {
	guarded := func(realm string, change func(cfg *ir.Config)) *dryrun.Table {
		return side(t, func(cfg *ir.Config) {
			for _, r := range cfg.Routes[0].Rules {
				r.Policy.Authentication = &ir.Authentication{Policy: "default/keys", Realm: realm, AnyOf: []ir.AuthenticationMethod{{
					Name: "apiKey", APIKey: &ir.APIKeyAuth{From: []ir.CredentialSource{{Header: "X-API-Key"}}},
				}}}
			}
			change(cfg)
		})
	}
	same := func(*ir.Config) {}
	for name, c := range map[string]struct {
		before, after *dryrun.Table
		want          []string
	}{
		"nothing":         {guarded("a", same), guarded("a", same), nil},
		"another backend": {guarded("a", same), guarded("a", func(cfg *ir.Config) { cfg.Routes[0].Rules[0].Backends = cfg.Routes[0].Rules[1].Backends }), []string{"/a result for those let through: a → b", "/a endpoints: 127.0.0.1:1 → "}},
		"another limit":   {guarded("a", same), guarded("a", func(cfg *ir.Config) { cfg.Routes[0].Rules[0].Policy.MaxBodyBytes = 5 }), []string{"/a policy.maxBodyBytes:  → 5"}},
		"another realm": {guarded("a", same), guarded("b", func(cfg *ir.Config) { cfg.Routes[0].Rules = cfg.Routes[0].Rules[:1] }), []string{
			`/a response headers of the refusal: WWW-Authenticate: ApiKey realm="a" → WWW-Authenticate: ApiKey realm="b"`, "/a policy.authentication.realm: a → b",
			"/b result: reply 401 Unauthenticated → reply 404 RouteNotFound",
		}},
		"none before": {side(t, nil), guarded("a", same), []string{"/a result: a → reply 401 Unauthenticated", "/b result: b → reply 401 Unauthenticated"}},
	} {
		changes, _ := delta.Behaviour(t.Context(), c.before, c.after)
		var got []string
		for _, change := range changes {
			for _, a := range change.Aspects {
				got = append(got, fmt.Sprintf("%s %s: %s → %s", change.URL[len("http://h.example:80"):], a.Name, a.Old, a.New))
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestBehaviourSeesPrecedence(t *testing.T) {
	rules := func(order ...int) func(*ir.Config) {
		return func(cfg *ir.Config) {
			list := cfg.Routes[0].Rules
			list[0].Matches = []ir.Match{{Path: ir.PathMatch{Type: ir.Prefix, Value: "/"}, Headers: []ir.ValueMatch{{Name: "X-A", Type: ir.Exact, Value: "1"}}}}
			list[1].Matches = []ir.Match{{Path: ir.PathMatch{Type: ir.Prefix, Value: "/"}, Headers: []ir.ValueMatch{{Name: "X-B", Type: ir.Regex, Value: "[0-9]"}}}}
			cfg.Routes[0].Rules = []*ir.Rule{list[order[0]], list[order[1]]}
		}
	}
	changes, _ := delta.Behaviour(t.Context(), side(t, rules(0, 1)), side(t, rules(1, 0)))
	if len(changes) == 0 || len(changes[0].Headers) != 2 {
		t.Errorf("changes %+v", changes)
	}
}

func TestBehaviourSeesANarrowerExpression(t *testing.T) {
	with := func(expr string) func(*ir.Config) {
		return func(cfg *ir.Config) {
			cfg.Routes[0].Rules[0].Matches[0].Path = ir.PathMatch{Type: ir.Regex, Value: expr}
		}
	}
	for _, tt := range [][2]string{{"/v[0-9]+", "/v[0-4]+"}, {"/(en|de|fr)", "/(en|de)"}, {"/a.*", "/a.?"}, {"/x{1,3}", "/x{1,2}"}, {"/[a-z]+", "/[a-y]+"}} {
		changes, tried := delta.Behaviour(t.Context(), side(t, with(tt[0])), side(t, with(tt[1])))
		if len(changes) == 0 {
			t.Errorf("%q: no difference among %d requests", tt, tried.Requests)
		}
	}
}

// A bound that was reached is told.
func TestPairsAreBounded(t *testing.T) {
	crowd := func(n int) func(*ir.Config) {
		return func(c *ir.Config) {
			for i := range n {
				m := ir.Match{Path: ir.PathMatch{Type: ir.Prefix, Value: "/"}, Headers: []ir.ValueMatch{{Name: fmt.Sprintf("X-%d", i), Type: ir.Exact, Value: "1"}}}
				c.Routes[0].Rules[0].Matches = append(c.Routes[0].Rules[0].Matches, m)
			}
		}
	}
	for n, want := range map[int]bool{10: false, 120: true} {
		if _, tried := delta.Behaviour(t.Context(), side(t, crowd(n)), side(t, crowd(n))); tried.Bounded != want {
			t.Errorf("%d matches that overlap: bounded %v, want %v", n, tried.Bounded, want)
		}
	}
}
