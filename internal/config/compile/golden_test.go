package compile_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/issuance"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

var update = flag.Bool("update", false, "write the golden files anew")

// now is when the golden files are compiled: the certificates in testdata/pem
// were made for it.
var now = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// A golden input may have several versions of the configuration, parted by a
// line "=== then"; they are compiled one after the other, each with the output
// before it, and the last is what is compared. One that begins with "# mesh" is
// compiled for a mesh.
func TestGolden(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(inputs) < 80 {
		t.Fatalf("%d golden inputs, want at least 80 (%v)", len(inputs), err)
	}
	for _, in := range inputs {
		name := strings.TrimSuffix(filepath.Base(in), ".in.yaml")
		t.Run(name, func(t *testing.T) {
			out := compileFile(t, in)
			got := render(t, out, name == "defaults")
			golden := filepath.Join("testdata", name+".out.yaml")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("output differs (-want +got); run with -update if it is meant:\n%s", diff)
			}
		})
	}
}

func compileFile(t *testing.T, path string) *compile.Output {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out *compile.Output
	set := store.NewSet(nil)
	for _, version := range bytes.Split(text, []byte("\n=== then\n")) {
		objects, err := parse(strings.TrimSuffix(filepath.Base(path), ".in.yaml")+".yaml", version)
		if err != nil {
			t.Fatal(err)
		}
		set = reuse(objects, set)
		out = compile.Compile(compile.Input{Set: set, Now: now, Mesh: bytes.HasPrefix(text, []byte("# mesh\n"))}, out)
	}
	return out
}

