// Package examples_test proves that every example is valid and routes as it says.
package examples_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/cli"
)

// gridway runs a command as a user would, in this folder.
func gridway(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	var b bytes.Buffer
	code = cli.Run(t.Context(), args, cli.Streams{In: strings.NewReader(""), Out: &b, Err: &b})
	return code, b.String()
}

func folders(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("*/gateway.yaml")
	if err != nil || len(found) < 20 {
		t.Fatalf("%d examples, %v", len(found), err)
	}
	for i, f := range found {
		found[i] = filepath.Dir(f)
	}
	return found
}

func TestEveryExampleIsValid(t *testing.T) {
	for _, dir := range folders(t) {
		t.Run(dir, func(t *testing.T) {
			if code, out := gridway(t, "check", "--strict", dir); code != 0 {
				t.Errorf("exit %d\n%s", code, out)
			}
		})
	}
}

func TestEveryExampleRoutesAsItSays(t *testing.T) {
	tested := 0
	for _, dir := range folders(t) {
		file := filepath.Join(dir, "routes.test.yaml")
		if _, err := os.Stat(file); err != nil {
			continue
		}
		tested++
		t.Run(dir, func(t *testing.T) {
			if code, out := gridway(t, "test", file); code != 0 {
				t.Errorf("exit %d\n%s", code, out)
			}
		})
	}
	if tested < 15 {
		t.Errorf("only %d examples have route tests", tested)
	}
}

// A README may only name commands, flags and files that exist.
func TestReadmesAreTrue(t *testing.T) {
	path := regexp.MustCompile(`examples/[a-z0-9-]+(/[a-zA-Z.-]+)*`)
	for _, dir := range append(folders(t), ".") {
		text, err := os.ReadFile(filepath.Join(dir, "README.md"))
		if err != nil {
			t.Errorf("%s has no README: %v", dir, err)
			continue
		}
		for _, p := range path.FindAllString(string(text), -1) {
			if _, err := os.Stat(strings.TrimPrefix(p, "examples/")); err != nil {
				t.Errorf("%s/README.md names %s: %v", dir, p, err)
			}
		}
	}
	index, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range folders(t) {
		if !strings.Contains(string(index), "("+dir+"/)") {
			t.Errorf("README.md does not list %s", dir)
		}
	}
}
