package dryrun_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
)

// streams has a port with HTTP and TCP, one with TLS in three sections and HTTPS,
// one with UDP, and one with TCP whose backends cannot be used.
func streams() *ir.Config {
	unresolved := ref("gone", 1)
	unresolved.Cluster, unresolved.Problem = "", "there is no such Backend"
	route := func(name string, backends ...ir.BackendRef) *ir.StreamRoute {
		return &ir.StreamRoute{
			Name: name, Ref: ir.Ref{Name: name}, ID: name + "/rules/0", Backends: backends, Idle: time.Hour, Attempts: 1,
		}
	}
	at := func(route string, hostnames ...string) ir.Attachment {
		return ir.Attachment{Route: route, Hostnames: hostnames}
	}
	var clusters []*ir.Cluster
	for _, name := range []string{"a", "b", "c"} {
		clusters = append(clusters, &ir.Cluster{
			Name: "Backend/default/" + name, Ref: ir.Ref{Kind: "Backend", Namespace: "default", Name: name}, Protocol: ir.TCP,
			Endpoints: []ir.Endpoint{{Address: "127.0.0.1:1", Weight: 1}},
		})
	}
	web := &ir.Route{Name: "web", Rules: []*ir.Rule{{ID: "web/rules/0", Matches: prefix("/"), Backends: []ir.BackendRef{ref("a", 1)}}}}
	return &ir.Config{
		Listeners: []*ir.Listener{
			{Name: ":80", Port: 80, Protocol: ir.Detect, Sections: []*ir.Section{
				{Name: "Gateway/default/edge/web", Protocol: ir.HTTP, Routes: []ir.Attachment{at("web", "")}},
				{Name: "Gateway/default/edge/rest", Protocol: ir.TCP, Streams: []ir.Attachment{at("rest", "")}},
			}},
			{Name: ":443", Port: 443, Protocol: ir.TLS, Sections: []*ir.Section{
				{Name: "Gateway/default/edge/pass", Hostname: "*.pass.example", Passthrough: true, Streams: []ir.Attachment{at("one", "a.pass.example"), at("any", "*.pass.example"), at("late", "*.pass.example")}},
				{Name: "Gateway/default/edge/end", Hostname: "end.example", Streams: []ir.Attachment{at("end", "end.example")}},
				{Name: "Gateway/default/edge/https", Hostname: "web.example", Protocol: ir.HTTPS, Routes: []ir.Attachment{at("web", "web.example")}},
			}},
			{Name: ":53/udp", Port: 53, Protocol: ir.UDP, Sections: []*ir.Section{{Name: "Gateway/default/edge/dns", Streams: []ir.Attachment{at("dns", "")}}}},
			{Name: ":99", Port: 99, Protocol: ir.TCP, Sections: []*ir.Section{{Name: "Gateway/default/edge/broken", Streams: []ir.Attachment{at("broken", "")}}}},
			{Name: ":98", Port: 98, Protocol: ir.TCP, Sections: []*ir.Section{{Name: "Gateway/default/edge/empty"}}},
		},
		Routes: []*ir.Route{web},
		Streams: []*ir.StreamRoute{
			route("rest", ref("a", 1), ref("b", 3)), route("one", ref("a", 1)), route("any", ref("b", 1)), route("late", ref("c", 1)),
			route("end", ref("c", 1)), route("dns", ref("a", 1)), route("broken", unresolved, ref("a", 0)),
		},
		Clusters: clusters,
	}
}