// render writes what matters of an output. What equals the defaults is left
// out unless everything is asked for, and long texts are shortened.
func render(t *testing.T, out *compile.Output, everything bool) []byte {
	t.Helper()
	var problems []string
	for _, p := range out.Problems {
		problems = append(problems, p.String())
	}
	doc := map[string]any{
		"config": plain(t, out.Config), "problems": problems, "statuses": renderStatuses(out.Statuses()),
	}
	if len(out.Orders) > 0 {
		doc["orders"] = renderOrders(out.Orders)
	}
	if !everything {
		withoutDefaults(t, doc["config"].(map[string]any))
	}
	if out.Mesh != nil {
		mesh := plain(t, out.Mesh).(map[string]any)
		withoutDefaults(t, mesh)
		each(mesh, "services", slimRef)
		doc["mesh"] = mesh
	}
	b, err := yaml.Marshal(shorten(doc))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func renderOrders(list []issuance.Order) map[string]any {
	out := map[string]any{}
	for _, o := range list {
		entry := map[string]any{
			"names": o.Names, "directory": o.Directory, "challenges": o.Challenges, "keyType": o.KeyType, "issuer": o.Issuer.String(),
		}
		for name, v := range map[string]string{"hold": o.Hold, "profile": o.Profile, "contact": strings.Join(o.Contact, " "), "ca": string(o.CA)} {
			if v != "" {
				entry[name] = v
			}
		}
		if o.EAB != nil {
			entry["eab"] = fmt.Sprintf("%s, %d bytes", o.EAB.KeyID, len(o.EAB.Key))
		}
		out[o.Secret.String()] = entry
	}
	return out
}

func plain(t *testing.T, v any) any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func renderStatuses(list []status.Object) map[string]any {
	conditions := func(cs []status.Condition) []string {
		var out []string
		for _, c := range cs {
			s := fmt.Sprintf("%s=%s %s", c.Type, c.Status, c.Reason)
			if c.Message != "" {
				s += ": " + c.Message
			}
			out = append(out, s)
		}
		return out
	}
	out := map[string]any{}
	for _, o := range list {
		m := map[string]any{}
		if len(o.Conditions) > 0 {
			m["conditions"] = conditions(o.Conditions)
		}
		for _, l := range o.Listeners {
			m["listener "+l.Name] = map[string]any{
				"attachedRoutes": l.AttachedRoutes, "supportedKinds": l.SupportedKinds, "conditions": conditions(l.Conditions),
			}
		}
		for _, p := range o.Parents {
			m["parent "+p.Ref.String()] = conditions(p.Conditions)
		}
		for _, p := range o.Ancestors {
			m["ancestor "+p.Ref.String()] = conditions(p.Conditions)
		}
		if len(o.Addresses) > 0 {
			m["addresses"] = o.Addresses
		}
		if o.AttachedListenerSets > 0 {
			m["attachedListenerSets"] = o.AttachedListenerSets
		}
		out[o.Key.String()] = m
	}
	return out
}

// withoutDefaults removes what a configuration without any policy has.
func withoutDefaults(t *testing.T, config map[string]any) {
	t.Helper()
	text, err := os.ReadFile("testdata/defaults.in.yaml")
	if err != nil {
		t.Fatal(err)
	}
	objects, err := parse("defaults.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	def := plain(t, compile.Compile(compile.Input{Set: store.NewSet(objects), Now: now}, nil).Config).(map[string]any)
	client := at(def, "listeners")["client"]
	policy := at(at(def, "routes"), "rules")["policy"]
	cluster := at(def, "clusters")
	each(config, "listeners", func(l map[string]any) {
		subtract(l, "client", client)
		each(l, "sections", func(s map[string]any) { slimRef(s) })
	})
	each(config, "routes", func(r map[string]any) {
		delete(r, "hash")
		slimRef(r)
		each(r, "rules", func(rule map[string]any) {
			slimRef(rule)
			subtract(rule, "policy", policy)
			each(rule, "backends", slimRef)
			each(rule, "policies", func(m map[string]any) { delete(m, "file"); delete(m, "column") })
		})
	})
	each(config, "streams", func(r map[string]any) {
		delete(r, "hash")
		slimRef(r)
		each(r, "backends", slimRef)
		each(r, "policies", func(m map[string]any) { delete(m, "file"); delete(m, "column") })
	})
	each(config, "clusters", func(c map[string]any) {
		delete(c, "hash")
		slimRef(c)
		for _, k := range []string{"balance", "pool", "retryBudget"} {
			subtract(c, k, cluster[k])
		}
		if reflect.DeepEqual(c["connectTimeout"], cluster["connectTimeout"]) {
			delete(c, "connectTimeout")
		}
	})
}

func slimRef(m map[string]any) {
	if r, ok := m["ref"].(map[string]any); ok {
		m["ref"] = fmt.Sprintf("%v/%v/%v:%v", r["kind"], r["namespace"], r["name"], r["line"])
	}
}

func at(m map[string]any, key string) map[string]any { return m[key].([]any)[0].(map[string]any) }

func each(m map[string]any, key string, do func(map[string]any)) {
	list, _ := m[key].([]any)
	for _, x := range list {
		do(x.(map[string]any))
	}
}

// subtract removes from m[key] what is the same in def.
func subtract(m map[string]any, key string, def any) {
	a, ok := m[key].(map[string]any)
	b, ok2 := def.(map[string]any)
	if !ok || !ok2 {
		return
	}
	for k, v := range a {
		if _, isMap := v.(map[string]any); isMap {
			subtract(a, k, b[k])
		} else if reflect.DeepEqual(v, b[k]) {
			delete(a, k)
		}
	}
	if len(a) == 0 {
		delete(m, key)
	}
}

func shorten(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = shorten(v[k])
		}
		if _, ok := v["chain"]; ok {
			v["key"] = "(key)"
		}
	case []any:
		for i := range v {
			v[i] = shorten(v[i])
		}
	case string:
		if len(v) > 500 {
			h := fnv.New32a()
			h.Write([]byte(v))
			return fmt.Sprintf("(%d characters, %08x)", len(v), h.Sum32())
		}
	}
	return v
}

var _ = ir.Config{}
