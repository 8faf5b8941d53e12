package docs

import (
	"fmt"
	"slices"
	"testing"
)

func TestCommandsAreFound(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"gridway check x.yaml # comment", "[[check x.yaml]]"},
		{"A=1 gridway status && gridway top --once | head", "[[status] [top --once]]"},
		{`for d in *; do gridway check "a b"; done`, "[[check a b]]"},
		{"gridway proxy --print > out.yaml &", "[[proxy --print]]"},
		{"kustomize build . | gridway check -", "[[check -]]"},
		{"echo gridway", "[]"},
	} {
		if got := fmt.Sprint(slices.Collect(splitCommands(tt.line))); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.line, got, tt.want)
		}
	}
}

// The checks below must be able to fail.
func TestMistakesAreNoticed(t *testing.T) {
	root, all := read(t)
	overview, _ := gridway(t, "--help")
	for _, words := range [][]string{{"chekc", "x"}, {"check", "--bogus"}, {"top", "--evry", "1s"}, {"explain", "-x"}} {
		if parses(t, overview, words) == "" {
			t.Errorf("gridway %v passed", words)
		}
	}
	p := page{path: "docs/x.md", prose: "# A `b`: c\n"}
	for _, l := range []string{"nothing.md", "README.md#nothing", "#nothing", "../docs/gone/"} {
		if follow(root, all, p, l) == "" {
			t.Errorf("link %s passed", l)
		}
	}
	if !p.anchors()["a-b-c"] {
		t.Errorf("anchors %v", p.anchors())
	}
}
