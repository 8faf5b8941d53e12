package dryrun_test

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
)

func prefix(p string) []ir.Match {
	return []ir.Match{{Path: ir.PathMatch{Type: ir.Prefix, Value: p}}}
}

func ref(name string, weight uint32) ir.BackendRef {
	return ir.BackendRef{Cluster: "Backend/default/" + name, Weight: weight, Ref: ir.Ref{Kind: "Backend", Namespace: "default", Name: name}}
}

// table has a plain listener on 8080, another on 8081, and a TLS one on 8443
// whose two sections have hostnames and the same route.
func table(t *testing.T) *dryrun.Table {
	t.Helper()
	unresolved := ref("gone", 1)
	unresolved.Cluster, unresolved.Problem = "", "there is no such Backend"
	own := ref("b", 1)
	own.Filters.RequestHeaders = &ir.HeaderMods{Set: []ir.Header{{Name: "X-To", Value: "b"}}}
	rules := []*ir.Rule{
		{Name: "faulty", Matches: prefix("/faulty"), Backends: []ir.BackendRef{ref("a", 1)}, Policy: ir.RoutePolicy{
			Fault: &ir.Fault{AbortStatus: 500, AbortPercent: 10000}, Session: &ir.SessionPersistence{Name: "s", Key: []byte("secret")},
		}},
		{Name: "unresolved", Matches: prefix("/unresolved"), Backends: []ir.BackendRef{unresolved, ref("a", 3)}},
		{Name: "none", Matches: prefix("/none")},
		{Name: "zero", Matches: prefix("/zero"), Backends: []ir.BackendRef{ref("a", 0)}},
		{Name: "host", Matches: prefix("/host"), Backends: []ir.BackendRef{ref("host", 1), own}, Filters: ir.Filters{
			Mirrors: []ir.Mirror{{Cluster: "Backend/default/a", Numerator: 1, Denominator: 4}},
		}},
		{Name: "rewritten", Matches: prefix("/rewritten"), Backends: []ir.BackendRef{ref("host", 1)}, Filters: ir.Filters{
			Rewrite: &ir.Rewrite{Hostname: "rewritten.example", Path: &ir.PathModifier{Type: ir.Prefix, Value: "/x"}},
		}},
	}
	ofRule := ir.BackendRef{Weight: 1, Problem: "the rule has no backendRefs", Ref: ir.Ref{Kind: "HTTPRoute", Name: "r"}}
	rules = append(rules,
		&ir.Rule{Name: "gone", Matches: prefix("/gone"), Backends: []ir.BackendRef{unresolved, ref("a", 0)}},
		&ir.Rule{Name: "ofrule", Matches: prefix("/ofrule"), Backends: []ir.BackendRef{ofRule}},
		&ir.Rule{Name: "weightless", Matches: prefix("/weightless"), Backends: []ir.BackendRef{ref("a", 0), ofRule}},
	)
	for i, r := range rules {
		r.ID = "HTTPRoute/default/r/rules/" + string(rune('0'+i))
	}
	cluster := func(name, host string) *ir.Cluster {
		return &ir.Cluster{Name: "Backend/default/" + name, Ref: ir.Ref{Kind: "Backend", Namespace: "default", Name: name}, Protocol: ir.HTTP, Host: host}
	}
	any, second := []ir.Attachment{{Route: "r", Hostnames: []string{""}}}, []ir.Attachment{{Route: "other", Hostnames: []string{""}}}
	tls := func(name, host string) *ir.Section {
		return &ir.Section{Name: "Gateway/default/edge/" + name, Hostname: host, Routes: []ir.Attachment{{Route: "r", Hostnames: []string{host}}}}
	}
	built, err := dryrun.New(&ir.Config{
		Listeners: []*ir.Listener{
			{Name: ":8080", Port: 8080, Protocol: ir.HTTP, Sections: []*ir.Section{{Name: "Gateway/default/edge/http", Routes: any}}},
			{Name: ":8081", Port: 8081, Protocol: ir.HTTP, Sections: []*ir.Section{{Name: "Gateway/default/edge/second", Routes: second}}},
			{Name: ":8443", Port: 8443, Protocol: ir.HTTPS, Sections: []*ir.Section{tls("one", "one.example"), tls("two", "two.example")}},
		},
		Routes: []*ir.Route{
			{Name: "r", Rules: rules},
			{Name: "other", Rules: []*ir.Rule{{ID: "HTTPRoute/default/other/rules/0", Matches: prefix("/other"), Backends: []ir.BackendRef{ref("b", 1)}}}},
		},
		Clusters: []*ir.Cluster{cluster("a", ""), cluster("b", ""), cluster("host", "inside.example")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return built
}

func decide(t *testing.T, r dryrun.Request) *dryrun.Decision {
	t.Helper()
	d, err := table(t).Decide(r)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestWhatIsDrawnByLotIsLeftOut(t *testing.T) {
	for range 20 {
		d := decide(t, dryrun.Request{URL: "http://x:8080/faulty"})
		if d.Action != dryrun.Forward || d.Policy.Fault == nil {
			t.Fatalf("%+v", d)
		}
		if d.Policy.Session == nil || d.Policy.Session.Key != nil {
			t.Fatalf("session %+v", d.Policy.Session)
		}
	}
}

func TestBackendsThatCannotBeUsed(t *testing.T) {
	d := decide(t, dryrun.Request{URL: "http://x:8080/unresolved"})
	if len(d.Backends) != 2 || d.Backends[0].Problem != "there is no such Backend" || d.Backends[0].Percent != 25 || d.Backends[1].Upstream == nil {
		t.Errorf("%+v", d.Backends)
	}
	for _, path := range []string{"/none", "/zero"} {
		if d := decide(t, dryrun.Request{URL: "http://x:8080" + path}); d.Local == nil || d.Local.Status != 500 || d.Local.Reason != "BackendInvalid" {
			t.Errorf("%s: %+v", path, d.Local)
		}
	}
}

func TestWhatEachBackendGets(t *testing.T) {
	d := decide(t, dryrun.Request{Method: "POST", URL: "http://x:8080/host?a=b", Headers: []ir.Header{{Name: "Connection", Value: "X-Hop"}, {Name: "X-Hop", Value: "1"}, {Name: "X-Keep", Value: "2"}}})
	first, second := d.Backends[0].Upstream, d.Backends[1].Upstream
	if first.Host != "inside.example" || second.Host != "x:8080" || first.Method != "POST" || first.Query != "a=b" {
		t.Errorf("%+v and %+v", first, second)
	}
	names := func(u *dryrun.Upstream) string {
		var s []string
		for _, h := range u.Headers {
			s = append(s, h.Name)
		}
		return strings.Join(s, " ")
	}
	if names(first) != "X-Keep" || names(second) != "X-Keep X-To" {
		t.Errorf("headers %q and %q", names(first), names(second))
	}
	if len(d.Mirrors) != 1 || d.Mirrors[0].Percent != 25 || d.Mirrors[0].Name != "Backend/default/a" {
		t.Errorf("mirrors %+v", d.Mirrors)
	}
	if u := decide(t, dryrun.Request{URL: "http://x:8080/rewritten/y"}).Backends[0].Upstream; u.Host != "rewritten.example" || u.Path != "/x/y" {
		t.Errorf("rewritten: %+v", u)
	}
}

func TestWhichListener(t *testing.T) {
	for _, tt := range []struct {
		name     string
		r        dryrun.Request
		listener string
		notes    int
	}{
		{"by port", dryrun.Request{URL: "http://x:8081/other"}, ":8081", 0},
		{"by what matches", dryrun.Request{URL: "http://x/other"}, ":8081", 1},
		{"the first when nothing matches", dryrun.Request{URL: "/nothing"}, ":8080", 1},
		{"by scheme", dryrun.Request{URL: "https://one.example/faulty"}, ":8443", 0},
		{"by name", dryrun.Request{URL: "/other", Listener: ":8081"}, ":8081", 0},
		{"by section", dryrun.Request{URL: "/other", Listener: "second"}, ":8081", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := decide(t, tt.r); d.Listener != tt.listener || len(d.Notes) != tt.notes {
				t.Errorf("listener %s, notes %q", d.Listener, d.Notes)
			}
		})
	}
}

func TestAHostOfAnotherSectionIsMisdirected(t *testing.T) {
	d := decide(t, dryrun.Request{URL: "https://one.example/faulty", Headers: []ir.Header{{Name: "Host", Value: "two.example"}}})
	if d.Local == nil || d.Local.Status != 421 {
		t.Errorf("%+v", d.Local)
	}
}

func TestRequestsThatCannotBeMade(t *testing.T) {
	for _, tt := range []struct {
		r    dryrun.Request
		want string
	}{
		{dryrun.Request{URL: "ftp://x/"}, "scheme must be http, https, tcp"},
		{dryrun.Request{URL: "http://"}, "has no host"},
		{dryrun.Request{URL: "http://x:1/"}, "no HTTP listener has port 1"},
		{dryrun.Request{URL: "/", Listener: "nobody"}, `no listener "nobody"`},
		{dryrun.Request{URL: "/a b"}, "must not hold blanks"},
		{dryrun.Request{URL: "/", Headers: []ir.Header{{Name: "A", Value: "x\r\nB: y"}}}, "line break"},
		{dryrun.Request{URL: "/", Headers: []ir.Header{{Name: "", Value: "x"}}}, "not a header name"},
	} {
		if _, err := table(t).Decide(tt.r); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %s", tt.r, err, tt.want)
		}
	}
	if d := decide(t, dryrun.Request{URL: "http://x:8080/%zz"}); d.Local == nil || d.Local.Status != 400 {
		t.Errorf("a bad escape: %+v", d.Local)
	}
}

func TestRowsAreInTheOrderOfMatching(t *testing.T) {
	tb := table(t)
	rows := tb.Rows("")
	for i, r := range rows {
		if r.Listener != ":8080" {
			break
		}
		d, err := tb.Decide(dryrun.Request{URL: "http://x:8080" + strings.TrimSuffix(r.Match, "/*")})
		if err != nil || d.Rule == nil || d.Rule.Name != r.Rule {
			t.Errorf("row %d is %s; the request goes to %+v (%v)", i, r.Rule, d.Rule, err)
		}
		if i > 0 && len(rows[i-1].Match) < len(r.Match) {
			t.Errorf("%s comes before %s", rows[i-1].Match, r.Match)
		}
	}
	if n := len(tb.Rows("two.example")); n != 9*2+1 {
		t.Errorf("%d rows for two.example", n)
	}
}

// What no backend can answer is a reply, which a route test can expect.
func TestNothingButBackendsThatCannotBeUsed(t *testing.T) {
	for _, c := range []struct {
		path, want string
		shown      int
	}{
		{"/gone", "there is no such Backend", 2},
		{"/ofrule", "the rule has no backendRefs", 0},
		{"/weightless", "the rule has no backendRefs", 1},
	} {
		d := decide(t, dryrun.Request{URL: "http://x:8080" + c.path})
		if d.Action != dryrun.Reply || d.Local == nil || d.Local.Status != 500 || d.Local.Detail != c.want || len(d.Backends) != c.shown {
			t.Errorf("%s: %+v, %d backends", c.path, d.Local, len(d.Backends))
		}
	}
}

// A client of gRPC is not told the status of HTTP that others are.
func TestWhatACallIsToldInPlaceOfAReply(t *testing.T) {
	call := []ir.Header{{Name: "content-type", Value: "application/grpc+proto"}}
	for path, want := range map[string]dryrun.GRPCStatus{
		"/none":    {Code: 14, Name: "UNAVAILABLE", HTTPStatus: 200},
		"/nowhere": {Code: 12, Name: "UNIMPLEMENTED", HTTPStatus: 200},
	} {
		d := decide(t, dryrun.Request{Method: "POST", URL: "http://x:8080" + path, Headers: call})
		if d.Local == nil || d.Local.GRPC == nil || *d.Local.GRPC != want {
			t.Errorf("%s: %+v", path, d.Local)
		}
		if d := decide(t, dryrun.Request{URL: "http://x:8080" + path}); d.Local == nil || d.Local.GRPC != nil {
			t.Errorf("%s, and no call: %+v", path, d.Local)
		}
	}
	if d := decide(t, dryrun.Request{Method: "POST", URL: "http://x:8080/host", Headers: call}); d.Local != nil {
		t.Errorf("a call that is forwarded: %+v", d.Local)
	}
}
