package excerpt_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"github.com/gridway/gridway/internal/cli/excerpt"
	"github.com/gridway/gridway/internal/config/store"
)

// s3cret is in every value of the Secrets here, and must never be printed.
const secrets = `apiVersion: v1
kind: Secret
metadata: {nam: s}
  labels: {a: 1}
data:
  tls.crt: s3cret
  "tls.key": "s3cret
  folded s3cret: x"
  list: [s3cret, s3cret]
stringData: {tls.crt: s3cret}
  s3cret without a colon
	tab: s3cret
---
kind: HTTPRoute
spec: {rulez: 1}
--- {"data": {"a": "s3cret"}, "kind" : "Secret", "metadata": {"name": "s"}}
---
{"kind": "List", "items": [{"kind": "Secret", "stringData": {"a": "s3cret"}}, {"kind": "ConfigMap"}]}
`

func TestValuesOfSecretsAreConcealed(t *testing.T) {
	secret := store.Key{Kind: "Secret", Namespace: "default", Name: "s"}
	read := func(string) ([]byte, error) { return []byte(secrets), nil }
	print := func(p store.Problem) string {
		var out strings.Builder
		(&excerpt.Printer{ReadFile: read, Width: 100}).Print(&out, p)
		return ansi.Strip(out.String())
	}
	for n := range strings.Count(secrets, "\n") {
		if n == 13 || n == 14 {
			continue // the route's
		}
		for column := range 90 {
			for _, o := range []store.Key{secret, {}, {Kind: "ConfigMap", Name: "c"}} {
				if o.Kind == "ConfigMap" && n < 17 {
					continue
				}
				p := store.Problem{Severity: store.Error, Object: o, Message: "m", Position: store.Position{File: "f", Line: n + 1, Column: column}}
				if got := print(p); strings.Contains(got, "s3cret") {
					t.Fatalf("line %d, column %d, of %v:\n%s", n+1, column, o, got)
				}
			}
		}
	}
	for _, c := range []struct {
		o     store.Key
		field string
		line  int
		want  string
	}{
		{secret, "metadata.nam", 3, "metadata: {nam: s}"},
		{secret, "metadata.labels.a", 4, "  labels: {a: 1}"},
		{secret, "data[tls.crt]", 6, "  tls.crt: (hidden)"},
		{secret, "data[tls.key]", 7, `  "tls.key": (hidden)`},
		{store.Key{}, "", 5, "data:"},
		{store.Key{}, "", 11, "  (hidden)"},
		{store.Key{}, "", 15, "spec: {rulez: 1}"},
		{store.Key{Kind: "HTTPRoute", Name: "r"}, "", 15, "spec: {rulez: 1}"},
	} {
		got := print(store.Problem{Severity: store.Error, Object: c.o, Field: c.field, Message: "m", Position: store.Position{File: "f", Line: c.line, Column: 3}})
		if want := fmt.Sprintf("\n%d | %s\n", c.line, c.want); !strings.Contains(got, want) {
			t.Errorf("want %q in\n%s", want, got)
		}
	}
}
