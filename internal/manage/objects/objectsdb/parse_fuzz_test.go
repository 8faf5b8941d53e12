package objectsdb

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/config/source/managed"
	"github.com/gridway/gridway/internal/manage/objects"
)

// What is kept of what was sent is the same objects, and is kept as it is when it is sent
// again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"---\n# a comment\napiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n",
		"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n- {apiVersion: v1, kind: Namespace, metadata: {name: b}}\n",
		`{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "(hidden)"}}`,
		"%YAML 1.2\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: &m {name: a, labels: {x: y}}\ndata: {a: b}\n...\n",
		"\xef\xbb\xbfapiVersion: v1\r\nkind: ConfigMap\r\nmetadata:\r\n  name: a\r\ndata:\r\n  a: |\r\n    b\r\n",
		"--- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n",
		"a: &a [*a]\n---\nkind: [\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		in, err := parse([]byte(text))
		if err != nil {
			var wrong *objects.InvalidError
			if !errors.Is(err, objects.ErrTooMuch) && (!errors.As(err, &wrong) || len(wrong.Errors) == 0) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		var all []string
		for _, o := range in.objects {
			again, problems := managed.Decode(o.Key, o.Text)
			if again == nil || again.Hash != o.Hash || len(problems) > 0 {
				t.Fatalf("%q is kept as %q: %v", text, o.Text, problems)
			}
			all = append(all, o.Text)
		}
		if slices.ContainsFunc(all, func(s string) bool { return strings.HasPrefix(s, "%") }) {
			return // a directive needs its marker, which joins differently
		}
		second, err := parse([]byte(strings.Join(all, "---\n")))
		if err != nil || len(second.objects) != len(in.objects) {
			t.Fatalf("%q is kept as %q, which is refused: %v", text, all, err)
		}
		for i, o := range second.objects {
			if o.Text != all[i] {
				t.Errorf("%q is kept as %q when it is sent again", all[i], o.Text)
			}
		}
	})
}
