package excerpt_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"github.com/gridway/gridway/internal/cli/excerpt"
	"github.com/gridway/gridway/internal/config/store"
)

const doc = "kind: HTTPRoute\nspec:\n  rulez: [{matches: \"a b\"}]\n\tx: ü: y\n"

func TestPrint(t *testing.T) {
	key := store.Key{Group: "g", Kind: "HTTPRoute", Namespace: "default", Name: "r"}
	for _, tt := range []struct {
		name    string
		problem store.Problem
		width   int
		want    string
	}{
		{
			name: "everything", problem: store.Problem{Severity: store.Error, Code: "UnknownField", Object: key, Field: "spec.rulez", Position: store.Position{File: "f.yaml", Line: 3, Column: 3}, Message: `no field "rulez"`, Remedy: `did you mean "rules"?`},
			want: `error[UnknownField]: no field "rulez"
 --> f.yaml:3:3
  |
3 |   rulez: [{matches: "a b"}]
  |   ^^^^^
  = in HTTPRoute/default/r, field spec.rulez
  = help: did you mean "rules"?
`,
		},
		{
			name: "quoted value", problem: store.Problem{Severity: store.Warning, Position: store.Position{File: "f.yaml", Line: 3, Column: 21}, Message: "odd"},
			want: "warning: odd\n --> f.yaml:3:21\n  |\n3 |   rulez: [{matches: \"a b\"}]\n  |                     ^^^^^\n",
		},
		{
			name: "tab and wide letters keep the column", problem: store.Problem{Severity: store.Note, Position: store.Position{File: "f.yaml", Line: 4, Column: 5}, Message: "odd"},
			want: "note: odd\n --> f.yaml:4:5\n  |\n4 |  x: ü: y\n  |     ^\n",
		},
		{
			name: "column past the end", problem: store.Problem{Severity: store.Error, Position: store.Position{File: "f.yaml", Line: 2, Column: 99}, Message: "m"},
			want: "error: m\n --> f.yaml:2:99\n  |\n2 | spec:\n  |      ^\n",
		},
		{
			name: "line past the end", problem: store.Problem{Severity: store.Error, Position: store.Position{File: "f.yaml", Line: 77, Column: 1}, Message: "m"},
			want: "error: m\n  --> f.yaml:77:1\n",
		},
		{
			name: "no file", problem: store.Problem{Severity: store.Error, Position: store.Position{File: "gone.yaml", Line: 1, Column: 1}, Message: "m"},
			want: "error: m\n --> gone.yaml:1:1\n",
		},
		{
			name: "no position", problem: store.Problem{Severity: store.Error, Message: "m", Remedy: "r"},
			want: "error: m\n = help: r\n",
		},
		{
			name: "long line is cut around the word", width: 40,
			problem: store.Problem{Severity: store.Error, Position: store.Position{File: "long", Line: 1, Column: 101}, Message: "m"},
			want:    "error: m\n --> long:1:101\n  |\n1 | …aaaaaaaaaaaBBB: cccccccccccccccccc…\n  |             ^^^\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := excerpt.Printer{Width: tt.width, ReadFile: func(name string) ([]byte, error) {
				switch name {
				case "f.yaml":
					return []byte(doc), nil
				case "long":
					return []byte(strings.Repeat("a", 100) + "BBB: " + strings.Repeat("c", 100)), nil
				}
				return nil, errors.New("gone")
			}}
			var b strings.Builder
			p.Print(&b, tt.problem)
			if got := ansi.Strip(b.String()); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestSummary(t *testing.T) {
	got := ansi.Strip(excerpt.Summary([]store.Problem{{Severity: store.Warning}, {Severity: store.Error}, {Severity: store.Error}}))
	if want := "2 errors, 1 warning"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
