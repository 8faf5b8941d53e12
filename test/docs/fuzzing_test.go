package docs

import (
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var testFunc = regexp.MustCompile(`(?m)^func (Test[A-Z]\w*)\(`)

// The tests of the ceilings that the page about performance names are there.
func TestCeilingsHaveTests(t *testing.T) {
	root, all := read(t)
	const name = "docs/performance.md"
	there := map[string]bool{}
	eachTestFile(t, root, func(_ string, text []byte) {
		for _, m := range testFunc.FindAllSubmatch(text, -1) {
			there[string(m[1])] = true
		}
	})
	seen := 0
	for _, m := range span.FindAllStringSubmatch(all[name].prose, -1) {
		if strings.HasPrefix(m[1], "Test") {
			seen++
			if !there[m[1]] {
				t.Errorf("%s names %s, which is not there", name, m[1])
			}
		}
	}
	if seen < 20 {
		t.Errorf("%s names only %d tests", name, seen)
	}
}

func eachTestFile(t *testing.T, root fs.FS, f func(file string, text []byte)) {
	t.Helper()
	err := fs.WalkDir(root, "internal", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(root, file)
		f(file, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

var fuzzFunc = regexp.MustCompile(`(?m)^func (Fuzz[A-Z]\w*)\(`)

// The page about fuzzing has every target, and none that is not there.
func TestFuzzTargetsAreListed(t *testing.T) {
	root, all := read(t)
	const name = "docs/fuzzing.md"
	there := map[string]bool{}
	eachTestFile(t, root, func(file string, text []byte) {
		for _, m := range fuzzFunc.FindAllSubmatch(text, -1) {
			there[path.Dir(file)+" "+string(m[1])] = true
		}
	})
	if len(there) < 50 {
		t.Fatalf("only %d targets", len(there))
	}
	listed := map[string]bool{}
	for line := range strings.Lines(all[name].prose) {
		dir := ""
		for _, m := range span.FindAllStringSubmatch(line, -1) {
			switch {
			case strings.HasPrefix(m[1], "internal/"):
				dir = m[1]
			case dir != "" && strings.HasPrefix(m[1], "Fuzz"):
				listed[dir+" "+m[1]] = true
			}
		}
	}
	for _, target := range slices.Sorted(maps.Keys(there)) {
		if !listed[target] {
			t.Errorf("%s does not list %s", name, target)
		}
	}
	for _, target := range slices.Sorted(maps.Keys(listed)) {
		if !there[target] {
			t.Errorf("%s lists %s, which is not there", name, target)
		}
	}
}
