package objectsdb

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/gridway/gridway/internal/config/source/managed"
	"github.com/gridway/gridway/internal/manage/objects"
)

const kept = `# who made this
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
data:
  x: "1" # one
`

func TestWhatSaysTheSameIsNoChange(t *testing.T) {
	one := func(text string) *managed.Object {
		t.Helper()
		in, err := parse([]byte(text))
		if err != nil || len(in.objects) != 1 {
			t.Fatalf("%s: %v", text, err)
		}
		return in.objects[0]
	}
	for text, want := range map[string]objects.Op{
		kept:                              objects.Unchanged,
		"# managed, revision 12\n" + kept: objects.Unchanged,
		`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "default", "name": "a"}, "data": {"x": "1"}}`: objects.Unchanged,
		"kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: a # one\ndata: {x: '1'}\n":                                    objects.Unchanged,
		strings.Replace(kept, "# one", "# two", 1):                                                                         objects.Changed,
		"# managed, revision x\n" + kept:                                                                                   objects.Changed,
		"# managed, revision 12\n# mine\n" + kept:                                                                          objects.Changed,
		strings.Replace(kept, `"1"`, `"2"`, 1):                                                                             objects.Changed,
		strings.Replace(kept, "{name: a}", "{name: a, labels: {b: c}}", 1):                                                 objects.Changed,
		kept + "  y: \"\"\n": objects.Changed,
	} {
		w := wanted{before: one(kept), after: one(text)}
		if got := w.op(); got != want {
			t.Errorf("%s\nis %s, want %s", text, got, want)
		}
	}
	broken := one(kept)
	object := *broken.Object
	object.Broken = true
	broken.Object, broken.Text = &object, "kind: ["
	if (&wanted{before: broken, after: one(kept)}).op() != objects.Changed {
		t.Error("what mends an object changes nothing")
	}
	// What get has added is not kept.
	const route = "# mine\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a}\nspec:\n  parentRefs: [{name: edge}]\n"
	shown := one("# managed, revision 12\n" + route + "status:\n  parents:\n  - parentRef:\n      name: edge\n    controllerName: gridway.dev/controller\n\n# the end\n")
	if shown.Text != route+"# the end\n" {
		t.Errorf("kept as\n%s", shown.Text)
	}
	if op := (&wanted{before: one(route + "# the end\n"), after: shown}).op(); op != objects.Unchanged {
		t.Errorf("what get has shown is %s", op)
	}
	const block = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x: |\n    a\n\n    status: b\n"
	if got := one(block).Text; got != block {
		t.Errorf("kept as\n%s", got)
	}
}

// Objects of all examples, as the admin API shows them, are no change when they come back.
func TestExamplesComeBackUnchanged(t *testing.T) {
	kinds := map[string]bool{}
	err := filepath.WalkDir("../../../../examples", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		in, err := parse(text)
		var wrong *objects.InvalidError
		if errors.As(err, &wrong) {
			return nil // consumers, route tests, and other programs' files
		}
		if err != nil {
			return err
		}
		for _, o := range in.objects {
			value, err := json.Marshal(o.Value)
			if err != nil {
				return err
			}
			if strings.Contains(string(value), "(hidden") || o.Key.Kind == "Secret" {
				continue // is not shown
			}
			shown, err := yaml.JSONToYAML(value)
			if err != nil {
				return err
			}
			for _, text := range []string{string(value), "# " + objects.Origin(7) + "\n" + string(shown), o.Text} {
				back, err := parse([]byte(text))
				if err != nil || len(back.objects) != 1 {
					t.Errorf("%s: %s comes back as\n%s\n%v", path, o.Key, text, err)
					continue
				}
				if op := (&wanted{before: o, after: back.objects[0]}).op(); op != objects.Unchanged {
					t.Errorf("%s: %s is %s by\n%s", path, o.Key, op, text)
				}
			}
			kinds[o.Key.Kind] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(kinds) < 15 {
		t.Errorf("the examples have %d kinds that were tried: %v", len(kinds), kinds)
	}
}
