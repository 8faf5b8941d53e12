package replay_test

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/effect/replay"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/telemetry/tap"
)

const head = `{"format":"gridway-recording","version":1}` + "\n"

// table is a configuration of one route to a backend.
func table(t testing.TB, path, cluster string) *dryrun.Table {
	t.Helper()
	table, err := dryrun.New(&ir.Config{
		Listeners: []*ir.Listener{{Name: ":80", Port: 80, Protocol: ir.HTTP, Sections: []*ir.Section{{
			Name: "Gateway/default/edge/http", Routes: []ir.Attachment{{Route: "HTTPRoute/default/shop", Hostnames: []string{""}}},
		}}}},
		Routes: []*ir.Route{{Name: "HTTPRoute/default/shop", Rules: []*ir.Rule{{
			ID: "HTTPRoute/default/shop/rules/0", Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.Prefix, Value: path}}},
			Backends: []ir.BackendRef{{Cluster: cluster, Weight: 1, Ref: ir.Ref{Kind: "Backend", Namespace: "default", Name: cluster}}},
		}}}},
		Clusters: []*ir.Cluster{{Name: cluster, Protocol: ir.HTTP, Endpoints: []ir.Endpoint{{Address: "127.0.0.1:9001", Weight: 1}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// run decides a recording on tables of edges; nil is what was recorded.
func run(text string, base, candidate *dryrun.Table) (*replay.Report, error) {
	r, err := replay.Open(strings.NewReader(text), "f")
	if err != nil {
		return nil, err
	}
	var before *replay.Side
	if base != nil {
		before = &replay.Side{Edge: base, Mesh: shopMesh{base, ir.EgressDeny}}
	}
	return replay.Run(r, before, &replay.Side{Edge: candidate, Mesh: shopMesh{candidate, ir.EgressDeny}})
}

func event(more string) string {
	return `{"type":"exchange","time":"2026-11-22T18:00:01Z","direction":"edge","method":"GET","scheme":"http","listener":":80",` + more + "}\n"
}

const forwarded = `"status":200,"route":"HTTPRoute/default/shop","rule":"HTTPRoute/default/shop/rules/0","record":{"host":"a","path":"/a/b","cluster":"one","sent":{"host":"a","path":"/a/b"}}`

func TestWhatDiffers(t *testing.T) {
	for name, c := range map[string]struct {
		event           string
		path, cluster   string
		same, undecided int
		aspects         string
	}{
		"nothing":                    {forwarded, "/a", "one", 1, 0, ""},
		"the backend":                {forwarded, "/a", "two", 0, 0, "backend: one → two"},
		"the route":                  {forwarded, "/b", "one", 0, 0, "route: HTTPRoute/default/shop → ; result: forward → 404 RouteNotFound"},
		"the path as sent":           {strings.Replace(forwarded, `"path":"/a/b"}}`, `"path":"/b"}}`, 1), "/a", "one", 0, 0, "path: /b → /a/b"},
		"a rule that moved":          {strings.Replace(forwarded, "rules/0", "rules/7", 1), "/a", "one", 1, 0, ""},
		"a route that was not":       {`"status":404,"reason":"RouteNotFound","record":{"host":"a","path":"/a"}`, "/a", "one", 0, 0, "route:  → HTTPRoute/default/shop; result: 404 RouteNotFound → forward"},
		"nobody was healthy":         {`"status":503,"reason":"NoHealthyEndpoint","route":"HTTPRoute/default/shop","record":{"host":"a","path":"/a"}`, "/a", "one", 1, 0, ""},
		"a rate limit had its say":   {`"status":429,"reason":"RateLimited","route":"HTTPRoute/default/shop","record":{"host":"a","path":"/a"}`, "/a", "one", 1, 0, ""},
		"too long":                   {`"record":{"host":"a","path":"/a","partial":true}`, "/a", "one", 0, 1, ""},
		"not recorded":               {`"status":200`, "/a", "one", 0, 1, ""},
		"a consumer that is not":     {strings.Replace(forwarded, `"status"`, `"consumer":"default/ada","authMethod":"apiKey","status"`, 1), "/a", "one", 0, 1, ""},
		"a listener that is no more": {strings.Replace(forwarded, `"status"`, `"listener":":81","status"`, 1), "/a", "one", 0, 1, ""},
	} {
		r, err := run(head+event(c.event), nil, table(t, c.path, c.cluster))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var aspects []string
		for _, g := range r.Groups {
			for _, a := range g.Aspects {
				aspects = append(aspects, a.Name+": "+a.Old+" → "+a.New)
			}
		}
		if r.Same != c.same || r.Undecided != c.undecided || strings.Join(aspects, "; ") != c.aspects || r.Requests != 1 {
			t.Errorf("%s: %+v %v", name, r, aspects)
		}
	}
}

func TestRecordingsThatAreWrong(t *testing.T) {
	for text, want := range map[string]string{
		"": "f: it is empty: this is no recording", "\n": "f: it is empty: this is no recording", "{}\n": "f:1: this is no recording", `{"format":"gridway-recording","version":9}`: "f:1: the recording has version 9",
		head + "{": "f:2: the recording ends in the middle of a request", head + "{\n{}\n": "f:2: this is no recorded request", head + "x\n": "f:2: this is no recorded request",
		"\x1f\x8b": "f: ", "\x1f\x8bnothing that is compressed": "f: gzip: invalid header", head + "\n[]\n": "f:3: this is no recorded request",
		head + strings.Repeat("x", 300<<10): "f:2: the line is longer than 256 KiB",
	} {
		_, err := run(text, nil, table(t, "/", "one"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

// shopMesh has one port of one Service, whose clients and workloads have the same table.
type shopMesh struct {
	table  *dryrun.Table
	egress ir.Egress
}

var shopOrders = tap.Asked{Namespace: "shop", Service: "orders", Port: 80}

func (m shopMesh) Port(_ string, a tap.Asked) (*replay.Port, error) {
	if a != shopOrders {
		return nil, nil
	}
	return &replay.Port{Client: m.table, Server: m.table, Listener: ":80"}, nil
}

func (m shopMesh) Host(clients, host string) (tap.Asked, bool) {
	return shopOrders, clients == "shop" && host == "orders"
}

func (m shopMesh) Egress(string) ir.Egress { return m.egress }

func TestWhatDiffersInAMesh(t *testing.T) {
	const asked = `,"asked":{"namespace":"shop","service":"orders","port":80}}`
	const web = `,"source":{"namespace":"shop","service":"web","identity":"spiffe://d/ns/shop/sa/web"},`
	in := `"direction":"inbound"` + web + strings.TrimSuffix(forwarded, "}") + asked
	out := `"direction":"outbound"` + web + strings.TrimSuffix(forwarded, "}") + asked
	for name, c := range map[string]struct {
		event   string
		egress  ir.Egress
		want    string
		decided int
	}{
		"into a workload":           {in, ir.EgressAllow, "", 1},
		"out of one":                {out, ir.EgressAllow, "", 1},
		"without the mesh's TLS":    {strings.Replace(in, `"identity":"spiffe://d/ns/shop/sa/web"`, `"address":"192.0.2.1"`, 1), ir.EgressAllow, "result: forward → 403 MeshTLSRequired", 1},
		"a Service that is gone":    {strings.Replace(in, `"service":"orders"`, `"service":"gone"`, 1), ir.EgressAllow, "service: shop/gone:80 → no Service; result: forward → no such Service", 1},
		"gone, out, and let out":    {strings.Replace(out, `"service":"orders"`, `"service":"gone"`, 1), ir.EgressAllow, "service: shop/gone:80 → no Service; backend: one → where it leads, outside of the mesh", 1},
		"gone, out, and denied":     {strings.Replace(out, `"service":"orders"`, `"service":"gone"`, 1), ir.EgressDeny, "service: shop/gone:80 → no Service; result: forward → 502 EgressDenied", 1},
		"gone, and was made":        {strings.Replace(strings.Replace(out, `"service":"orders"`, `"service":"gone"`, 1), `,"asked"`, `,"registered":true,"asked"`, 1), ir.EgressDeny, "", 0},
		"nobody knows whose":        {strings.Replace(out, `"namespace":"shop","service":"web",`, "", 1), ir.EgressDeny, "", 0},
		"a node proxy's workload":   {strings.Replace(strings.Replace(out, `"namespace":"shop","service":"web",`, "", 1), `,"asked"`, `,"workload":"shop/web","asked"`, 1), ir.EgressDeny, "", 1},
		"what was outside has come": {`"direction":"outbound"` + web + `"status":200,"route":"Egress/-/x","record":{"host":"orders","path":"/a","cluster":"Egress"}`, ir.EgressAllow, "service: no Service → shop/orders:80; backend: where it leads, outside of the mesh → one", 1},
		"outside as before":         {`"direction":"outbound"` + web + `"status":200,"route":"Egress/-/x","record":{"host":"a","path":"/a","cluster":"Egress"}`, ir.EgressAllow, "", 1},
	} {
		text := head + strings.Replace(event(c.event), `"direction":"edge",`, "", 1)
		r, err := replay.Open(strings.NewReader(text), "f")
		if err != nil {
			t.Fatal(name, err)
		}
		report, err := replay.Run(r, nil, &replay.Side{Mesh: shopMesh{table(t, "/a", "one"), c.egress}})
		if err != nil {
			t.Fatal(name, err)
		}
		var aspects []string
		for _, g := range report.Groups {
			for _, a := range g.Aspects {
				aspects = append(aspects, a.Name+": "+a.Old+" → "+a.New)
			}
		}
		if got := strings.Join(aspects, "; "); got != c.want || report.Same+report.Different != c.decided {
			t.Errorf("%s: %q, want %q; %+v", name, got, c.want, report)
		}
	}
}

func FuzzRun(f *testing.F) {
	for _, s := range []string{"", head, head + event(forwarded), head + event(`"record":{}`), head + event(`"record":{"host":"a","path":"/a","headers":[{"name":"x"}],"claims":{"a":[1]}},"authMethod":"jwt"`)} {
		f.Add([]byte(s))
	}
	f.Add([]byte(head + `{"type":"service","object":{}}` + "\n" + `{"type":"stream","direction":"inbound","protocol":"TCP","record":{"asked":{"namespace":"shop","service":"orders","port":80}}}`))
	f.Add([]byte(head + `{"type":"exchange","direction":"outbound","source":{"namespace":"shop"},"record":{"host":"orders","path":"/a"}}`))
	now := table(f, "/a", "one")
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := run(string(b), nil, now)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f:") {
				t.Error(err)
			}
			return
		}
		if r.Same+r.Different+r.Undecided != r.Requests {
			t.Errorf("%+v", r)
		}
		r, err = run(string(b), now, now)
		if err != nil || r.Different != 0 {
			t.Errorf("the same decides otherwise: %+v, %v", r, err)
		}
	})
}
