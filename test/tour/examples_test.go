package tour

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExamples executes the commands of every example's README in a copy of the
// examples with ports of its own. Go programs run in the repository.
func TestExamples(t *testing.T) {
	readmes, err := filepath.Glob(filepath.Join(root, "examples/*/README.md"))
	if err != nil || len(readmes) < 25 {
		t.Fatalf("%d examples, %v", len(readmes), err)
	}
	for _, path := range readmes {
		name := filepath.Base(filepath.Dir(path))
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			list, err := blocks(string(text), 1)
			if err != nil {
				t.Fatal(err)
			}
			checked := 0
			for _, st := range list {
				checked += len(st.want)
			}
			if len(list) == 0 || checked == 0 {
				t.Fatalf("%s has %d commands, and %d lines of what they print: say what there is to see", path, len(list), checked)
			}
			ports := freePorts(t, "8053", "8080", "8125", "8443", "8500", "9001", "9002", "9003", "9004", "9443", "9901", "9902", "4317", "4318", "6390", "14000", "15000", "15010")
			dir := t.TempDir()
			copyExamples(t, dir, ports)
			s := startShell(t, dir, filepath.Join(dir, "stderr"), append(os.Environ(), "PATH="+programs(t, ports)))
			for _, st := range list {
				if err := st.take(s, dir, ports); err != nil {
					t.Fatalf("%s:%d: %v\nstandard error:\n%s", path, st.line, err, s.complaints())
				}
			}
		})
	}
}

// copyExamples copies what is no program.
func copyExamples(t *testing.T, dir string, ports *strings.Replacer) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, "examples"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(dir, rel), 0o755)
		}
		text, err := os.ReadFile(path)
		if err != nil || filepath.Ext(path) == ".go" {
			return err
		}
		if ext := filepath.Ext(path); ext == ".yaml" || ext == ".config" {
			text = []byte(ports.Replace(string(text)))
		}
		return os.WriteFile(filepath.Join(dir, rel), text, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}