func TestStreams(t *testing.T) {
	table, err := dryrun.New(streams())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		url, listener string
		want          string // route, TLS, first backend; or why not
	}{
		{"tcp://h:80", "", "rest  a"},
		{"TCP://h", "rest", "rest  a"},
		{"tls://a.pass.example:443", "", "one passed through a"},
		{"tls://A.Pass.Example.:443", "", "one passed through a"},
		{"tls://b.pass.example:443", "", "any passed through b"},
		{"tls://end.example", "", "end terminated c"},
		{"tls://pass.example:443", "", "RouteNotFound"},
		{"tls://192.0.2.1:443", "", "RouteNotFound"},
		{"tls://web.example:443", "", "RouteNotFound"},
		{"udp://h:53", "", "dns  a"},
		{"udp://h", "", "dns  a"},
		{"tcp://h:99", "", "BackendInvalid"},
		{"tcp://h:98", "", "RouteNotFound"},
		{"tcp://h", "", "rest  a"}, // of several
	} {
		d, err := table.Decide(dryrun.Request{URL: tt.url, Listener: tt.listener})
		if err != nil {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		var got string
		if d.Action == dryrun.Refuse {
			got = d.Local.Reason
		} else {
			got = d.Route.Name + " " + d.Stream.TLS + " " + d.Backends[0].Ref.Name
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.url, got, tt.want)
		}
		d.Redacted()
	}
	d, err := table.Decide(dryrun.Request{URL: "tls://b.pass.example:443"})
	if err != nil || len(d.Others) != 2 || !strings.Contains(d.Others[1].Why, "older") || len(d.OtherSections) != 2 {
		t.Errorf("%v: lost %+v, %+v", err, d.Others, d.OtherSections)
	}
	if d, err := table.Decide(dryrun.Request{URL: "tcp://h:80"}); err != nil || d.Backends[1].Percent != 75 || d.Stream.Attempts != 1 {
		t.Errorf("%+v, %v", d, err)
	}
	if d, err := table.Decide(dryrun.Request{URL: "udp://h:53"}); err != nil || d.Stream.Attempts != 0 {
		t.Errorf("%+v, %v", d, err)
	}
	for url, part := range map[string]string{"tcp://h:1": ":98 (TCP)", "tls://h:80": "no TLS listener", "tcp://h:80/path": "no method"} {
		if _, err := table.Decide(dryrun.Request{URL: url}); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := table.Decide(dryrun.Request{Method: "GET", URL: "tcp://h:80"}); err == nil {
		t.Error("a method for a stream")
	}
}

// Requests find the HTTP and the HTTPS of ports that have other protocols, too.
func TestRequestsBesideStreams(t *testing.T) {
	table, err := dryrun.New(streams())
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"http://h:80/", "https://web.example:443/", "/x", "http://h/"} {
		if d, err := table.Decide(dryrun.Request{URL: url}); err != nil || d.Route == nil || d.Route.Name != "web" {
			t.Errorf("%s: %+v, %v", url, d, err)
		}
	}
	if d, err := table.Decide(dryrun.Request{URL: "https://web.example/", Listener: ":443"}); err != nil || d.Route == nil {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := table.Decide(dryrun.Request{URL: "http://h:99/"}); err == nil {
		t.Error("a request to a port of TCP")
	}
}

func TestRowsOfStreams(t *testing.T) {
	table, err := dryrun.New(streams())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range table.Rows("") {
		got = append(got, strings.Join([]string{r.Listener, r.Hostname, r.Match, r.Route, strings.Join(r.To, "+")}, " "))
	}
	want := []string{
		":80  /* web a", ":80  TCP rest a 25%+b 75%",
		":443 a.pass.example TLS passed through one a", ":443 end.example TLS terminated end c", ":443 web.example /* web a",
		":443 *.pass.example TLS passed through any b", ":443 *.pass.example TLS passed through late c",
		":53/udp  UDP dns a", ":99  TCP broken gone (unresolved) 100%+a 0%",
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("no row %q", w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%q", got)
	}
}

// diff finds what becomes of streams by samples.
func TestSamplesOfStreams(t *testing.T) {
	list, all := dryrun.Samples(streams())
	urls := map[string]bool{}
	for _, r := range list {
		urls[r.Method+" "+r.URL] = true
	}
	for _, want := range []string{" tcp://any-host.example:80", " tls://a.pass.example:443", " tls://any.pass.example:443", " tls://end.example:443", " udp://any-host.example:53", "GET http://any-host.example:80/", "GET https://web.example:443/"} {
		if !urls[want] {
			t.Errorf("no sample %q among %v", want, urls)
		}
	}
	if !all || urls["GET http://host-that-no-route-names.example:53/"] {
		t.Error(all, urls)
	}
}
