package compile_test

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/store"
)

// TestMutations compiles the golden inputs with values taken out, exchanged
// between fields, or replaced by odd ones. Whatever comes out must be sound.
func TestMutations(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatal("no inputs", err)
	}
	compiled := 0
	for i, in := range inputs {
		text, err := os.ReadFile(in)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(text), "\n=== then\n")
		docs := strings.Split(first, "\n---\n")
		original, err := parse("original.yaml", []byte(first))
		if err != nil {
			t.Fatal(err)
		}
		good := compile.Compile(compile.Input{Set: store.NewSet(original), Now: now}, nil)
		for seed := range uint64(12) {
			m := &mutator{rng: rand.New(rand.NewPCG(uint64(i), seed))}
			changed := make([]string, len(docs))
			copy(changed, docs)
			for range 1 + m.rng.IntN(3) {
				k := m.rng.IntN(len(docs))
				changed[k] = m.document(changed[k])
			}
			objects, err := parse("mutated.yaml", []byte(strings.Join(changed, "\n---\n")))
			if err != nil {
				continue // does not fit the Go types
			}
			compiled++
			set := store.NewSet(objects)
			sound(t, compile.Compile(compile.Input{Set: set, Now: now}, nil))
			sound(t, compile.Compile(compile.Input{Set: set, Now: now}, good))
			mesh := compile.Compile(compile.Input{Set: set, Now: now, Mesh: true}, good)
			sound(t, mesh)
			soundMesh(t, mesh)
			if t.Failed() {
				t.Fatalf("%s, seed %d:\n%s", in, seed, strings.Join(changed, "\n---\n"))
			}
		}
	}
	if compiled < 500 {
		t.Errorf("only %d mutations could be compiled", compiled)
	}
}

type mutator struct {
	rng  *rand.Rand
	seen []any // values met on the way, to put elsewhere
}

func (m *mutator) document(text string) string {
	var v any
	if yaml.Unmarshal([]byte(text), &v) != nil || v == nil {
		return text
	}
	head, _ := v.(map[string]any)
	kind, version := head["kind"], head["apiVersion"]
	v = m.walk(v)
	if doc, ok := v.(map[string]any); ok {
		doc["kind"], doc["apiVersion"] = kind, version
		v = doc
	}
	b, err := yaml.Marshal(v)
	if err != nil {
		return text
	}
	return string(b)
}

func (m *mutator) walk(v any) any {
	m.seen = append(m.seen, v)
	if m.rng.IntN(25) == 0 {
		return m.odd(v)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			x := v[k]
			if k == "apiVersion" || k == "kind" {
				continue
			}
			if m.rng.IntN(25) == 0 {
				delete(v, k)
			} else {
				v[k] = m.walk(x)
			}
		}
	case []any:
		for i := range v {
			v[i] = m.walk(v[i])
		}
		if len(v) > 0 && m.rng.IntN(10) == 0 {
			v = append(v, v[m.rng.IntN(len(v))])
		}
		return v
	}
	return v
}

func (m *mutator) odd(v any) any {
	switch v.(type) {
	case string:
		odd := []string{"", "*", "edge", "catalog", "http", "-1", "0s", "/", "/../x", "é", "a\nb", "*.example.com", "System", "HTTPRoute", strings.Repeat("x", 300)}
		return odd[m.rng.IntN(len(odd))]
	case float64, int64:
		odd := []any{0, -1, 1, 65536, 2147483647, -2147483648}
		return odd[m.rng.IntN(len(odd))]
	case bool:
		return m.rng.IntN(2) == 0
	case nil:
		return map[string]any{}
	}
	if m.rng.IntN(2) == 0 {
		return nil
	}
	return m.seen[m.rng.IntN(len(m.seen))]
}
