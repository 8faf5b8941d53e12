package compile_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/store"
)

// FuzzCompile feeds compile with whatever still decodes, unchecked by any
// schema, first alone and then as a change of a configuration that works.
func FuzzCompile(f *testing.F) {
	inputs, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(inputs) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, in := range inputs {
		text, err := os.ReadFile(in)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	base, err := os.ReadFile("testdata/policy-precedence.in.yaml")
	if err != nil {
		f.Fatal(err)
	}
	objects, err := parse("base.yaml", base)
	if err != nil {
		f.Fatal(err)
	}
	first := compile.Compile(compile.Input{Set: store.NewSet(objects), Now: now}, nil)
	f.Fuzz(func(t *testing.T, text []byte) {
		var out *compile.Output
		for _, version := range bytes.Split(text, []byte("\n=== then\n")) {
			objects, err := parse("fuzz.yaml", version)
			if err != nil {
				return
			}
			set := store.NewSet(objects)
			out = compile.Compile(compile.Input{Set: set, Now: now}, out)
			sound(t, out)
			sound(t, compile.Compile(compile.Input{Set: set, Now: now}, first))
			mesh := compile.Compile(compile.Input{Set: set, Now: now, Mesh: true}, first)
			sound(t, mesh)
			soundMesh(t, mesh)
		}
	})
}

// sound checks what holds of every output, whatever the input.
func sound(t *testing.T, out *compile.Output) {
	t.Helper()
	if _, err := json.Marshal(out.Config); err != nil {
		t.Fatal(err)
	}
	clusters, routes := map[string]bool{}, map[string]bool{}
	for _, c := range out.Config.Clusters {
		if clusters[c.Name] {
			t.Fatalf("two clusters named %s", c.Name)
		}
		clusters[c.Name] = true
	}
	for _, r := range out.Config.Routes {
		if routes[r.Name] {
			t.Fatalf("two routes named %s", r.Name)
		}
		routes[r.Name] = true
		for _, rule := range r.Rules {
			if len(rule.Matches) == 0 {
				t.Fatalf("%s has no matches", rule.ID)
			}
			for _, m := range rule.Filters.Mirrors {
				if !clusters[m.Cluster] {
					t.Fatalf("%s mirrors to %q, which is not there", rule.ID, m.Cluster)
				}
			}
			total := uint64(0)
			for _, b := range rule.Backends {
				total += uint64(b.Weight)
				if (b.Cluster == "") == (b.Problem == "") || b.Cluster != "" && !clusters[b.Cluster] {
					t.Fatalf("%s leads to cluster %q, problem %q", rule.ID, b.Cluster, b.Problem)
				}
			}
			if total == 0 && rule.Filters.Redirect == nil && rule.Filters.TokenIssuer == "" && rule.Policy.Direct == nil {
				t.Fatalf("%s leads nowhere", rule.ID)
			}
		}
	}
	for _, l := range out.Config.Listeners {
		if len(l.Sections) == 0 || l.Port == 0 {
			t.Fatalf("listener %s has no sections or no port", l.Name)
		}
		for _, s := range l.Sections {
			for _, a := range s.Routes {
				if !routes[a.Route] || len(a.Hostnames) == 0 {
					t.Fatalf("section %s has route %q under %q", s.Name, a.Route, a.Hostnames)
				}
			}
		}
	}
}
