package replay_test

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/effect/replay"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
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
		r, err := replay.Run(strings.NewReader(head+event(c.event)), "f", nil, table(t, c.path, c.cluster))
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
		"": "f:1: this is no recording", "\n": "f:2: this is no recording", "{}\n": "f:1: this is no recording", `{"format":"gridway-recording","version":9}`: "f:1: the recording has version 9",
		head + "{": "f:2: this is no recorded request", head + "\n[]\n": "f:3: this is no recorded request",
		head + strings.Repeat("x", 300<<10): "f:2: the line is longer than 256 KiB",
	} {
		_, err := replay.Run(strings.NewReader(text), "f", nil, table(t, "/", "one"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

func FuzzRun(f *testing.F) {
	for _, s := range []string{"", head, head + event(forwarded), head + event(`"record":{}`), head + event(`"record":{"host":"a","path":"/a","headers":[{"name":"x"}],"claims":{"a":[1]}},"authMethod":"jwt"`)} {
		f.Add([]byte(s))
	}
	now := table(f, "/a", "one")
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := replay.Run(strings.NewReader(string(b)), "f", nil, now)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f:") {
				t.Error(err)
			}
			return
		}
		if r.Same+r.Different+r.Undecided != r.Requests {
			t.Errorf("%+v", r)
		}
		r, err = replay.Run(strings.NewReader(string(b)), "f", now, now)
		if err != nil || r.Different != 0 {
			t.Errorf("the same decides otherwise: %+v, %v", r, err)
		}
	})
}
