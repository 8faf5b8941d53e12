package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/cli"
)

func TestDocsAreCurrent(t *testing.T) {
	const dir = "../../docs/cli"
	pages := cli.Docs()
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != want {
			t.Errorf("docs/cli/%s is not current (%v): run make docs", name, err)
		}
		if name != "README.md" && name != "completion.md" && !strings.Contains(want, "## Examples") {
			t.Errorf("%s has no example", name)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := pages[e.Name()]; !ok {
			t.Errorf("docs/cli/%s is about no command", e.Name())
		}
	}
}
