package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/cli/term"
)

func TestTexts(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	first, second := write("all/a.yaml", "kind: A\nb: 1"), write("all/below/b.json", "{}\n")
	write("all/README.md", "no objects")
	third := write("c.txt", "kind: C\n")
	s, err := readTexts(&term.Terminal{In: strings.NewReader("kind: D\n")}, []string{filepath.Join(dir, "all"), third, first, "-"})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(s.text); got != "kind: A\nb: 1\n---\n{}\n---\nkind: C\n---\nkind: D\n" {
		t.Errorf("%q", got)
	}
	for line, want := range map[int]string{0: first, 1: first, 2: first, 4: second, 6: third, 8: "-"} {
		path, own := s.at(line)
		if path != want || line > 2 && own != 1 || line <= 2 && own != line {
			t.Errorf("line %d is at %s:%d", line, path, own)
		}
	}
	if text, was := s.read(second); !was || string(text) != "{}\n" {
		t.Errorf("%q", text)
	}
	if m := s.message("is given twice, first at line 4"); m != "is given twice, first at "+second+":1" {
		t.Error(m)
	}
	one, err := readTexts(&term.Terminal{}, []string{first})
	if err != nil || string(one.text) != "kind: A\nb: 1\n" || one.message("first at line 1") != "first at line 1" {
		t.Errorf("%q, %v", one.text, err)
	}
	empty := write("none/x.txt", "")
	for path, want := range map[string]string{
		filepath.Join(dir, "nowhere"): "no such file", filepath.Dir(empty): "the folder has no file that ends with",
	} {
		if _, err := readTexts(&term.Terminal{}, []string{path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	var none *texts
	if path, line := none.at(3); path != "" || line != 3 || none.message("first at line 1") != "first at line 1" {
		t.Error(path, line)
	}
}
